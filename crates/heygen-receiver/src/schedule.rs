//! [`RetrySchedule`]: when a delivery that was not acknowledged is dispatched again.

use std::time::Duration;

use heygen_inbox::DeliveryId;

use crate::setters::setters;

/// When a delivery that was not acknowledged is dispatched again.
///
/// The first wait is [`initial_delay`](Self::initial_delay). Each further wait is twice as long, up
/// to [`max_delay`](Self::max_delay). The delivery is dead-lettered when
/// [`max_elapsed`](Self::max_elapsed) is over or [`max_attempts`](Self::max_attempts) are used up,
/// whichever comes first.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RetrySchedule {
    /// The wait after the first attempt. Default: 5 s.
    pub initial_delay: Duration,
    /// The longest wait. Default: 1 h.
    pub max_delay: Duration,
    /// After how many attempts a delivery is dead-lettered. Default: [`u32::MAX`], which is no
    /// limit; 0 means 1. An attempt that ended with
    /// [`Disposition::Pause`](crate::Disposition::Pause) does not count. Attempts that ended with
    /// their process have a count of their own with the same maximum, and at most 100, since such a
    /// delivery may crash the process.
    pub max_attempts: u32,
    /// How long a delivery is retried, from its first attempt. Default: 24 h. The last attempt is
    /// made at the end of it. Time while the process does not run is not counted.
    pub max_elapsed: Duration,
}

impl RetrySchedule {
    /// How long to wait after attempt number `attempt`; `None` when it was the last.
    ///
    /// Jitter of up to a quarter, derived from the delivery's id, spreads deliveries that failed
    /// together.
    #[must_use]
    pub fn wait_after(&self, attempt: u32, id: DeliveryId) -> Option<Duration> {
        if attempt >= self.max_attempts.max(1) {
            return None;
        }
        let doublings = attempt.saturating_sub(1).min(63);
        let wait = self.initial_delay.as_secs_f64() * 2_f64.powi(doublings.cast_signed());
        let wait = wait.min(self.max_delay.as_secs_f64()) * jitter(attempt, id);
        Some(Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX))
    }

    /// How long to wait after attempt number `attempt`, which ended `elapsed` after the first
    /// began; `None` when it was the last. `asked` is the wait that the handler asked for.
    pub(crate) fn next_wait(
        &self,
        attempt: u32,
        elapsed: Duration,
        asked: Option<Duration>,
        id: DeliveryId,
    ) -> Option<Duration> {
        let wait = self.wait_after(attempt, id)?;
        let left = self.max_elapsed.checked_sub(elapsed)?;
        (!left.is_zero()).then(|| asked.unwrap_or(wait).min(left))
    }
}

setters! {
    RetrySchedule {
        with_initial_delay sets initial_delay: Duration;
        with_max_delay sets max_delay: Duration;
        with_max_attempts sets max_attempts: u32;
        with_max_elapsed sets max_elapsed: Duration;
    }
}

impl Default for RetrySchedule {
    fn default() -> Self {
        Self {
            initial_delay: Duration::from_secs(5),
            max_delay: Duration::from_secs(3600),
            max_attempts: u32::MAX,
            max_elapsed: Duration::from_secs(24 * 3600),
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
    fn waits_double_up_to_the_maximum_and_end() {
        let schedule = RetrySchedule {
            max_attempts: 15,
            ..RetrySchedule::default()
        };
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
    fn extreme_settings_do_not_overflow() {
        let id = DeliveryId::new(1, 0);
        let mut schedule = RetrySchedule {
            initial_delay: Duration::MAX,
            max_delay: Duration::MAX,
            max_attempts: u32::MAX,
            max_elapsed: Duration::MAX,
        };
        assert!(schedule.wait_after(u32::MAX - 1, id).is_some());
        schedule.max_attempts = 0;
        assert_eq!(schedule.wait_after(1, id), None);
    }

    /// How often a delivery is attempted that never succeeds, and when the last time.
    fn attempts_and_end(schedule: &RetrySchedule, asked: Option<Duration>) -> (u32, Duration) {
        let (id, mut elapsed) = (DeliveryId::new(1_790_000_000_000_000, 0), Duration::ZERO);
        for attempt in 1.. {
            match schedule.next_wait(attempt, elapsed, asked, id) {
                Some(wait) => elapsed += wait,
                None => return (attempt, elapsed),
            }
        }
        unreachable!("there is an end")
    }

    #[test]
    fn retries_end_by_time_or_attempts_whichever_comes_first() {
        let mut schedule = RetrySchedule::default();
        let day = Duration::from_secs(24 * 3600);
        let (attempts, end) = attempts_and_end(&schedule, None);
        assert_eq!(end, day, "the last attempt is made when the time is over");
        assert!((30..40).contains(&attempts), "{attempts}");
        let hours = Duration::from_secs(10 * 3600);
        assert_eq!(attempts_and_end(&schedule, Some(hours)), (4, day));
        schedule.max_attempts = 3;
        assert_eq!(attempts_and_end(&schedule, None).0, 3);
        schedule.max_elapsed = Duration::ZERO;
        assert_eq!(attempts_and_end(&schedule, None), (1, Duration::ZERO));
    }

    #[test]
    fn jitter_spreads_deliveries_that_failed_together() {
        let schedule = RetrySchedule::default();
        let mut waits: Vec<_> = (0..100)
            .map(|key| schedule.wait_after(1, DeliveryId::new(1_790_000_000_000_000 + key, 0)))
            .collect();
        waits.sort();
        waits.dedup();
        assert!(waits.len() > 90, "{} different waits", waits.len());
    }
}
