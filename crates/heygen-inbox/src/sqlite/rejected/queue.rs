//! [`Queue`]: what waits to be written, bounded. [`Writer`]: the thread that writes it.

use std::collections::VecDeque;
use std::error::Error as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::options::{RingOptions, Room};
use super::request::NewRejected;
use super::store::Store;
use crate::{InboxError, InboxErrorKind};

pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    dropped: AtomicU64,
    /// For posts without and with a well-formed signature.
    room: [Room; 2],
}

#[derive(Default)]
struct State {
    waiting: VecDeque<NewRejected>,
    loads: [Room; 2],
    is_closed: bool,
}

pub(super) struct Writer {
    path: PathBuf,
    options: RingOptions,
    queue: Arc<Queue>,
    /// `None` until there is something to write, and after a failure.
    store: Option<Store>,
    told_at: Option<Instant>,
}

impl Queue {
    pub(super) fn new(options: &RingOptions) -> Self {
        let room = Room::new(options.queue_capacity as u64, options.queue_bytes as u64);
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            dropped: AtomicU64::new(0),
            room: room.shares(),
        }
    }

    pub(super) fn push(&self, rejected: NewRejected) {
        let class = usize::from(rejected.is_signed);
        let bytes = rejected.len() as u64;
        let room = self.room[class];
        let mut state = self.state();
        let load = &mut state.loads[class];
        if load.posts >= room.posts || load.bytes + bytes > room.bytes {
            drop(state);
            self.drop_posts(1);
            return;
        }
        load.posts += 1;
        load.bytes += bytes;
        state.waiting.push_back(rejected);
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

    /// Everything that waits, once there is something; `None` at the end.
    fn take(&self) -> Option<Vec<NewRejected>> {
        let mut state = self.state();
        while state.waiting.is_empty() {
            if state.is_closed {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.loads = Default::default();
        Some(state.waiting.drain(..).collect())
    }

    /// Returns after that time, or at once when there is nothing more to come.
    fn pause(&self, time: Duration) {
        let state = self.state();
        let waited = self
            .changed
            .wait_timeout_while(state, time, |state| !state.is_closed);
        drop(waited);
    }

    fn drop_posts(&self, posts: usize) {
        self.dropped.fetch_add(posts as u64, Ordering::Relaxed);
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
            told_at: None,
        }
    }

    pub(super) fn run(mut self) {
        while let Some(batch) = self.queue.take() {
            let written = catch_unwind(AssertUnwindSafe(|| self.write(&batch)));
            let panicked = |_| Err(InboxError::new(InboxErrorKind::Storage, "writing panicked"));
            if let Err(error) = written.unwrap_or_else(panicked) {
                // Opened anew before the next batch: it may have been moved away, or there may be room again.
                self.store = None;
                self.queue.drop_posts(batch.len());
                self.tell(&error, batch.len());
            }
            drop(batch);
            self.queue.pause(self.options.commit_pause);
        }
    }

    fn write(&mut self, batch: &[NewRejected]) -> Result<(), InboxError> {
        // Whoever removed the file wants a new one, not one that nobody can see. The old one is
        // closed first.
        self.store = self.store.take().filter(Store::is_in_place);
        let store = match &mut self.store {
            Some(store) => store,
            none => none.insert(Store::open(&self.path, &self.options)?),
        };
        store.write(batch)
    }

    /// At most once a minute: a stranger decides how often this happens.
    fn tell(&mut self, error: &InboxError, posts: usize) {
        let now = Instant::now();
        let is_early = self
            .told_at
            .is_some_and(|told| now.duration_since(told) < BETWEEN_LINES);
        if is_early {
            return;
        }
        self.told_at = Some(now);
        let cause = error.source().map(ToString::to_string);
        tracing::warn!(%error, cause, posts, "rejected requests were not recorded; deliveries are still stored");
    }
}

const BETWEEN_LINES: Duration = Duration::from_secs(60);
