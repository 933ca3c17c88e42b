//! [`Activity`]: what is known of an open connection, for its own task and for the one that makes
//! room.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::permit::{Admission, ConnectionPermit};
use crate::limits::Limits;

/// Where a connection stands, and since when.
///
/// hyper times a header only from its first byte and only on HTTP/1; this watch also covers the time before the first byte,
/// the choice of the protocol, and the wait between requests.
#[derive(Debug)]
pub(super) struct Activity {
    admission: Admission,
    /// Given back when the connection is to be closed, which may be before it is.
    permit: Mutex<Option<ConnectionPermit>>,
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
    pub(super) fn new(permit: ConnectionPermit) -> Self {
        Self {
            admission: permit.admission(),
            permit: Mutex::new(Some(permit)),
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
        let patience = if self.is_slow() {
            limits.header_timeout
        } else {
            limits.keep_alive
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
        (self.is_slow() || wait >= limits.header_timeout).then_some(wait)
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

    /// Has the connection closed at once; its permit is free from now on.
    pub(super) fn close(&self) {
        drop(self.permit().take());
        self.closing.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.permit().is_none()
    }

    /// Returns when the connection is to be closed.
    pub(super) async fn closed(&self) {
        self.closing.notified().await;
    }

    fn permit(&self) -> MutexGuard<'_, Option<ConnectionPermit>> {
        self.permit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waits_since(&self) -> Instant {
        let since = Duration::from_millis(self.since.load(Ordering::Relaxed));
        self.opened.checked_add(since).unwrap_or(self.opened)
    }

    pub(super) fn linger(&self) {
        self.linger.store(true, Ordering::Relaxed);
    }

    pub(super) fn lingers(&self) -> bool {
        self.linger.load(Ordering::Relaxed)
    }

    pub(super) fn bytes_came(&self) {
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
