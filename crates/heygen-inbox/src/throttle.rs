//! [`Throttle`]: limits how often something is done.

use std::time::{Duration, Instant};

/// Passes once in each interval.
#[derive(Debug)]
pub(crate) struct Throttle {
    interval: Duration,
    passed_at: Option<Instant>,
}

impl Throttle {
    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            interval,
            passed_at: None,
        }
    }

    pub(crate) fn passes(&mut self, now: Instant) -> bool {
        let is_early = self
            .passed_at
            .is_some_and(|at| now.duration_since(at) < self.interval);
        if !is_early {
            self.passed_at = Some(now);
        }
        !is_early
    }
}
