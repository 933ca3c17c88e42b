//! [`Server`]: accepts connections, HTTP/1.1 and HTTP/2, plain or TLS, within limits.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;

use heygen_inbox::Inbox;
use tokio::net::ToSocketAddrs;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::listener::{Acceptor, ListenAddress, Listener};
use crate::service::Receiver;

mod activity;
mod connection;
mod io_guard;
mod open;
#[cfg(feature = "tls")]
mod tls;
mod transport;

use self::open::OpenConnections;
#[cfg(feature = "tls")]
pub use self::tls::{ServerTls, TlsError, TlsErrorKind};
use self::transport::Transport;

/// A listening server. [`serve`](Self::serve) starts answering.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    transport: Transport,
}

impl Server {
    /// Listens on `address`; port 0 chooses a free port. Connections queue up until
    /// [`serve`](Self::serve) is called.
    ///
    /// # Errors
    ///
    /// When the address is in use, does not belong to this machine, or is not permitted.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        Listener::bind(address).await.map(Self::from)
    }

    /// Serves TLS only: plain connections are closed. The handshake counts towards
    /// [`header_timeout`](crate::Limits::header_timeout), and the connection counts from its start.
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

    /// Answers until `shutdown` resolves, then accepts no more, waits for requests in progress up
    /// to [`shutdown_timeout`](crate::Limits::shutdown_timeout), and returns.
    pub async fn serve<I: Inbox>(self, receiver: Receiver<I>, shutdown: impl Future<Output = ()>) {
        let limits = receiver.limits().clone();
        let mut open = OpenConnections::new(limits.clone());
        let mut acceptor = Acceptor::default();
        let (stop, stopping) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => {}
                accepted = acceptor.next(&self.listener) => {
                    let Some(stream) = accepted else {
                        // The next connection may need its file handle.
                        open.close_slowest();
                        continue;
                    };
                    let Some(activity) = open.admit() else {
                        continue;
                    };
                    connections.spawn(connection::serve(
                        stream,
                        self.transport.clone(),
                        receiver.clone(),
                        activity,
                        stopping.clone(),
                    ));
                }
            }
        }
        // From here on the system refuses new connections.
        drop(self.listener);
        // An error means that no connection is left to stop.
        let _ = stop.send(true);
        let all = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(limits.shutdown_timeout, all)
            .await
            .is_err()
        {
            tracing::warn!(
                connections = connections.len(),
                "connections did not end in time and are closed"
            );
        }
    }
}

impl From<Listener> for Server {
    fn from(listener: Listener) -> Self {
        Self {
            listener,
            transport: Transport::Plain,
        }
    }
}
