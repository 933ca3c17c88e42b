//! [`IoGuard`]: a connection's bytes, watched. [`Activity`]: what its watch knows.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep};

use super::open::{Admission, Place};
use crate::Limits;

/// Where a connection stands, and since when.
///
/// hyper times a header only from its first byte and only on HTTP/1; this watch also covers the time before the first byte,
/// the choice of the protocol, and the wait between requests.
#[derive(Debug)]
pub(super) struct Activity {
    admission: Admission,
    /// Given back when the connection is to be closed, which may be before it is.
    place: Mutex<Option<Place>>,
    closing: Notify,
    opened: Instant,
    in_flight: AtomicUsize,
    /// Milliseconds after `opened` at which the present wait began.
    since: AtomicU64,
    /// Whether part of a header has come, and not all of it.
    in_header: AtomicBool,
    /// Whether the peer may still be sending what we did not want.
    linger: AtomicBool,
    /// Whether the peer has not sent what it began, so that nothing new is to come by this connection.
    is_given_up: AtomicBool,
}

impl Activity {
    /// A new connection owes us a header at once.
    pub(super) fn new(place: Place) -> Self {
        Self {
            admission: place.admission(),
            place: Mutex::new(Some(place)),
            closing: Notify::new(),
            opened: Instant::now(),
            in_flight: AtomicUsize::new(0),
            since: AtomicU64::new(0),
            in_header: AtomicBool::new(true),
            linger: AtomicBool::new(false),
            is_given_up: AtomicBool::new(false),
        }
    }

    pub(super) fn request_begins(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.in_header.store(false, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// When the present wait has lasted long enough to end the connection; `None` while a request is under way, which has
    /// limits of its own.
    pub(super) fn deadline(&self, limits: &Limits) -> Option<Instant> {
        if self.in_flight.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let patience = match self.is_slow() {
            true => limits.header_time,
            false => limits.keep_alive,
        };
        // A patience past the end of time has no end.
        self.waits_since().checked_add(patience)
    }

    pub(super) fn admission(&self) -> Admission {
        self.admission
    }

    /// How long the client has kept its server waiting, if so long or in such a way that the connection may be closed to make
    /// room: in the middle of a header at any time, between requests after the time that a header may take.
    pub(super) fn idles_for(&self, limits: &Limits) -> Option<Duration> {
        if self.in_flight.load(Ordering::Relaxed) > 0 || self.is_closed() {
            return None;
        }
        let wait = self.waits_since().elapsed();
        (self.is_slow() || wait >= limits.header_time).then_some(wait)
    }

    /// Has the connection end soon, with what is under way: over HTTP/2 it would hold the memory of its streams.
    pub(super) fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Relaxed)
    }

    fn is_slow(&self) -> bool {
        self.in_header.load(Ordering::Relaxed) || self.is_given_up()
    }

    /// Has the connection closed at once; its place is free from now on.
    pub(super) fn close(&self) {
        drop(self.place().take());
        self.closing.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.place().is_none()
    }

    /// Returns when the connection is to be closed.
    pub(super) async fn closed(&self) {
        self.closing.notified().await;
    }

    fn place(&self) -> MutexGuard<'_, Option<Place>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waits_since(&self) -> Instant {
        let since = Duration::from_millis(self.since.load(Ordering::Relaxed));
        self.opened.checked_add(since).unwrap_or(self.opened)
    }

    pub(super) fn linger(&self) {
        self.linger.store(true, Ordering::Relaxed);
    }

    fn bytes_came(&self) {
        let is_waiting = self.in_flight.load(Ordering::Relaxed) == 0;
        if is_waiting && !self.in_header.swap(true, Ordering::Relaxed) {
            self.waits_from_now();
        }
    }

    fn waits_from_now(&self) {
        let since = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.since.store(since, Ordering::Relaxed);
    }
}

/// A request under way.
pub(super) struct InFlight(Arc<Activity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.waits_from_now();
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The stream under hyper. Tells the watch when bytes come, and ends a refused request gently.
///
/// Under TLS it lies above it and sees what was decrypted: the bytes of a handshake, or half a record, prolong nothing.
pub(super) struct IoGuard<S> {
    stream: S,
    activity: Arc<Activity>,
    closing: Option<Closing>,
    first: First,
}

/// The first bytes tell the protocol. On HTTP/2 bytes may come at any time without being a header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum First {
    /// So many bytes of the HTTP/2 preface have come.
    Preface(usize),
    Http1,
    Http2,
}

/// After our answer to a request that we did not read whole: closing with unread bytes would make the system reset the
/// connection, and the peer would lose the answer. So what still comes is thrown away, for a while.
struct Closing {
    until: Pin<Box<Sleep>>,
    left: usize,
    shut: bool,
}

impl<S> IoGuard<S> {
    pub(super) fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self {
            stream,
            activity,
            closing: None,
            first: First::Preface(0),
        }
    }

    fn note(&mut self, bytes: &[u8]) {
        if let First::Preface(seen) = self.first {
            let expected = &PREFACE[seen..PREFACE.len().min(seen + bytes.len())];
            self.first = match bytes.starts_with(expected) {
                true if seen + expected.len() == PREFACE.len() => First::Http2,
                true => First::Preface(seen + expected.len()),
                false => First::Http1,
            };
        }
        if self.first != First::Http2 {
            self.activity.bytes_came();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for IoGuard<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        let new = &buf.filled()[before..];
        if !new.is_empty() {
            this.note(new);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for IoGuard<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.activity.linger.load(Ordering::Relaxed) {
            return Pin::new(&mut this.stream).poll_shutdown(cx);
        }
        let closing = this.closing.get_or_insert_with(|| Closing {
            until: Box::pin(tokio::time::sleep(LINGER_TIME)),
            left: LINGER_BYTES,
            shut: false,
        });
        if !closing.shut {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            closing.shut = true;
        }
        let mut scrap = [0; 4096];
        while closing.left > 0 && closing.until.as_mut().poll(cx).is_pending() {
            let mut buf = ReadBuf::new(&mut scrap);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut buf))?;
            let came = buf.filled().len();
            if came == 0 {
                break;
            }
            closing.left = closing.left.saturating_sub(came);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const LINGER_TIME: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 8 * 1024 * 1024;
