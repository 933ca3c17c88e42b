//! Serves one connection.

use std::convert::Infallible;
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use heygen_inbox::Inbox;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;
#[cfg(feature = "tls")]
use tokio_rustls::server::TlsStream;

use super::activity::{Activity, Admission};
use super::io_guard::IoGuard;
#[cfg(feature = "tls")]
use super::tls::ServerTls;
use super::transport::Transport;
use crate::listener::Stream;
use crate::not_http::NotHttp;
use crate::service::MAX_HEADERS;
use crate::service::Receiver;

/// Serves until the client or a limit ends the connection, or `stopping` turns true and the
/// requests in progress are answered.
pub(super) async fn serve<I: Inbox>(
    stream: Stream,
    transport: Transport,
    receiver: Receiver<I>,
    // Times the headers from the start of the connection, TLS included.
    activity: Arc<Activity>,
    stopping: watch::Receiver<bool>,
) {
    match transport {
        Transport::Plain => serve_http(stream, activity, receiver, stopping).await,
        #[cfg(feature = "tls")]
        Transport::Tls(tls) => {
            // Boxed, so that plain connections do not need the space.
            let handshake = handshake(stream, &tls, &receiver, &activity, stopping.clone());
            let handshake = Box::pin(handshake);
            if let Some(stream) = handshake.await {
                Box::pin(serve_http(stream, activity, receiver, stopping)).await;
            }
        }
    }
}

/// `None` when the handshake fails or takes longer than a header may, or when the server stops.
#[cfg(feature = "tls")]
async fn handshake<I: Inbox>(
    stream: Stream,
    tls: &ServerTls,
    receiver: &Receiver<I>,
    activity: &Activity,
    stopping: watch::Receiver<bool>,
) -> Option<TlsStream<Stream>> {
    let time = receiver.limits().header_timeout;
    tokio::select! {
        shaken = tokio::time::timeout(time, tls.acceptor().accept(stream)) => match shaken {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                match instead_of_handshake(&error) {
                    Some(found) => receiver.was_not_http(found),
                    // Only for debugging: scanners cause many of these.
                    None => tracing::debug!(%error, "TLS handshake failed"),
                }
                None
            }
            Err(_) => {
                tracing::debug!("TLS handshake took too long");
                None
            }
        },
        () = activity.closed() => None,
        () = stopped(stopping) => None,
    }
}

/// What a client that HeyGen sends through may have sent.
#[cfg(feature = "tls")]
fn instead_of_handshake(error: &std::io::Error) -> Option<NotHttp> {
    use rustls::{AlertDescription as Alert, Error, InvalidMessage};
    match error.get_ref()?.downcast_ref()? {
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => Some(NotHttp::NotTls),
        Error::AlertReceived(
            Alert::BadCertificate
            | Alert::CertificateExpired
            | Alert::CertificateRevoked
            | Alert::CertificateUnknown
            // Its signature is of another authority.
            | Alert::DecryptError
            | Alert::UnknownCA
            | Alert::UnsupportedCertificate,
        ) => Some(NotHttp::Distrust),
        _ => None,
    }
}

async fn serve_http<S, I>(
    stream: S,
    activity: Arc<Activity>,
    receiver: Receiver<I>,
    stopping: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    I: Inbox,
{
    let limits = receiver.limits().clone();
    let io = TokioIo::new(IoGuard::new(stream, Arc::clone(&activity)));
    let service = {
        let activity = Arc::clone(&activity);
        let receiver = receiver.clone();
        service_fn(move |request: Request<Incoming>| {
            let in_flight = activity.request_begins();
            let activity = Arc::clone(&activity);
            let receiver = receiver.clone();
            let is_http2 = request.version() == http::Version::HTTP_2;
            async move {
                let admission = activity.admission();
                let response = match admission {
                    Admission::Full => receiver.receive(request).await,
                    Admission::ProbesOnly => receiver.shed(&request),
                };
                if response.headers().contains_key(http::header::CONNECTION) {
                    activity.linger();
                }
                // HTTP/2 has no `Connection: close`, and a proxy would keep a connection that
                // accepts no POSTs.
                let is_shed = is_http2
                    && admission == Admission::ProbesOnly
                    && response.status() == http::StatusCode::SERVICE_UNAVAILABLE;
                if is_shed || response.status() == http::StatusCode::REQUEST_TIMEOUT {
                    activity.give_up();
                }
                drop(in_flight);
                Ok::<_, Infallible>(response)
            }
        })
    };
    let builder = builder();
    let mut connection = pin!(builder.serve_connection(io, service));
    let mut stop = pin!(stopped(stopping));
    let (mut is_stopping, mut is_closing) = (false, false);
    let mut clock = pin!(tokio::time::sleep(LOOK_AGAIN));
    let mut closed = pin!(activity.closed());
    let end = poll_fn(|cx| {
        if let Poll::Ready(end) = connection.as_mut().poll(cx) {
            // hyper has answered, or the client is gone.
            if let Err(error) = end {
                let error = error.downcast_ref::<hyper::Error>();
                let is_too_large = error.is_some_and(hyper::Error::is_parse_too_large);
                if is_too_large {
                    receiver.headers_were_rejected();
                }
                let found = match activity.not_http() {
                    Some(NotHttp::PostHead) if is_too_large => Some(NotHttp::LargePostHead),
                    Some(NotHttp::PostHead) => {
                        let is_unreadable = error.is_some_and(hyper::Error::is_parse);
                        is_unreadable.then_some(NotHttp::PostHead)
                    }
                    found => found,
                };
                if let Some(found) = found {
                    receiver.was_not_http(found);
                }
            }
            return Poll::Ready(End::Closed);
        }
        is_closing = is_closing || closed.as_mut().poll(cx).is_ready();
        // A request that began meanwhile is answered first.
        if is_closing && !activity.is_in_request() {
            return Poll::Ready(End::Closed);
        }
        if !is_stopping && (activity.is_given_up() || stop.as_mut().poll(cx).is_ready()) {
            is_stopping = true;
            connection.as_mut().graceful_shutdown();
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(End::Closed);
            }
        }
        // After every step of the connection, since bytes or a response may have moved the
        // deadline. The timer is reset at once only if it would fire too late; if it fires too
        // early it is reset then, which saves a busy connection two resets a request.
        loop {
            let deadline = activity.deadline(&limits);
            if let Some(deadline) = deadline
                && deadline < clock.deadline()
            {
                clock.as_mut().reset(deadline);
            }
            ready!(clock.as_mut().poll(cx));
            let now = Instant::now();
            match deadline {
                Some(deadline) if deadline <= now => return Poll::Ready(End::Late),
                Some(deadline) => clock.as_mut().reset(deadline),
                None => clock.as_mut().reset(now + LOOK_AGAIN),
            }
        }
    })
    .await;
    match end {
        End::Closed => {}
        End::Late => {
            // An HTTP/2 client gets a GOAWAY; an idle HTTP/1 client just sees the end.
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(GOODBYE, connection).await;
        }
    }
}

enum End {
    /// By itself, by the client, or to make room for another.
    Closed,
    /// By a timeout.
    Late,
}

/// Returns when the server stops or is dropped.
async fn stopped(mut stopping: watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // A client that has sent all it has to send may close its side, and still wants an answer.
        .half_close(true)
        // Timed by `Activity`, which also sees the time before the first byte.
        .header_read_timeout(None)
        .max_buf_size(MAX_HEADER_BYTES)
        // The receiver rejects and counts more than the limit, as on HTTP/2; hyper rejects far
        // more.
        .max_headers(2 * MAX_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES as u32)
        .initial_stream_window_size(H2_WINDOW)
        .initial_connection_window_size(H2_WINDOW);
    builder
}

const MAX_HEADER_BYTES: usize = 16 * 1024;

/// HeyGen needs one; a proxy with a single connection queues the rest for a moment.
const MAX_STREAMS: u32 = 16;
const H2_WINDOW: u32 = 256 * 1024;
const GOODBYE: Duration = Duration::from_millis(500);

/// How often a connection with a request in progress is checked if nothing else wakes it.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
