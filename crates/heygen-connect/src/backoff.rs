//! [`Backoff`]: retry delays.

use std::time::Duration;

/// Delays that double from `initial_delay` to `max_delay`.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    max_delay: Duration,
}

impl Backoff {
    pub(crate) fn new(initial_delay: Duration, max_delay: Duration) -> Self {
        Self {
            next: initial_delay.min(max_delay),
            max_delay,
        }
    }

    pub(crate) fn next(&mut self) -> Duration {
        let delay = self.next;
        self.next = delay.saturating_mul(2).min(self.max_delay);
        delay
    }
}

/// The longest wait that a server may ask for: a wrong unit must not stop everything for days.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_maximum() {
        let seconds = Duration::from_secs;
        let mut backoff = Backoff::new(seconds(5), seconds(300));
        let delays: Vec<_> = (0..8).map(|_| backoff.next().as_secs()).collect();
        assert_eq!(delays, [5, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(Backoff::new(seconds(15), seconds(1)).next(), seconds(1));
    }
}
