//! [`HttpClient`]: HTTP/1.1 to one server, directly or through a proxy, with the connections reused.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use heygen_http::tls_config;
use http::header::PROXY_AUTHORIZATION;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::dns::GaiResolver;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::legacy::{self, Client};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tower_service::Service;

use super::base_url::BaseUrl;
use crate::ApiError;

/// Sends requests; redirects are answers like any other.
///
/// It is made of hyper, and not of a client with cargo features of its own: those that this crate
/// turned on would be turned on in the client of the whole program.
pub(super) struct HttpClient {
    client: Client<HttpsConnector<Dial>, Full<Bytes>>,
    /// The proxy of plain `http`, which reads the requests.
    reading_proxy: Option<Intercept>,
}

impl HttpClient {
    /// `timeout` is that of a request with its whole answer.
    pub(super) fn new(base: &BaseUrl, timeout: Duration) -> Result<Self, ApiError> {
        // Loopback of the proxy is another machine.
        let matcher = (!base.is_loopback()).then(Matcher::from_env);
        Self::through(base, matcher.as_ref(), timeout)
    }

    fn through(
        base: &BaseUrl,
        matcher: Option<&Matcher>,
        timeout: Duration,
    ) -> Result<Self, ApiError> {
        let server = base.uri()?;
        let proxy = matcher.and_then(|matcher| matcher.intercept(&server));
        let is_https_proxy = proxy.as_ref().is_some_and(|proxy| is_https(proxy.uri()));
        let tls = tls_config(base.is_https() || is_https_proxy).map_err(|error| {
            ApiError::config("TLS cannot be set up: the system certificates may be missing")
                .with_source(error)
        })?;
        let tcp = tcp(GaiResolver::new(), timeout);
        let dial = Dial {
            hop: HttpsConnector::from((tcp.clone(), tls.clone())),
            tcp,
            proxy: proxy.clone(),
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(HttpsConnector::from((dial, tls)));
        Ok(Self {
            client,
            reading_proxy: proxy.filter(|_| !base.is_https()),
        })
    }

    /// The answer, as far as its headers.
    pub(super) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, legacy::Error> {
        // In front of a tunnel, `Dial` sends it.
        if let Some(authorization) = self.reading_proxy.as_ref().and_then(Intercept::basic_auth) {
            let headers = request.headers_mut();
            headers.insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        self.client.request(request).await
    }
}

/// Tries the addresses of a host in turn, each for its share of the time, so that one that does not
/// answer leaves some to the next.
fn tcp<R>(resolver: R, timeout: Duration) -> HttpConnector<R> {
    let mut tcp = HttpConnector::new_with_resolver(resolver);
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_connect_timeout(Some(timeout));
    tcp
}

/// Connects to the server or, through a proxy, up to it. TLS with the server follows.
#[derive(Clone)]
struct Dial {
    tcp: HttpConnector,
    /// To a proxy, which may want TLS of its own.
    hop: HttpsConnector<HttpConnector>,
    proxy: Option<Intercept>,
}

impl Service<Uri> for Dial {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.hop.poll_ready(context)
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let Self {
            mut tcp,
            mut hop,
            proxy,
        } = self.clone();
        Box::pin(async move {
            let Some(proxy) = proxy else {
                let io = MaybeHttpsStream::Http(tcp.call(server).await?);
                return Ok(Stream { io, is_read: false });
            };
            if !matches!(proxy.uri().scheme_str(), Some("http" | "https")) {
                return Err(io::Error::other("the proxy is neither http nor https").into());
            }
            if !is_https(&server) {
                let io = hop.call(proxy.uri().clone()).await?;
                return Ok(Stream { io, is_read: true });
            }
            let mut tunnel = Tunnel::new(proxy.uri().clone(), hop);
            if let Some(authorization) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(authorization.clone());
            }
            let io = tunnel.call(server).await?;
            Ok(Stream { io, is_read: false })
        })
    }
}

fn is_https(uri: &Uri) -> bool {
    uri.scheme_str() == Some("https")
}

type BoxError = Box<dyn Error + Send + Sync>;

/// A connection to the server, to a proxy, or a tunnel through one.
struct Stream {
    io: MaybeHttpsStream<TokioIo<TcpStream>>,
    /// Whether a proxy reads the requests, and so wants the whole address in each.
    is_read: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.is_read)
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

/// Finds connections that a router on the way has forgotten.
const KEEPALIVE: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// What a proxy with a password reads first of a request to `server`; it answers 407.
    async fn seen_by_proxy(server: &str) -> (String, Result<u16, ApiError>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let proxy = tokio::spawn(async move {
            let (mut peer, _) = listener.accept().await.unwrap();
            let mut seen = Vec::new();
            while !seen.ends_with(b"\r\n\r\n") {
                seen.push(peer.read_u8().await.unwrap());
            }
            let answer = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
            peer.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(seen).unwrap()
        });
        let matcher = Matcher::builder()
            .all(format!("http://me:hush@{address}"))
            .no("direct.invalid")
            .build();
        let base = BaseUrl::parse(server, true).unwrap();
        let client = HttpClient::through(&base, Some(&matcher), AMPLE).unwrap();
        let request = Request::get(base.uri().unwrap()).body(Full::default());
        let answer = client.send(request.unwrap()).await;
        let answer = answer.map(|answer| answer.status().as_u16());
        let answer = answer.map_err(|error| {
            assert!(error.is_connect(), "{error:?}");
            ApiError::not_connected(error)
        });
        (proxy.await.unwrap(), answer)
    }

    #[tokio::test]
    async fn proxy_reads_plain_requests_and_tunnels_the_others() {
        let (seen, answer) = seen_by_proxy("http://sandbox.invalid:8090/v3").await;
        assert!(seen.starts_with("GET http://sandbox.invalid:8090/v3 HTTP/1.1\r\n"));
        assert!(seen.contains("proxy-authorization: Basic bWU6aHVzaA=="));
        assert_eq!(answer.unwrap(), 407);

        let (seen, answer) = seen_by_proxy("https://api.invalid").await;
        assert!(seen.starts_with("CONNECT api.invalid:443 HTTP/1.1\r\n"));
        assert!(seen.contains("Proxy-Authorization: Basic bWU6aHVzaA=="));
        assert!(answer.is_err(), "there is no tunnel");
    }

    #[test]
    fn exceptions_are_reached_directly() {
        let matcher = Matcher::builder()
            .all("http://127.0.0.1:9")
            .no("direct.invalid")
            .build();
        let base = BaseUrl::parse("http://direct.invalid", true).unwrap();
        let client = HttpClient::through(&base, Some(&matcher), AMPLE).unwrap();
        assert!(client.reading_proxy.is_none());
    }

    // Elsewhere a full queue refuses connections.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn address_that_does_not_answer_leaves_time_for_the_next() {
        use std::convert::Infallible;
        use std::future::{Ready, ready};
        use std::net::SocketAddr;

        use hyper_util::client::legacy::connect::dns::Name;
        use tokio::net::TcpSocket;
        use tokio::time::timeout;

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

        let socket = TcpSocket::new_v4().unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        socket.bind(any).unwrap();
        let full = socket.listen(1).unwrap();
        let silent = full.local_addr().unwrap();
        // No one accepts: once the queue is full, the system does not answer.
        let mut waiting = Vec::new();
        while let Ok(Ok(client)) =
            timeout(Duration::from_millis(500), TcpStream::connect(silent)).await
        {
            waiting.push(client);
            assert!(waiting.len() < 100, "the queue is never full");
        }
        let listener = TcpListener::bind(any).await.unwrap();
        let alive = listener.local_addr().unwrap();
        let mut tcp = tcp(Two([silent, alive]), Duration::from_secs(2));
        let connecting = tcp.call(Uri::from_static("http://api.invalid/"));
        let connected = timeout(AMPLE, connecting).await.unwrap();
        let stream = connected.unwrap();
        assert_eq!(stream.inner().peer_addr().unwrap(), alive);
    }

    const AMPLE: Duration = Duration::from_secs(60);
}
