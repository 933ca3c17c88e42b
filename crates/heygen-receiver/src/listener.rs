//! [`Listener`]: the socket that a server accepts connections on. [`ListenAddress`]: where it is.

use std::fmt;
use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::os::unix::net::UnixListener;
#[cfg(unix)]
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, ToSocketAddrs, lookup_host};
use tokio::time::Instant;

use crate::line_throttle::LineThrottle;

mod stream;
#[cfg(unix)]
mod unix;

pub(crate) use self::stream::Stream;
#[cfg(unix)]
use self::unix::UnixSocket;

/// A listening socket: TCP, or on Unix a socket in the file system. Connections queue up until it is
/// served.
///
/// For a [`Server`](crate::Server) or an `Admin`: `Server::from(listener)`. A socket that someone else
/// has opened, such as systemd, comes in by [`TryFrom`]; it may be blocking or not.
///
/// # Examples
///
/// ```
/// use heygen_receiver::{Listener, Server};
///
/// # tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(async {
/// let opened = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let server = Server::from(Listener::try_from(opened)?);
/// assert!(server.address()?.to_string().starts_with("127.0.0.1:"));
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixSocket),
}

/// Where a [`Listener`] listens. `Display` writes `127.0.0.1:8080` or `unix:/run/x.sock`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ListenAddress {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A Unix socket; `None` for one without a path.
    Unix(Option<PathBuf>),
}

impl Listener {
    /// Listens on an address and a port; port 0 chooses a free port.
    ///
    /// # Errors
    ///
    /// When the address is in use, does not belong to this machine, or is not permitted.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        let mut refused = None;
        for address in lookup_host(address).await? {
            match listen(address) {
                Ok(listener) => {
                    let socket = Socket::Tcp(listener);
                    return Ok(Self { socket });
                }
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
    }

    /// Listens on a Unix socket at `path`, whose file gets the permissions `mode` before anyone can
    /// connect: `0o600` for this user, `0o660` for its group, `0o666` for everyone. Who connects has
    /// no address; nothing here needs one.
    ///
    /// The file is removed when the listener is dropped. One that a killed process left is replaced.
    /// While it is served, a file that was removed is made again within a second or two.
    ///
    /// # Errors
    ///
    /// [`AddrInUse`](io::ErrorKind::AddrInUse) when another process serves the socket,
    /// [`AlreadyExists`](io::ErrorKind::AlreadyExists) when the file is no socket; both are left as
    /// they are. Others when the folder is missing or not writable, or the path is too long (107
    /// bytes on Linux).
    #[cfg(unix)]
    pub async fn bind_unix(path: impl AsRef<Path>, mode: u32) -> io::Result<Self> {
        let socket = UnixSocket::bind(path.as_ref(), mode).await?;
        let socket = Socket::Unix(socket);
        Ok(Self { socket })
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// When the system call fails.
    pub fn address(&self) -> io::Result<ListenAddress> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().map(ListenAddress::Tcp),
            #[cfg(unix)]
            Socket::Unix(socket) => socket.path().map(ListenAddress::Unix),
        }
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        match self.address()? {
            ListenAddress::Tcp(address) => Ok(address),
            ListenAddress::Unix(_) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a Unix socket has no IP address",
            )),
        }
    }

    /// Cancel-safe.
    async fn accept(&self) -> io::Result<Stream> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Responses are small and should not wait. A socket without it works too.
                let _ = stream.set_nodelay(true);
                Ok(Stream::Tcp(stream))
            }
            #[cfg(unix)]
            Socket::Unix(socket) => socket.accept().await.map(Stream::Unix),
        }
    }
}

impl ListenAddress {
    /// Whether only this machine reaches it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

/// Accepts connections, with a pause after each failure.
#[derive(Debug, Default)]
pub(crate) struct Acceptor {
    /// A field, not a sleep within `next`: the caller drops that future whenever something else
    /// happens.
    paused_until: Option<Instant>,
    throttle: LineThrottle,
}

impl Acceptor {
    /// The next connection; `None` when accepting fails, for example for lack of file handles,
    /// which passes. Cancel-safe.
    pub(crate) async fn next(&mut self, listener: &Listener) -> Option<Stream> {
        if let Some(until) = self.paused_until {
            tokio::time::sleep_until(until).await;
            self.paused_until = None;
        }
        loop {
            match listener.accept().await {
                Ok(stream) => return Some(stream),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    let now = Instant::now();
                    self.paused_until = Some(now + ACCEPT_AGAIN);
                    // Not every time: clients decide how often this happens.
                    if let Some(suppressed) = self.throttle.pass(now.into_std()) {
                        let address = listener.address().ok().map(tracing::field::display);
                        tracing::error!(%error, address, suppressed, "cannot accept connections; retrying");
                    }
                    return None;
                }
            }
        }
    }
}

/// Must be called within a tokio runtime.
impl TryFrom<std::net::TcpListener> for Listener {
    type Error = io::Error;

    fn try_from(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let socket = Socket::Tcp(TcpListener::from_std(listener)?);
        Ok(Self { socket })
    }
}

/// Must be called within a tokio runtime. The file stays when the listener is dropped: it belongs to
/// who made it.
#[cfg(unix)]
impl TryFrom<UnixListener> for Listener {
    type Error = io::Error;

    fn try_from(listener: UnixListener) -> io::Result<Self> {
        let socket = Socket::Unix(UnixSocket::from_std(listener)?);
        Ok(Self { socket })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(Some(path)) => write!(f, "unix:{}", path.display()),
            Self::Unix(None) => f.write_str("unix:"),
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // As tokio's own listener does; on other systems it would let two servers share an address.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

/// How many connections may wait to be accepted. A client that finds the queue full tries again
/// after a second, and a second is all that a probe has.
const BACKLOG: u32 = 4096;

/// Short: the server has closed a connection to make room, and probes wait.
const ACCEPT_AGAIN: Duration = Duration::from_millis(10);
