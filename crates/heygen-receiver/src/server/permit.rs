//! [`ConnectionPermit`]: one open connection, counted until it is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How a connection is served.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Admission {
    Full,
    /// Over the limit: probes pass, deliveries get 503.
    ProbesOnly,
}

/// How many connections are open.
#[derive(Debug, Default)]
pub(super) struct Counts {
    full: AtomicUsize,
    probes_only: AtomicUsize,
}

/// One more open connection, until it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    counts: Arc<Counts>,
    admission: Admission,
}

impl Counts {
    /// One more permit, unless there are `max` already. Only one task takes permits.
    pub(super) fn take(
        self: &Arc<Self>,
        admission: Admission,
        max: usize,
    ) -> Option<ConnectionPermit> {
        let count = self.of(admission);
        if count.load(Ordering::Relaxed) >= max {
            return None;
        }
        count.fetch_add(1, Ordering::Relaxed);
        Some(ConnectionPermit {
            counts: Arc::clone(self),
            admission,
        })
    }

    pub(super) fn open(&self) -> usize {
        self.full.load(Ordering::Relaxed) + self.probes_only.load(Ordering::Relaxed)
    }

    fn of(&self, admission: Admission) -> &AtomicUsize {
        match admission {
            Admission::Full => &self.full,
            Admission::ProbesOnly => &self.probes_only,
        }
    }
}

impl ConnectionPermit {
    pub(super) fn admission(&self) -> Admission {
        self.admission
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let count = self.counts.of(self.admission);
        count.fetch_sub(1, Ordering::Relaxed);
    }
}
