//! [`Activity`]: the state of an open connection, for its own task and for the one that closes slow
//! connections.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::Instant;

use crate::limits::Limits;
use crate::not_http::NotHttp;
use crate::panics::locked;

/// How a connection is served.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Admission {
    Full,
    /// Over the limit: probes pass, deliveries get 503.
    ProbesOnly,
}

/// What a connection is doing, and since when.
///
/// hyper times headers only from their first byte and only on HTTP/1. This also covers the time
/// before the first byte, the choice of the protocol, and the time between requests.
#[derive(Debug)]
pub(super) struct Activity {
    admission: Admission,
    /// Released when the connection is to be closed, which may be earlier than its end.
    permit: Mutex<Option<OwnedSemaphorePermit>>,
    closing: Notify,
    opened: Instant,
    in_flight: AtomicUsize,
    /// When the current wait began, in milliseconds after `opened`.
    since: AtomicU64,
    /// Whether part of the headers has arrived, and not all of them.
    in_header: AtomicBool,
    /// Whether the client may still be sending a body that was not read.
    linger: AtomicBool,
    /// Whether no new request is accepted, because the client did not finish one.
    is_given_up: AtomicBool,
    not_http: OnceLock<NotHttp>,
    /// Whether a request was read.
    is_http: AtomicBool,
}

impl Activity {
    /// A new connection must send headers at once.
    pub(super) fn new(admission: Admission, permit: OwnedSemaphorePermit) -> Self {
        Self {
            admission,
            permit: Mutex::new(Some(permit)),
            closing: Notify::new(),
            opened: Instant::now(),
            in_flight: AtomicUsize::new(0),
            since: AtomicU64::new(0),
            in_header: AtomicBool::new(true),
            linger: AtomicBool::new(false),
            is_given_up: AtomicBool::new(false),
            not_http: OnceLock::new(),
            is_http: AtomicBool::new(false),
        }
    }

    pub(super) fn request_begins(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.in_header.store(false, Ordering::Relaxed);
        self.is_http.store(true, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// When the current wait ends the connection; `None` during a request, which has its own
    /// limits.
    pub(super) fn deadline(&self, limits: &Limits) -> Option<Instant> {
        if self.is_in_request() {
            return None;
        }
        let timeout = if self.is_slow() {
            limits.header_timeout
        } else {
            limits.keep_alive
        };
        // A deadline past the end of the clock is none.
        self.waits_since().checked_add(timeout)
    }

    pub(super) fn is_in_request(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
    }

    pub(super) fn admission(&self) -> Admission {
        self.admission
    }

    /// How long the client has been silent, if the connection may be closed to make room: at any
    /// time within the headers, and between requests after `header_timeout`, or at any time if it is
    /// for probes only, of which each needs one answer.
    pub(super) fn idles_for(&self, limits: &Limits) -> Option<Duration> {
        if self.is_in_request() || self.is_closed() {
            return None;
        }
        let wait = self.waits_since().elapsed();
        let is_closable = self.is_slow()
            || self.admission == Admission::ProbesOnly
            || wait >= limits.header_timeout;
        is_closable.then_some(wait)
    }

    /// Ends the connection soon: an HTTP/2 connection would hold the memory of its streams.
    pub(super) fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Relaxed)
    }

    fn is_slow(&self) -> bool {
        self.in_header.load(Ordering::Relaxed) || self.is_given_up()
    }

    /// Closes the connection at once and releases its permit.
    pub(super) fn close(&self) {
        drop(locked(&self.permit).take());
        self.closing.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        locked(&self.permit).is_none()
    }

    /// Returns when the connection must be closed.
    pub(super) async fn closed(&self) {
        self.closing.notified().await;
    }

    fn waits_since(&self) -> Instant {
        let since = Duration::from_millis(self.since.load(Ordering::Relaxed));
        self.opened.checked_add(since).unwrap_or(self.opened)
    }

    pub(super) fn is_not_http(&self, found: NotHttp) {
        let _ = self.not_http.set(found);
    }

    /// What its first bytes are, unless they were read as a request.
    pub(super) fn not_http(&self) -> Option<NotHttp> {
        let found = self.not_http.get().copied();
        found.filter(|_| !self.is_http.load(Ordering::Relaxed))
    }

    pub(super) fn linger(&self) {
        self.linger.store(true, Ordering::Relaxed);
    }

    pub(super) fn lingers(&self) -> bool {
        self.linger.load(Ordering::Relaxed)
    }

    pub(super) fn bytes_arrived(&self) {
        if !self.is_in_request() && !self.in_header.swap(true, Ordering::Relaxed) {
            self.waits_from_now();
        }
    }

    fn waits_from_now(&self) {
        let since = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.since.store(since, Ordering::Relaxed);
    }
}

/// A request in progress.
pub(super) struct InFlight(Arc<Activity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.waits_from_now();
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
