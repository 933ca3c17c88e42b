//! [`HttpClient`]: HTTP/1.1 with connection reuse, which knows the status of a response even if the
//! rest cannot be read.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::iter;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Extensions, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::dns::GaiResolver;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{
    CaptureConnection, Connected, Connection, HttpConnector, capture_connection,
};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::ForwardOptions;
use super::error::ForwardError;
use super::status::StatusLine;

/// An HTTP client with a connection pool.
pub(super) struct HttpClient {
    client: Client<Connector, Full<Bytes>>,
    proxy: Option<Arc<Matcher>>,
    connection_lifetime: Duration,
}

/// One request in progress.
pub(super) struct Exchange {
    connection: CaptureConnection,
    sent_at: Instant,
}

/// Why there is no response.
#[derive(Debug)]
pub(super) enum SendError {
    /// No connection within the timeout.
    ConnectTimeout,
    /// No connection.
    Connect(ClientError),
    /// A connection, but no readable response.
    Response(ClientError),
}

/// A TLS configuration that trusts these authorities alone.
pub(super) fn trusting(pem: &[u8]) -> Result<ClientConfig, ForwardError> {
    let pem = pem.strip_prefix(b"\xef\xbb\xbf").unwrap_or(pem);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let added = certificate
            .map_err(|error| ForwardError::certificates(Some(Box::new(error))))
            .map(|certificate| roots.add(certificate))?;
        added.map_err(|error| ForwardError::certificates(Some(Box::new(error))))?;
    }
    if roots.is_empty() {
        return Err(ForwardError::certificates(None));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.map_err(ForwardError::setup)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

impl HttpClient {
    pub(super) fn new(tls: ClientConfig, proxy: Option<Matcher>, options: &ForwardOptions) -> Self {
        let http = tcp(GaiResolver::new(), options.connect_timeout);
        let proxy = proxy.map(Arc::new);
        let connector = Connector {
            dial: Dial {
                http,
                tls: Arc::new(tls),
            },
            proxy: proxy.clone(),
            connect_timeout: options.connect_timeout,
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            // Only the status matters, so the headers of a response may be malformed.
            .http1_allow_obsolete_multiline_headers_in_responses(true)
            .http1_allow_spaces_after_header_name_in_responses(true)
            .http1_ignore_invalid_headers_in_responses(true)
            .http1_max_headers(MAX_HEADERS)
            .build(connector);
        Self {
            client,
            proxy,
            connection_lifetime: options.connection_lifetime,
        }
    }

    pub(super) fn is_proxied(&self, target: &Uri) -> bool {
        self.intercept(target).is_some()
    }

    /// What a request that the proxy itself reads must carry; a tunnel carries it once.
    pub(super) fn proxy_authorization(&self, target: &Uri) -> Option<HeaderValue> {
        let intercept = self.intercept(target).filter(|_| !is_https(target))?;
        intercept.basic_auth().cloned()
    }

    fn intercept(&self, target: &Uri) -> Option<Intercept> {
        self.proxy.as_ref()?.intercept(target)
    }

    /// Starts a request. The [`Exchange`] knows the status even if the response fails.
    pub(super) fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> (
        Exchange,
        impl Future<Output = Result<Response<Incoming>, SendError>> + Send + use<>,
    ) {
        let connection = capture_connection(&mut request);
        let exchange = Exchange {
            connection,
            sent_at: Instant::now(),
        };
        let (client, connection) = (self.client.clone(), exchange.connection.clone());
        let lifetime = self.connection_lifetime;
        let sending = async move {
            let sent = client.request(request).await;
            if sent.is_ok()
                && let Some(opened) = opened(&connection)
            {
                opened.status.taken();
            }
            if opened(&connection).is_some_and(|opened| opened.at.elapsed() >= lifetime)
                && let Some(connected) = &*connection.connection_metadata()
            {
                // The next request resolves the name again.
                connected.poison();
            }
            sent.map_err(SendError::of)
        };
        (exchange, sending)
    }
}

/// Tries the addresses of a host in turn, each for its share of the time, so that one that does not
/// answer leaves some to the next.
fn tcp<R>(resolver: R, connect_timeout: Duration) -> HttpConnector<R> {
    let mut tcp = HttpConnector::new_with_resolver(resolver);
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(connect_timeout));
    tcp
}

impl Exchange {
    /// The status that the response began with, whatever followed it.
    pub(super) fn status(&self) -> Option<StatusCode> {
        opened(&self.connection)?.status.get()
    }

    /// Whether the connection was open before the request, and closed right after it without an
    /// answer: the application probably closed it as idle in the same moment.
    pub(super) fn was_idle_connection(&self, error: &SendError) -> bool {
        let was_open = opened(&self.connection).is_some_and(|opened| opened.at < self.sent_at);
        was_open
            && self.status().is_none()
            && error.is_closed()
            && self.sent_at.elapsed() < CLOSING_TIME
    }
}

impl SendError {
    fn of(error: ClientError) -> Self {
        if !error.is_connect() {
            return Self::Response(error);
        }
        let is_timeout = causes(&error).any(|cause| {
            // The share of the last address ends when the whole time does, and may be noticed
            // first. The system's own limit is an error with a text of its own.
            let of_address = cause.downcast_ref::<io::Error>().is_some_and(|error| {
                error.kind() == io::ErrorKind::TimedOut && error.raw_os_error().is_none()
            });
            of_address || cause.is::<ConnectTimeout>()
        });
        match is_timeout {
            true => Self::ConnectTimeout,
            false => Self::Connect(error),
        }
    }

    /// Whether the connection was closed before an answer.
    fn is_closed(&self) -> bool {
        let Self::Response(error) = self else {
            return false;
        };
        causes(error).any(|cause| {
            let by_http = cause
                .downcast_ref::<hyper::Error>()
                .is_some_and(|error| error.is_incomplete_message() || error.is_canceled());
            let by_system = cause.downcast_ref::<io::Error>().is_some_and(|error| {
                matches!(
                    error.kind(),
                    io::ErrorKind::BrokenPipe
                        | io::ErrorKind::ConnectionAborted
                        | io::ErrorKind::ConnectionReset
                        // Of TLS that was not closed as it should be (`close_notify`).
                        | io::ErrorKind::UnexpectedEof
                )
            });
            by_http || by_system
        })
    }
}

/// The error and everything that caused it, the innermost last.
pub(super) fn causes<'e>(
    error: &'e (dyn Error + 'static),
) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| error.source())
}

fn opened(connection: &CaptureConnection) -> Option<Opened> {
    let metadata = connection.connection_metadata();
    let mut extensions = Extensions::new();
    metadata.as_ref()?.get_extras(&mut extensions);
    extensions.remove()
}

/// When a connection was opened, and the status of the last response on it.
#[derive(Clone, Debug)]
struct Opened {
    at: Instant,
    status: Arc<StatusLine>,
}

/// Opens connections, directly or through the proxy.
#[derive(Clone)]
struct Connector {
    dial: Dial,
    proxy: Option<Arc<Matcher>>,
    connect_timeout: Duration,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Stream>, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.dial.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let intercept = self.proxy.as_ref().and_then(|proxy| proxy.intercept(&uri));
        let connecting = connect(self.dial.clone(), intercept, uri);
        let timeout = self.connect_timeout;
        Box::pin(async move {
            match tokio::time::timeout(timeout, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(ConnectTimeout.into()),
            }
        })
    }
}

async fn connect(
    mut dial: Dial,
    proxy: Option<Intercept>,
    uri: Uri,
) -> Result<TokioIo<Stream>, BoxError> {
    let Some(proxy) = proxy else {
        return Ok(Stream::over(dial.call(uri).await?, false));
    };
    if !is_https(&uri) {
        return Ok(Stream::over(dial.call(proxy.uri().clone()).await?, true));
    }
    let tls = Arc::clone(&dial.tls);
    let mut tunnel = Tunnel::new(proxy.uri().clone(), dial);
    if let Some(authorization) = proxy.basic_auth() {
        tunnel = tunnel.with_auth(authorization.clone());
    }
    let io = tunnel.call(uri.clone()).await?;
    Ok(Stream::over(secured(tls, &uri, io).await?, false))
}

/// Connects to a host, with TLS to one of `https`.
#[derive(Clone)]
struct Dial {
    http: HttpConnector,
    tls: Arc<ClientConfig>,
}

impl Service<Uri> for Dial {
    type Response = BoxIo;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<BoxIo, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.http.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let tls = Arc::clone(&self.tls);
        let connecting = self.http.call(uri.clone());
        Box::pin(async move {
            let tcp: Box<dyn Io> = Box::new(connecting.await?.into_inner());
            match is_https(&uri) {
                true => secured(tls, &uri, TokioIo::new(tcp)).await,
                false => Ok(TokioIo::new(tcp)),
            }
        })
    }
}

async fn secured(tls: Arc<ClientConfig>, uri: &Uri, io: BoxIo) -> Result<BoxIo, BoxError> {
    let host = uri.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned())?;
    let stream = TlsConnector::from(tls)
        .connect(name, io.into_inner())
        .await?;
    Ok(TokioIo::new(Box::new(stream)))
}

fn is_https(uri: &Uri) -> bool {
    uri.scheme_str() == Some("https")
}

type BoxError = Box<dyn Error + Send + Sync>;
type BoxIo = TokioIo<Box<dyn Io>>;

/// A connection, plain or TLS, whose responses are observed.
struct Stream {
    io: Box<dyn Io>,
    opened: Opened,
    /// Whether the other side is a proxy, which wants the whole address in the request line.
    is_proxied: bool,
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

impl Stream {
    fn over(io: BoxIo, is_proxied: bool) -> TokioIo<Self> {
        let opened = Opened {
            at: Instant::now(),
            status: Arc::default(),
        };
        TokioIo::new(Self {
            io: io.into_inner(),
            opened,
            is_proxied,
        })
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
            .proxy(self.is_proxied)
            .extra(self.opened.clone())
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.io).poll_read(context, buffer));
        self.opened.status.received(&buffer.filled()[before..]);
        Poll::Ready(read)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.opened.status.sent(bytes);
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[derive(Debug)]
struct ConnectTimeout;

impl fmt::Display for ConnectTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no connection in time")
    }
}

impl Error for ConnectTimeout {}

/// Shorter than the 5 s after which Node.js closes an idle connection: a delivery that meets the
/// close is sent again, and may have been processed already.
const IDLE: Duration = Duration::from_secs(4);

/// An application that closes a connection later than this has probably begun with the request.
const CLOSING_TIME: Duration = Duration::from_secs(1);

const MAX_HEADERS: usize = 512;

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::convert::Infallible;
    use std::future::{Ready, ready};
    use std::net::SocketAddr;

    use heygen_signature::Secret;
    use hyper_util::client::legacy::connect::dns::Name;
    use tokio::net::{TcpListener, TcpSocket, TcpStream};
    use tokio::time::timeout;

    use super::super::Forward;
    use super::*;

    /// Knows two addresses of every host.
    #[derive(Clone)]
    struct Two([SocketAddr; 2]);

    impl Service<Name> for Two {
        type Response = std::array::IntoIter<SocketAddr, 2>;
        type Error = Infallible;
        type Future = Ready<Result<Self::Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Name) -> Self::Future {
            ready(Ok(self.0.into_iter()))
        }
    }

    /// A listener that does not answer, and what makes it so.
    async fn silent() -> (SocketAddr, impl Sized) {
        let socket = TcpSocket::new_v4().expect("a socket");
        let any = "127.0.0.1:0".parse().expect("an address");
        socket.bind(any).expect("a free port");
        let full = socket.listen(1).expect("a listener");
        let address = full.local_addr().expect("its address");
        // No one accepts: once the queue is full, the system does not answer.
        let mut waiting = Vec::new();
        while let Ok(Ok(client)) =
            timeout(Duration::from_millis(500), TcpStream::connect(address)).await
        {
            waiting.push(client);
            assert!(waiting.len() < 100, "the queue is never full");
        }
        (address, (full, waiting))
    }

    #[tokio::test]
    async fn address_that_does_not_answer_leaves_time_for_the_next() {
        let (silent, _full) = silent().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let alive = listener.local_addr().expect("its address");
        let mut tcp = tcp(Two([silent, alive]), Duration::from_secs(2));
        let connecting = tcp.call(Uri::from_static("http://app.test/"));
        let connected = timeout(Duration::from_secs(60), connecting).await;
        let stream = connected.expect("in time").expect("the second answers");
        assert_eq!(stream.inner().peer_addr().ok(), Some(alive));
    }

    #[tokio::test]
    async fn application_that_does_not_answer_is_named_with_the_limit() {
        let (silent, _full) = silent().await;
        let options = ForwardOptions {
            connect_timeout: Duration::from_millis(50),
            ..ForwardOptions::default()
        };
        let url = format!("http://{silent}/");
        let secret = Secret::new("whsec_test").expect("a secret");
        let forward = Forward::with(&url, secret, options).expect("an address");
        // Two timers end at the same moment, and either may be noticed first.
        for _ in 0..10 {
            let request = Request::post(&url).body(Full::default()).expect("valid");
            let (_, sending) = forward.http.send(request);
            let sent = timeout(Duration::from_secs(60), sending).await;
            let error = sent.expect("in time").expect_err("no answer");
            assert_eq!(
                forward.failure(&error),
                format!("{url} could not be connected to within 50ms")
            );
        }
    }
}
