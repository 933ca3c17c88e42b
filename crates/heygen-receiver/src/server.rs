//! [`Server`]: accepts connections, HTTP/1.1 and HTTP/2, plain or under TLS, and sees to it that none of them costs more than
//! its share.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use heygen_inbox::Inbox;
use tokio::net::{TcpListener, TcpSocket, TcpStream, ToSocketAddrs, lookup_host};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Receiver;

mod connection;
mod io_guard;
#[cfg(feature = "tls")]
mod tls;
mod transport;

use self::connection::Admission;
#[cfg(feature = "tls")]
pub use self::tls::{ServerTls, TlsError, TlsErrorKind};
use self::transport::Transport;

/// A listening server. [`local_addr`](Self::local_addr) tells where, [`serve`](Self::serve) starts answering.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    transport: Transport,
}

impl Server {
    /// Listens on `address`; port 0 takes a free one. Connections queue up until [`serve`](Self::serve) is called.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on: in use, not ours, or not permitted.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        let mut refused = None;
        for address in lookup_host(address).await? {
            match listen(address) {
                Ok(listener) => {
                    return Ok(Self {
                        listener,
                        transport: Transport::Plain,
                    });
                }
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
    }

    /// Speaks TLS, and nothing else: what comes in plain is closed. The handshake counts towards
    /// [`header_time`](crate::Limits::header_time), and the connection counts from its first moment.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(self, tls: ServerTls) -> Self {
        Self {
            transport: Transport::Tls(tls),
            ..self
        }
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `shutdown` resolves; then accepts no more, lets requests under way end within
    /// [`shutdown_time`](crate::Limits::shutdown_time), and returns.
    pub async fn serve<I: Inbox>(self, receiver: Receiver<I>, shutdown: impl Future<Output = ()>) {
        let limits = receiver.limits().clone();
        let open = Arc::new(AtomicUsize::new(0));
        let (stop, stopping) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => {}
                stream = accept(&self.listener) => {
                    let place = Place::take(&open);
                    let Some(admission) = Admission::of(place.number, limits.max_connections) else {
                        continue;
                    };
                    let serving = connection::serve(
                        stream,
                        self.transport.clone(),
                        receiver.clone(),
                        admission,
                        stopping.clone(),
                    );
                    connections.spawn(async move {
                        serving.await;
                        drop(place);
                    });
                }
            }
        }
        // From here on new connections are refused by the system.
        drop(self.listener);
        // No receiver means that no connection is left to tell.
        let _ = stop.send(true);
        let all = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(limits.shutdown_time, all)
            .await
            .is_err()
        {
            tracing::warn!(
                connections = connections.len(),
                "connections did not end in time and are cut off"
            );
        }
    }
}

/// One more open connection, until it is dropped.
struct Place {
    open: Arc<AtomicUsize>,
    number: usize,
}

impl Place {
    fn take(open: &Arc<AtomicUsize>) -> Self {
        Self {
            number: open.fetch_add(1, Ordering::Relaxed) + 1,
            open: Arc::clone(open),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The next connection. An error of one connection, or too few file handles for the moment, is no reason to stop.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are small and wait for nothing; a socket that refuses works all the same.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections; trying again");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // As tokio's own listener: elsewhere it would let two servers share an address.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// How many connections may wait to be accepted. One that finds no room is tried again by its system after a second, and a
/// second is all that a probe has.
const BACKLOG: u32 = 4096;

const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
