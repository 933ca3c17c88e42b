//! One connection, from its first byte to its end.

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
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
#[cfg(feature = "tls")]
use tokio_rustls::server::TlsStream;

use super::io_guard::{Activity, IoGuard};
#[cfg(feature = "tls")]
use super::tls::ServerTls;
use super::transport::Transport;
use crate::Receiver;

/// How far a connection is served.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Admission {
    Full,
    /// Over the limit: probes pass, deliveries are sent away.
    ProbesOnly,
}

impl Admission {
    /// For the connection that makes `open` of them; `None` when it is too many even for a 503.
    pub(super) fn of(open: usize, max_connections: usize) -> Option<Self> {
        if open <= max_connections {
            return Some(Self::Full);
        }
        let reserve = (max_connections / 10).max(16);
        (open - max_connections <= reserve).then_some(Self::ProbesOnly)
    }
}

/// Serves until the peer or a limit ends the connection, or `stopping` turns true and the requests under way are answered.
pub(super) async fn serve<I: Inbox>(
    stream: TcpStream,
    transport: Transport,
    receiver: Receiver<I>,
    admission: Admission,
    stopping: watch::Receiver<bool>,
) {
    // From here on the peer owes us a header, whatever has to be said before it.
    let activity = Arc::new(Activity::new());
    match transport {
        Transport::Plain => serve_http(stream, activity, receiver, admission, stopping).await,
        #[cfg(feature = "tls")]
        Transport::Tls(tls) => {
            let time = receiver.limits().header_time;
            // Boxed, so that plain connections need not have the room.
            let shaking = Box::pin(shake_hands(stream, &tls, time, stopping.clone()));
            if let Some(stream) = shaking.await {
                Box::pin(serve_http(stream, activity, receiver, admission, stopping)).await;
            }
        }
    }
}

/// `None` when the peer speaks no TLS, or not as we do, or takes longer than `time`, or when the server stops.
#[cfg(feature = "tls")]
async fn shake_hands(
    stream: TcpStream,
    tls: &ServerTls,
    time: Duration,
    stopping: watch::Receiver<bool>,
) -> Option<TlsStream<TcpStream>> {
    tokio::select! {
        shaken = tokio::time::timeout(time, tls.acceptor().accept(stream)) => match shaken {
            Ok(Ok(stream)) => Some(stream),
            // What the peer did wrong is its own affair: the internet is full of those who only try.
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
            Err(_) => {
                tracing::debug!("a TLS handshake took too long");
                None
            }
        },
        () = stop_is_asked(stopping) => None,
    }
}

async fn serve_http<S, I>(
    stream: S,
    activity: Arc<Activity>,
    receiver: Receiver<I>,
    admission: Admission,
    stopping: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    I: Inbox,
{
    let limits = receiver.limits().clone();
    let io = TokioIo::new(IoGuard::new(stream, Arc::clone(&activity)));
    let service = {
        let activity = Arc::clone(&activity);
        service_fn(move |request: Request<Incoming>| {
            let in_flight = activity.request_begins();
            let activity = Arc::clone(&activity);
            let receiver = receiver.clone();
            async move {
                let response = match admission {
                    Admission::Full => receiver.receive(request).await,
                    Admission::ProbesOnly => receiver.shed(&request),
                };
                if response.headers().contains_key(http::header::CONNECTION) {
                    activity.linger();
                }
                drop(in_flight);
                Ok::<_, Infallible>(response)
            }
        })
    };
    let builder = builder();
    let mut connection = pin!(builder.serve_connection(io, service));
    let mut stop = pin!(stop_is_asked(stopping));
    let mut is_stopping = false;
    let mut clock = pin!(tokio::time::sleep(LOOK_AGAIN));
    let end = poll_fn(|cx| {
        if connection.as_mut().poll(cx).is_ready() {
            // However it ended, there is nobody left to tell; what the peer did wrong is its own affair.
            return Poll::Ready(End::Closed);
        }
        if !is_stopping && stop.as_mut().poll(cx).is_ready() {
            is_stopping = true;
            connection.as_mut().graceful_shutdown();
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(End::Closed);
            }
        }
        // After every step of the connection: bytes that came or an answer that went may have moved the deadline. The clock
        // follows at once only where it would ring too late; one that rings too early is set anew then, which spares a busy
        // connection two settings a request.
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
            // A peer on HTTP/2 is told; one on HTTP/1 that waits between requests just sees the end.
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(GOODBYE, connection).await;
        }
    }
}

enum End {
    Closed,
    /// The peer let its time run out.
    Late,
}

/// Also when the server is gone without a word.
async fn stop_is_asked(mut stopping: watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // Timed by `Activity`, which also sees the time before the first byte.
        .header_read_timeout(None)
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES as u32)
        .initial_stream_window_size(H2_WINDOW)
        .initial_connection_window_size(H2_WINDOW);
    builder
}

const MAX_HEADER_BYTES: usize = 32 * 1024;
const MAX_HEADERS: usize = 100;
const MAX_STREAMS: u32 = 128;
const H2_WINDOW: u32 = 256 * 1024;
const GOODBYE: Duration = Duration::from_millis(500);

/// How often a connection with a request under way is looked at, should nothing else wake it.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
