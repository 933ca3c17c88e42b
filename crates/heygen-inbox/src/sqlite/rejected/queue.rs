//! [`Queue`]: the bounded queue of requests to write. [`Writer`]: the thread that writes them.

use std::collections::VecDeque;
use std::error::Error as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::options::{Quota, RingOptions};
use super::request::NewRejected;
use super::store::Store;
use crate::throttle::Throttle;
use crate::{InboxError, InboxErrorKind};

pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    dropped: AtomicU64,
    /// Of requests without and with a well-formed signature.
    quota: [Quota; 2],
}

#[derive(Default)]
struct State {
    queued: VecDeque<NewRejected>,
    used: [Quota; 2],
    /// How many were dropped since the last take.
    dropped: u64,
    is_closed: bool,
}

pub(super) struct Writer {
    path: PathBuf,
    options: RingOptions,
    queue: Arc<Queue>,
    /// `None` until there is something to write, and after a failure.
    store: Option<Store>,
    log_throttle: Throttle,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            dropped: AtomicU64::new(0),
            quota: Quota::new(MAX_REQUESTS, MAX_BYTES).shares(),
        }
    }

    pub(super) fn push(&self, rejected: NewRejected) {
        let class = usize::from(rejected.is_signed);
        let bytes = rejected.len() as u64;
        let quota = self.quota[class];
        let mut state = self.state();
        let used = &mut state.used[class];
        if used.requests >= quota.requests || used.bytes + bytes > quota.bytes {
            state.dropped += 1;
            drop(state);
            self.drop_requests(1);
            return;
        }
        used.requests += 1;
        used.bytes += bytes;
        state.queued.push_back(rejected);
        drop(state);
        self.changed.notify_one();
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_one();
    }

    /// Waits for requests and takes all of them, with how many were dropped meanwhile; `None` after
    /// the queue was closed.
    fn take(&self) -> Option<(Vec<NewRejected>, u64)> {
        let mut state = self.state();
        while state.queued.is_empty() {
            if state.is_closed {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.used = Default::default();
        let dropped = std::mem::take(&mut state.dropped);
        Some((state.queued.drain(..).collect(), dropped))
    }

    /// Waits for that time, or until the queue is closed.
    fn pause(&self, time: Duration) {
        let state = self.state();
        let waited = self
            .changed
            .wait_timeout_while(state, time, |state| !state.is_closed);
        drop(waited);
    }

    fn drop_requests(&self, requests: usize) {
        self.dropped.fetch_add(requests as u64, Ordering::Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    pub(super) fn new(path: PathBuf, options: RingOptions, queue: Arc<Queue>) -> Self {
        Self {
            path,
            options,
            queue,
            store: None,
            log_throttle: Throttle::new(LOG_INTERVAL),
        }
    }

    pub(super) fn run(mut self) {
        // How many could not be written, to be counted with the next ones.
        let mut failed = 0;
        while let Some((batch, dropped)) = self.queue.take() {
            let dropped = dropped + std::mem::take(&mut failed);
            let written = catch_unwind(AssertUnwindSafe(|| self.write(&batch, dropped)));
            let panicked = |_| Err(InboxError::new(InboxErrorKind::Storage, "writing panicked"));
            if let Err(error) = written.unwrap_or_else(panicked) {
                // Opened again before the next batch: the file may have been moved, or the disk
                // have room again.
                self.store = None;
                self.queue.drop_requests(batch.len());
                failed = dropped + batch.len() as u64;
                self.log_error(&error, batch.len());
            }
            drop(batch);
            self.queue.pause(self.options.commit_pause);
        }
    }

    fn write(&mut self, batch: &[NewRejected], dropped: u64) -> Result<(), InboxError> {
        // A file that was removed is closed, and a new one is created.
        self.store = self.store.take().filter(Store::is_in_place);
        let store = match &mut self.store {
            Some(store) => store,
            none => none.insert(Store::open(&self.path, &self.options)?),
        };
        store.write(batch, dropped)
    }

    /// Logs at most once a minute, because strangers decide how often this happens.
    fn log_error(&mut self, error: &InboxError, requests: usize) {
        if !self.log_throttle.passes(Instant::now()) {
            return;
        }
        let cause = error.source().map(ToString::to_string);
        tracing::warn!(%error, cause, requests, "rejected requests were not recorded; deliveries are still stored");
    }
}

/// How many requests, and bytes of them, may wait to be written.
const MAX_REQUESTS: u64 = 512;
const MAX_BYTES: u64 = 8 * 1024 * 1024;

const LOG_INTERVAL: Duration = Duration::from_secs(60);
