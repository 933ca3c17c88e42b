//! [`OpenConnections`]: counts open connections, and closes the slowest when there are too many.

use std::sync::{Arc, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::activity::{Activity, Admission};
use crate::limits::Limits;

/// The open connections of one server.
#[derive(Debug)]
pub(super) struct OpenConnections {
    limits: Limits,
    full: Arc<Semaphore>,
    probes_only: Arc<Semaphore>,
    /// The connections that may be closed to make room; `cursor` is the index of the last one
    /// examined. Ended ones are removed when it has grown to `sweep_at`.
    ring: Vec<Weak<Activity>>,
    cursor: usize,
    sweep_at: usize,
}

impl OpenConnections {
    pub(super) fn new(limits: Limits) -> Self {
        let slots = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Self {
            full: slots(limits.max_connections),
            probes_only: slots(reserve(limits.max_connections)),
            limits,
            ring: Vec::new(),
            cursor: 0,
            sweep_at: SLACK,
        }
    }

    /// Admits a connection; `None` when there are too many even for a 503.
    ///
    /// At the limit the connection that has been silent longest is closed: slow and idle clients
    /// must not keep out those that send requests.
    pub(super) fn admit(&mut self) -> Option<Arc<Activity>> {
        let (admission, permit) = match self.permit() {
            Some(permit) => permit,
            None => {
                self.close_slowest();
                self.permit()?
            }
        };
        let activity = Arc::new(Activity::new(admission, permit));
        if self.ring.len() >= self.sweep_at {
            self.ring.retain(|activity| activity.strong_count() > 0);
            self.sweep_at = 2 * self.ring.len() + SLACK;
        }
        self.ring.push(Arc::downgrade(&activity));
        Some(activity)
    }

    /// Closes the slowest of a sample of silent connections. Returns whether there was one.
    pub(super) fn close_slowest(&mut self) -> bool {
        let mut slowest: Option<(Arc<Activity>, _)> = None;
        let mut compared = 0;
        for _ in 0..MAX_EXAMINED.min(self.ring.len()) {
            let Some(candidate) = self.next() else {
                break;
            };
            let Some(wait) = candidate.idles_for(&self.limits) else {
                continue;
            };
            if slowest.as_ref().is_none_or(|(_, longest)| wait > *longest) {
                slowest = Some((candidate, wait));
            }
            compared += 1;
            if compared == COMPARED {
                break;
            }
        }
        match slowest {
            Some((activity, _)) => {
                activity.close();
                true
            }
            None => false,
        }
    }

    /// The next open connection of the ring.
    fn next(&mut self) -> Option<Arc<Activity>> {
        while !self.ring.is_empty() {
            self.cursor = (self.cursor + 1) % self.ring.len();
            match self.ring[self.cursor].upgrade() {
                Some(activity) => return Some(activity),
                None => {
                    self.ring.swap_remove(self.cursor);
                }
            }
        }
        None
    }

    fn permit(&self) -> Option<(Admission, OwnedSemaphorePermit)> {
        let take = |slots: &Arc<Semaphore>| Arc::clone(slots).try_acquire_owned().ok();
        match take(&self.full) {
            Some(permit) => Some((Admission::Full, permit)),
            None => Some((Admission::ProbesOnly, take(&self.probes_only)?)),
        }
    }
}

/// How many connections are accepted beyond `max_connections`, for probes only.
fn reserve(max_connections: usize) -> usize {
    (max_connections / 10).max(16)
}

/// How many slow connections are compared, and how many examined, which may happen for each new
/// one.
const COMPARED: usize = 64;
const MAX_EXAMINED: usize = 1024;

const SLACK: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn open(max_connections: usize) -> OpenConnections {
        let limits = Limits {
            max_connections,
            ..Limits::default()
        };
        OpenConnections::new(limits)
    }

    #[test]
    fn beyond_the_limit_connections_are_for_probes_only() {
        let mut open = open(2);
        let admitted: Vec<_> = (0..18)
            .map(|_| {
                let activity = open.admit().expect("admitted");
                // In a request: none of them waits for its client.
                (activity.request_begins(), activity)
            })
            .collect();
        let full = admitted
            .iter()
            .filter(|(_, activity)| activity.admission() == Admission::Full);
        assert_eq!(full.count(), 2);
        assert!(open.admit().is_none(), "too many even for a probe");
        drop(admitted);
        assert_eq!(open.admit().map(|it| it.admission()), Some(Admission::Full));
    }

    /// Else clients that keep them by requests of their own would keep out other probes.
    #[test]
    fn answered_connection_for_probes_is_closed_for_one_too_many() {
        let mut open = open(2);
        let admitted: Vec<_> = (0..18).map(|_| open.admit().expect("admitted")).collect();
        let mut in_flight: Vec<_> = admitted.iter().map(Activity::request_begins).collect();
        assert!(open.admit().is_none());
        in_flight.pop();
        assert!(open.admit().is_some());
        assert!(admitted[17].is_closed());
    }

    #[test]
    fn slowest_connection_is_closed_for_one_too_many() {
        let mut open = open(100);
        let mut admitted: Vec<_> = (0..116).map(|_| open.admit().expect("admitted")).collect();
        for _ in 0..1000 {
            let activity = open.admit().expect("always admitted");
            assert!(!activity.is_closed());
            admitted.push(activity);
            let closed = admitted.iter().filter(|it| it.is_closed()).count();
            assert_eq!(closed, 1, "one for one");
            admitted.retain(|it| !it.is_closed());
        }
        assert!(open.ring.len() <= 2 * 116 + SLACK, "{}", open.ring.len());
    }
}
