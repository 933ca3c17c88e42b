//! [`Admin`]: a small server for whoever runs the process, apart from the one that HeyGen reaches. [`AdminPages`]: what it
//! shows.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use heygen_inbox::InboxAdmin;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

mod pages;
mod readiness;

pub use self::pages::AdminPages;

/// A listening server of its own for health, readiness and metrics, so that none of them is on the path HeyGen reaches, nor
/// waits behind its requests. It knows no passwords: bind it to an address that only those reach who may see it.
///
/// Serves 64 connections at a time, over HTTP/1.1, one request each, for at most 10 s each.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
}

impl Admin {
    /// Listens on `address`; port 0 takes a free one. Connections queue up until [`serve`](Self::serve) is called.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on: in use, not ours, or not permitted.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener })
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `shutdown` resolves. That should be the last to go: while the rest of the process ends,
    /// [`AdminPages::begin_shutdown`] has it say so.
    pub async fn serve<I: InboxAdmin>(
        self,
        pages: AdminPages<I>,
        shutdown: impl Future<Output = ()>,
    ) {
        let router = pages.router();
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        // Too many: whoever asks finds the connection closed.
                        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                            continue;
                        };
                        let serving = serve_one(stream, router.clone());
                        connections.spawn(async move {
                            // However it ended, nobody is left to tell.
                            let _ = tokio::time::timeout(CONNECTION_TIME, serving).await;
                            drop(place);
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the admin listener cannot accept connections; trying again");
                        tokio::time::sleep(ACCEPT_AGAIN).await;
                    }
                },
            }
        }
    }
}

async fn serve_one(stream: TcpStream, router: Router) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the admin listener ended early");
    }
}

const MAX_CONNECTIONS: usize = 64;
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTION_TIME: Duration = Duration::from_secs(10);
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
