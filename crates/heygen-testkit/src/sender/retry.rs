//! [`RetryPolicy`]: when a delivery is retried.

use std::time::Duration;

use crate::setters::setters;

/// When a delivery that was not accepted is retried: after delays that double, for 24 h.
///
/// # Source
///
/// HeyGen documentation, “Webhooks” (v3): exponential backoff for up to 24 h, documented. The first
/// delay, the factor and the longest delay are not published: assumed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    initial_delay: Duration,
    max_delay: Duration,
    max_elapsed: Duration,
    max_attempts: Option<u32>,
    scale: f64,
}

impl RetryPolicy {
    /// One attempt, no retries.
    #[must_use]
    pub fn once() -> Self {
        Self::default().with_max_attempts(1)
    }

    /// The scaled delay before each further attempt.
    #[must_use]
    pub fn delays(&self) -> Delays {
        Delays {
            policy: *self,
            next: self.initial_delay,
            waited: Duration::ZERO,
            attempts: 1,
        }
    }
}

setters! {
    impl RetryPolicy;

    /// Sets the first delay. Each further one is twice as long. Default: 5 s (assumed).
    with_initial_delay(delay: Duration) sets initial_delay: delay;

    /// Sets the longest delay. Default: 1 h (assumed).
    with_max_delay(delay: Duration) sets max_delay: delay;

    /// Sets the largest sum of delays. Default: 24 h (documented).
    with_max_elapsed(total: Duration) sets max_elapsed: total;

    /// Sets the largest number of attempts, including the first. Default: no limit. 0 means 1.
    with_max_attempts(attempts: u32) sets max_attempts: Some(attempts);

    /// Multiplies every delay by a factor and keeps their number: at 0.000001 the 24 h take 86 ms,
    /// at 0 no time. Default: 1. Negative numbers and NaN count as 0.
    with_scale(factor: f64) sets scale: if factor > 0.0 { factor } else { 0.0 };
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            initial_delay: Duration::from_secs(5),
            max_delay: Duration::from_secs(60 * 60),
            max_elapsed: Duration::from_secs(24 * 60 * 60),
            max_attempts: None,
            scale: 1.0,
        }
    }
}

/// The delays of a [`RetryPolicy`], one for each further attempt.
#[derive(Clone, Debug)]
pub struct Delays {
    policy: RetryPolicy,
    next: Duration,
    /// In the policy's own time, before scaling.
    waited: Duration,
    attempts: u32,
}

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let policy = self.policy;
        let delay = self.next.min(policy.max_delay);
        // Delays of zero never reach `max_elapsed`, so they need a number of attempts.
        let endless = delay.is_zero() && policy.max_attempts.is_none();
        let is_used_up = policy.max_attempts.is_some_and(|max| self.attempts >= max);
        let waited = self.waited.saturating_add(delay);
        if endless || is_used_up || waited > policy.max_elapsed {
            return None;
        }
        self.waited = waited;
        self.attempts = self.attempts.saturating_add(1);
        self.next = delay.saturating_mul(2);
        let scaled = Duration::try_from_secs_f64(delay.as_secs_f64() * policy.scale);
        Some(scaled.unwrap_or(Duration::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(policy: RetryPolicy, expected_seconds: &[u64]) {
        let delays: Vec<_> = policy.delays().map(|delay| delay.as_secs()).collect();
        assert_eq!(delays, expected_seconds);
    }

    #[test]
    fn delays_double_up_to_max_delay() {
        let seconds = Duration::from_secs;
        let policy = RetryPolicy::default().with_max_elapsed(seconds(1000));
        check(policy, &[5, 10, 20, 40, 80, 160, 320]);
        check(
            policy.with_max_delay(seconds(100)),
            &[5, 10, 20, 40, 80, 100, 100, 100, 100, 100, 100, 100, 100],
        );
        check(policy.with_max_attempts(3), &[5, 10]);
        check(policy.with_initial_delay(seconds(1001)), &[]);
        check(policy.with_scale(2.0).with_max_attempts(3), &[10, 20]);
        check(policy.with_scale(-1.0).with_max_attempts(3), &[0, 0]);
        check(policy.with_scale(f64::NAN).with_max_attempts(3), &[0, 0]);
        check(
            policy.with_scale(f64::INFINITY).with_max_attempts(2),
            &[Duration::MAX.as_secs()],
        );
        check(RetryPolicy::once(), &[]);
        check(RetryPolicy::once().with_max_attempts(0), &[]);
        check(policy.with_initial_delay(Duration::ZERO), &[]);
        check(
            policy
                .with_initial_delay(Duration::ZERO)
                .with_max_attempts(3),
            &[0, 0],
        );
    }

    #[test]
    fn default_policy_lasts_24_hours() {
        let total: Duration = RetryPolicy::default().delays().sum();
        assert!(total <= Duration::from_secs(24 * 60 * 60));
        assert!(total > Duration::from_secs(23 * 60 * 60 - 60));
        let scaled = RetryPolicy::default().with_scale(0.0);
        assert_eq!(
            scaled.delays().count(),
            RetryPolicy::default().delays().count()
        );
        assert_eq!(scaled.delays().sum::<Duration>(), Duration::ZERO);
    }
}
