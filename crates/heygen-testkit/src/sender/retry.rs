//! [`RetryPolicy`]: when to try again.

use std::time::Duration;

/// When a delivery that was not accepted is tried again: after waits that double, until a day is over.
///
/// # Source
///
/// HeyGen documentation, “Webhooks” (v3): exponential backoff for up to 24 h, documented. The first wait, the factor and
/// the longest wait are not published: assumed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    initial_delay: Duration,
    max_delay: Duration,
    max_elapsed: Duration,
    max_attempts: Option<u32>,
    scale: f64,
}

impl RetryPolicy {
    /// One attempt and no more.
    #[must_use]
    pub fn once() -> Self {
        Self::default().max_attempts(1)
    }

    /// The first wait; each further one is twice as long. Default: 5 s (assumed).
    #[must_use]
    pub fn initial_delay(mut self, delay: Duration) -> Self {
        self.initial_delay = delay;
        self
    }

    /// The longest wait. Default: 1 h (assumed).
    #[must_use]
    pub fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    /// The sum of waits after which no attempt follows. Default: 24 h (documented).
    #[must_use]
    pub fn max_elapsed(mut self, total: Duration) -> Self {
        self.max_elapsed = total;
        self
    }

    /// How many attempts there are at most, the first included. Default: no limit; 0 means 1.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = Some(attempts);
        self
    }

    /// Shortens every wait by a factor, and keeps their number: a day's schedule takes 86 ms at 0.000001, and no time at
    /// 0. Default: 1. Less than 0 and what is no number count as 0.
    #[must_use]
    pub fn scale(mut self, factor: f64) -> Self {
        self.scale = if factor > 0.0 { factor } else { 0.0 };
        self
    }

    /// The wait before each further attempt, scaled.
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

/// The waits of a [`RetryPolicy`], one for each further attempt.
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
        // Waits of no length never add up to the end of the policy, so they need a number of attempts to end at.
        let endless = delay.is_zero() && policy.max_attempts.is_none();
        let spent = policy
            .max_attempts
            .is_some_and(|most| self.attempts >= most);
        let waited = self.waited.saturating_add(delay);
        if endless || spent || waited > policy.max_elapsed {
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
    fn waits_double_to_a_limit() {
        let seconds = Duration::from_secs;
        let policy = RetryPolicy::default().max_elapsed(seconds(1000));
        check(policy, &[5, 10, 20, 40, 80, 160, 320]);
        check(
            policy.max_delay(seconds(100)),
            &[5, 10, 20, 40, 80, 100, 100, 100, 100, 100, 100, 100, 100],
        );
        check(policy.max_attempts(3), &[5, 10]);
        check(policy.initial_delay(seconds(1001)), &[]);
        check(policy.scale(2.0).max_attempts(3), &[10, 20]);
        check(policy.scale(-1.0).max_attempts(3), &[0, 0]);
        check(policy.scale(f64::NAN).max_attempts(3), &[0, 0]);
        check(
            policy.scale(f64::INFINITY).max_attempts(2),
            &[Duration::MAX.as_secs()],
        );
        check(RetryPolicy::once(), &[]);
        check(RetryPolicy::once().max_attempts(0), &[]);
        check(policy.initial_delay(Duration::ZERO), &[]);
        check(
            policy.initial_delay(Duration::ZERO).max_attempts(3),
            &[0, 0],
        );
    }

    #[test]
    fn the_default_lasts_a_day() {
        let total: Duration = RetryPolicy::default().delays().sum();
        assert!(total <= Duration::from_secs(24 * 60 * 60));
        assert!(total > Duration::from_secs(23 * 60 * 60 - 60));
        let scaled = RetryPolicy::default().scale(0.0);
        assert_eq!(
            scaled.delays().count(),
            RetryPolicy::default().delays().count()
        );
        assert_eq!(scaled.delays().sum::<Duration>(), Duration::ZERO);
    }
}
