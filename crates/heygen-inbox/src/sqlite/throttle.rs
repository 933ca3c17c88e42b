//! [`Throttle`]: limits how often something is done.

use std::time::{Duration, Instant};

/// Passes once in each interval.
#[derive(Debug)]
pub(super) struct Throttle {
    interval: Duration,
    passed_at: Option<Instant>,
}

impl Throttle {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            passed_at: None,
        }
    }

    pub(super) fn passes(&mut self, now: Instant) -> bool {
        let is_early = self
            .passed_at
            .is_some_and(|at| now.duration_since(at) < self.interval);
        if !is_early {
            self.passed_at = Some(now);
        }
        !is_early
    }

    /// The next call passes.
    pub(super) fn reset(&mut self) {
        self.passed_at = None;
    }
}
