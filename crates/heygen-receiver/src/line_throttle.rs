//! [`LineThrottle`]: limits how often something is logged.

use std::time::{Duration, Instant};

/// Passes one line a minute, where others decide how often there is a reason for it.
#[derive(Debug, Default)]
pub(crate) struct LineThrottle {
    passed_at: Option<Instant>,
    suppressed: u64,
}

impl LineThrottle {
    /// How many lines were suppressed since the last one that passed; `None` when this one is
    /// suppressed too.
    pub(crate) fn pass(&mut self, now: Instant) -> Option<u64> {
        let is_early = self
            .passed_at
            .is_some_and(|at| now.saturating_duration_since(at) < INTERVAL);
        if is_early {
            self.suppressed += 1;
            return None;
        }
        self.passed_at = Some(now);
        Some(std::mem::take(&mut self.suppressed))
    }
}

const INTERVAL: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_minute_passes_with_how_many_did_not() {
        let (mut throttle, start) = (LineThrottle::default(), Instant::now());
        let passed: Vec<_> = (0..=120)
            .filter_map(|second| {
                Some((second, throttle.pass(start + Duration::from_secs(second))?))
            })
            .collect();
        assert_eq!(passed, [(0, 0), (60, 59), (120, 59)]);
    }
}
