//! [`Admin`]: a small server for operators, separate from the one that HeyGen reaches.
//! [`AdminPages`]: its pages.

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
use tokio::net::ToSocketAddrs;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::listener::{Acceptor, ListenAddress, Listener, Stream};

mod pages;
mod readiness;

pub use self::pages::AdminPages;

/// A separate server for health, readiness and metrics, so that they neither share a port with
/// HeyGen's requests nor wait behind them. It has no authentication: bind it to an address that
/// only operators reach.
///
/// Serves 64 connections at a time, over HTTP/1.1, one request each, for at most 10 s each.
#[derive(Debug)]
pub struct Admin {
    listener: Listener,
}

impl Admin {
    /// Listens on `address`; port 0 chooses a free port. Connections queue up until
    /// [`serve`](Self::serve) is called.
    ///
    /// # Errors
    ///
    /// When the address is in use, does not belong to this machine, or is not permitted.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        Listener::bind(address).await.map(Self::from)
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// When the system call fails.
    pub fn address(&self) -> io::Result<ListenAddress> {
        self.listener.address()
    }

    /// The address and port it listens on.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](io::ErrorKind::Unsupported) on a Unix socket; others when the system call
    /// fails.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `shutdown` resolves. Stop it last: while the rest of the process ends,
    /// [`AdminPages::begin_shutdown`] makes it report not ready.
    pub async fn serve<I: InboxAdmin>(
        self,
        pages: AdminPages<I>,
        shutdown: impl Future<Output = ()>,
    ) {
        // No web page reaches a Unix socket, and its clients name whatever host they like.
        let is_tcp = matches!(self.listener.address(), Ok(ListenAddress::Tcp(_)));
        let router = pages.router(is_tcp);
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut acceptor = Acceptor::default();
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => {}
                accepted = acceptor.next(&self.listener) => {
                    let permit = Arc::clone(&permits).try_acquire_owned();
                    // One too many is closed.
                    let (Some(stream), Ok(permit)) = (accepted, permit) else {
                        continue;
                    };
                    let serving = serve_one(stream, router.clone());
                    connections.spawn(async move {
                        // However it ended, there is nothing left to answer.
                        let _ = tokio::time::timeout(CONNECTION_TIME, serving).await;
                        drop(permit);
                    });
                }
            }
        }
    }
}

impl From<Listener> for Admin {
    fn from(listener: Listener) -> Self {
        Self { listener }
    }
}

async fn serve_one(stream: Stream, router: Router) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "connection to the admin listener ended early");
    }
}

const MAX_CONNECTIONS: usize = 64;
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTION_TIME: Duration = Duration::from_secs(10);
