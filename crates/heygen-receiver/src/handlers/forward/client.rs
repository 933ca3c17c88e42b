//! [`HttpClient`]: HTTP/1.1 with connection reuse, which knows the status of a response even if the
//! rest cannot be read.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Extensions, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::{
    CaptureConnection, Connected, Connection, HttpConnector, capture_connection,
};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::status::{StatusLine, Tap};

/// An HTTP client with a connection pool.
pub(super) struct HttpClient {
    client: Client<Connector, Full<Bytes>>,
    connection_lifetime: Duration,
}

/// One request in progress.
pub(super) struct Exchange {
    connection: CaptureConnection,
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

impl HttpClient {
    pub(super) fn new(
        tls: ClientConfig,
        connect_timeout: Duration,
        connection_lifetime: Duration,
    ) -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        let connector = Connector {
            http,
            tls: Arc::new(tls),
            connect_timeout,
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
            connection_lifetime,
        }
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
        let exchange = Exchange { connection };
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

impl Exchange {
    /// The status that the response began with, whatever followed it.
    pub(super) fn status(&self) -> Option<StatusCode> {
        opened(&self.connection)?.status.get()
    }
}

impl SendError {
    fn of(error: ClientError) -> Self {
        if !error.is_connect() {
            return Self::Response(error);
        }
        let mut source = error.source();
        while let Some(cause) = source {
            if cause.is::<ConnectTimeout>() {
                return Self::ConnectTimeout;
            }
            source = cause.source();
        }
        Self::Connect(error)
    }
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

/// Opens connections.
#[derive(Clone)]
struct Connector {
    http: HttpConnector,
    tls: Arc<ClientConfig>,
    connect_timeout: Duration,
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.http.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let tls = Arc::clone(&self.tls);
        let timeout = self.connect_timeout;
        let connecting = self.http.call(uri.clone());
        let connecting = async move {
            let tcp = connecting.await?.into_inner();
            if uri.scheme_str() != Some("https") {
                return Ok(Stream::new(tcp));
            }
            let host = uri.host().unwrap_or_default();
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let name = ServerName::try_from(host.to_owned())?;
            let stream = TlsConnector::from(tls).connect(name, tcp).await?;
            Ok(Stream::new(stream))
        };
        Box::pin(async move {
            match tokio::time::timeout(timeout, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(ConnectTimeout.into()),
            }
        })
    }
}

/// A connection, plain or TLS.
struct Stream {
    io: TokioIo<Tap<Box<dyn Io>>>,
    opened: Opened,
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

impl Stream {
    fn new(io: impl Io + 'static) -> Self {
        let opened = Opened {
            at: Instant::now(),
            status: Arc::default(),
        };
        let io: Box<dyn Io> = Box::new(io);
        Self {
            io: TokioIo::new(Tap::new(io, Arc::clone(&opened.status))),
            opened,
        }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new().extra(self.opened.clone())
    }
}

impl hyper::rt::Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl hyper::rt::Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
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

/// Shorter than the 5 s after which Node.js closes an idle connection: a connection that is closed
/// while a delivery is being sent costs an attempt.
const IDLE: Duration = Duration::from_secs(4);

const MAX_HEADERS: usize = 512;
