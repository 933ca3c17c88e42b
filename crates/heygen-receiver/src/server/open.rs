//! [`OpenConnections`]: how many there are, how far each is served, and which goes first when one too many comes.

use std::sync::{Arc, Weak};

use super::activity::Activity;
use super::permit::{Admission, ConnectionPermit, Counts};
use crate::limits::Limits;

/// The open connections of one server.
#[derive(Debug)]
pub(super) struct OpenConnections {
    limits: Limits,
    counts: Arc<Counts>,
    /// Those that may be closed to make room, in a ring that `hand` goes round; the ended among them are cleared away now
    /// and then.
    ring: Vec<Weak<Activity>>,
    hand: usize,
}

impl OpenConnections {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            counts: Arc::default(),
            ring: Vec::new(),
            hand: 0,
        }
    }

    /// For one connection more; `None` when it is too many even for a 503.
    ///
    /// When all places are taken, the connection goes that has kept its server waiting longest: clients that take their time
    /// over a header, or say nothing, must not keep out those that ask.
    pub(super) fn admit(&mut self) -> Option<Arc<Activity>> {
        let permit = match self.permit() {
            Some(permit) => permit,
            None => {
                self.close_slowest();
                self.permit()?
            }
        };
        let activity = Arc::new(Activity::new(permit));
        if self.ring.len() >= 2 * self.counts.open() + SLACK {
            self.ring.retain(|activity| activity.strong_count() > 0);
        }
        self.ring.push(Arc::downgrade(&activity));
        Some(activity)
    }

    /// Closes the slowest of a few of those that keep us waiting. Says whether there was one.
    pub(super) fn close_slowest(&mut self) -> bool {
        let mut slowest: Option<(Arc<Activity>, _)> = None;
        let mut compared = 0;
        for _ in 0..MOST_LOOKED_AT.min(self.ring.len()) {
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

    /// The next of the ring that is still open.
    fn next(&mut self) -> Option<Arc<Activity>> {
        while !self.ring.is_empty() {
            self.hand = (self.hand + 1) % self.ring.len();
            match self.ring[self.hand].upgrade() {
                Some(activity) => return Some(activity),
                None => {
                    self.ring.swap_remove(self.hand);
                }
            }
        }
        None
    }

    fn permit(&self) -> Option<ConnectionPermit> {
        let max = self.limits.max_connections;
        let counts = &self.counts;
        counts
            .take(Admission::Full, max)
            .or_else(|| counts.take(Admission::ProbesOnly, reserve(max)))
    }
}

/// How many connections are answered beyond `max_connections`, as far as probes go.
fn reserve(max_connections: usize) -> usize {
    (max_connections / 10).max(16)
}

/// Among how many slow ones the slowest is sought, and among how many connections at all: every new one may have to.
const COMPARED: usize = 64;
const MOST_LOOKED_AT: usize = 1024;

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
    fn beyond_the_limit_there_is_a_reserve_for_probes() {
        let mut open = open(2);
        let admitted: Vec<_> = (0..18)
            .map(|_| {
                let activity = open.admit().expect("a place");
                // Under way: none of them waits for its client.
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

    #[test]
    fn the_slowest_goes_for_one_that_is_too_many() {
        let mut open = open(100);
        let mut admitted: Vec<_> = (0..116).map(|_| open.admit().expect("a place")).collect();
        for _ in 0..1000 {
            let activity = open.admit().expect("always a place");
            assert!(!activity.is_closed());
            admitted.push(activity);
            let closed = admitted.iter().filter(|it| it.is_closed()).count();
            assert_eq!(closed, 1, "one for one");
            admitted.retain(|it| !it.is_closed());
        }
        assert!(open.ring.len() <= 2 * 116 + SLACK, "{}", open.ring.len());
    }
}
