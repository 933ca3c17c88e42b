//! [`RetrySchedule`]: when a delivery that was not handled is handed out again.

use std::time::Duration;

use heygen_inbox::DeliveryId;

/// When a delivery that was not handled is handed out again: after [`first`](Self::first), then after twice as long each
/// time, up to [`longest`](Self::longest), until [`attempts`](Self::attempts) are used up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RetrySchedule {
    /// The wait after the first attempt. Default: 5 s.
    pub first: Duration,
    /// The longest wait. Default: 1 h.
    pub longest: Duration,
    /// After how many attempts a delivery is dead. Default: 15, which takes about 5 hours; 0 is taken for 1.
    pub attempts: u32,
}

impl RetrySchedule {
    /// How long to wait after attempt number `attempt`; `None` when it was the last.
    ///
    /// A quarter is taken off or added, by the delivery's id: many that failed together come back apart.
    #[must_use]
    pub fn wait_after(&self, attempt: u32, id: DeliveryId) -> Option<Duration> {
        if attempt >= self.attempts.max(1) {
            return None;
        }
        let doublings = attempt.saturating_sub(1).min(63);
        let wait = self.first.as_secs_f64() * 2_f64.powi(doublings.cast_signed());
        let wait = wait.min(self.longest.as_secs_f64()) * jitter(attempt, id);
        // Past the end of time there is the end of time.
        Some(Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX))
    }

    /// Whether that attempt is one more than there may be.
    pub(crate) fn is_over(&self, attempt: u32) -> bool {
        attempt > self.attempts.max(1)
    }
}

impl Default for RetrySchedule {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(5),
            longest: Duration::from_secs(3600),
            attempts: 15,
        }
    }
}

/// 0.75 to 1.25, the same for the same attempt of the same delivery.
fn jitter(attempt: u32, id: DeliveryId) -> f64 {
    let mixed = (id.key() ^ u64::from(attempt) << 56).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    0.75 + 0.5 * ((mixed >> 32) as f64 / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_end() {
        let schedule = RetrySchedule::default();
        for key in 0..100 {
            let id = DeliveryId::new(1_790_000_000_000_000 + key, 0);
            let wait = |attempt| {
                schedule
                    .wait_after(attempt, id)
                    .map(|wait| wait.as_secs_f64())
            };
            for (attempt, seconds) in [(1, 5.0), (2, 10.0), (5, 80.0), (11, 3600.0), (14, 3600.0)] {
                let wait = wait(attempt).expect("not the last");
                assert!(
                    (seconds * 0.75..=seconds * 1.25).contains(&wait),
                    "{attempt}: {wait}"
                );
            }
            assert_eq!(wait(15), None);
            assert_eq!(wait(16), None);
        }
    }

    #[test]
    fn no_setting_is_too_much() {
        let id = DeliveryId::new(1, 0);
        let mut schedule = RetrySchedule {
            first: Duration::MAX,
            longest: Duration::MAX,
            attempts: u32::MAX,
        };
        assert!(schedule.wait_after(u32::MAX - 1, id).is_some());
        schedule.attempts = 0;
        assert!(!schedule.is_over(1), "the first attempt is always made");
        assert_eq!(schedule.wait_after(1, id), None);
    }

    #[test]
    fn what_failed_together_comes_back_apart() {
        let schedule = RetrySchedule::default();
        let mut waits: Vec<_> = (0..100)
            .map(|key| schedule.wait_after(1, DeliveryId::new(1_790_000_000_000_000 + key, 0)))
            .collect();
        waits.sort();
        waits.dedup();
        assert!(waits.len() > 90, "{} different waits", waits.len());
    }
}
