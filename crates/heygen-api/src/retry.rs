//! [`RetryPolicy`]: whether and when a request is retried.

use std::time::Duration;

use crate::error::Reach;
use crate::{ApiError, ApiErrorKind};

/// How often a failed request is retried, and after which delays.
///
/// | failure | retried |
/// |---|---|
/// | 429, but not `quota_exceeded` | always |
/// | no connection, also within the timeout | always: nothing was sent |
/// | connection lost, answer truncated; 500, 502, 503, 504 | where repeating is safe |
/// | 409 `request_in_progress` | with an idempotency key |
/// | no answer within the timeout | reads, and requests with an idempotency key |
/// | anything else | never |
///
/// Repeating is safe for reads, deletions, updates, and requests with an
/// [`IdempotencyKey`](crate::IdempotencyKey). An update is safe because it names the final values.
/// A creation or rotation without a key of yours gets a generated one. v1's creation is not safe:
/// it accepts no key.
///
/// The delay is the `Retry-After` of the answer. Without one it starts at
/// [`initial_delay`](Self::with_initial_delay) and doubles, times a random factor from 0.75 to
/// 1.25. [`max_delay`](Self::with_max_delay) limits both.
///
/// # Source
///
/// The numbers and most of the table are those of HeyGen's command-line tool: observed in its
/// source. Retrying updates, requests with an idempotency key, and reads after a timeout is our
/// choice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RetryPolicy {
    initial_delay: Duration,
    max_delay: Duration,
    max_attempts: u32,
}

impl RetryPolicy {
    /// No retries: every request is made once.
    #[must_use]
    pub fn never() -> Self {
        Self::default().with_max_attempts(1)
    }

    /// Sets the first delay. Each further one is twice as long. Default: 1 s.
    #[must_use]
    pub fn with_initial_delay(mut self, delay: Duration) -> Self {
        self.initial_delay = delay;
        self
    }

    /// Sets the longest delay, also for a longer `Retry-After`. Default: 30 s.
    #[must_use]
    pub fn with_max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    /// Sets the largest number of requests, including the first. Default: 3. 0 means 1.
    #[must_use]
    pub fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// The delay before the next request, or `None` to give up. `attempts` requests were made;
    /// `roll` is random.
    pub(crate) fn wait(
        &self,
        repeat: Repeat,
        error: &ApiError,
        attempts: u32,
        roll: u32,
    ) -> Option<Duration> {
        if attempts >= self.max_attempts.max(1) || !repeat.allows(error) {
            return None;
        }
        let wait = match error.retry_after() {
            Some(wait) => wait,
            None => self.backoff(attempts, roll),
        };
        Some(wait.min(self.max_delay))
    }

    fn backoff(&self, attempts: u32, roll: u32) -> Duration {
        let doublings = attempts.saturating_sub(1);
        let wait = self
            .initial_delay
            .saturating_mul(2_u32.saturating_pow(doublings));
        // Limited before the factor as well, so that the product always fits.
        let wait = wait.min(self.max_delay).as_secs_f64();
        let factor = 0.75 + 0.5 * f64::from(roll) / f64::from(u32::MAX);
        Duration::try_from_secs_f64(wait * factor).unwrap_or(self.max_delay)
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            initial_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(30),
            max_attempts: 3,
        }
    }
}

/// Whether a request may be repeated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Repeat {
    /// A read.
    Read,
    /// It sets a state. Twice is the same as once.
    SetsState,
    /// It has an idempotency key.
    Keyed,
    /// Twice is not the same as once.
    Unsafe,
}

impl Repeat {
    fn allows(self, error: &ApiError) -> bool {
        let safe = self != Self::Unsafe;
        match error.kind() {
            ApiErrorKind::RateLimited => true,
            ApiErrorKind::Transport | ApiErrorKind::Timeout if error.reach() == Reach::NotSent => {
                true
            }
            ApiErrorKind::Transport => safe,
            ApiErrorKind::Server => safe && matches!(error.status(), Some(500 | 502 | 503 | 504)),
            ApiErrorKind::UnexpectedBody => safe && error.reach() == Reach::CutOff,
            ApiErrorKind::Timeout => matches!(self, Self::Read | Self::Keyed),
            ApiErrorKind::Conflict => self == Self::Keyed && error.has_code("request_in_progress"),
            ApiErrorKind::Config
            | ApiErrorKind::Authentication
            | ApiErrorKind::PaymentRequired
            | ApiErrorKind::Forbidden
            | ApiErrorKind::NotFound
            | ApiErrorKind::InvalidParameter
            | ApiErrorKind::QuotaExceeded
            | ApiErrorKind::Refused => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::error::ErrorDetails;

    const SECOND: Duration = Duration::from_secs(1);

    #[track_caller]
    fn check_delays(policy: RetryPolicy, roll: u32, expected_millis: &[u128]) {
        let error = ApiError::timeout(SECOND);
        let waits: Vec<_> = (1..)
            .map_while(|attempts| policy.wait(Repeat::Read, &error, attempts, roll))
            .map(|wait| wait.as_millis())
            .collect();
        assert_eq!(waits, expected_millis);
    }

    #[test]
    fn delays_double_with_jitter_up_to_max_delay() {
        let policy = RetryPolicy::default();
        check_delays(policy, 0, &[750, 1500]);
        check_delays(policy, u32::MAX, &[1250, 2500]);
        check_delays(
            policy.with_max_attempts(8),
            0,
            &[750, 1500, 3000, 6000, 12_000, 22_500, 22_500],
        );
        check_delays(
            policy.with_max_attempts(7),
            u32::MAX,
            &[1250, 2500, 5000, 10_000, 20_000, 30_000],
        );
        check_delays(policy.with_max_delay(Duration::ZERO), 0, &[0, 0]);
        check_delays(policy.with_initial_delay(Duration::ZERO), u32::MAX, &[0, 0]);
        check_delays(
            policy.with_initial_delay(Duration::MAX),
            u32::MAX,
            &[30_000, 30_000],
        );
        check_delays(RetryPolicy::never(), 0, &[]);
        let largest = policy
            .with_max_attempts(2)
            .with_initial_delay(Duration::MAX)
            .with_max_delay(Duration::MAX);
        check_delays(largest, u32::MAX, &[Duration::MAX.as_millis()]);
    }

    #[test]
    fn doubling_never_overflows() {
        let policy = RetryPolicy::default().with_max_attempts(u32::MAX);
        let error = ApiError::timeout(SECOND);
        let wait = policy.wait(Repeat::Read, &error, u32::MAX - 1, u32::MAX);
        assert_eq!(wait, Some(30 * SECOND));
    }

    #[track_caller]
    fn check_after(retry_after: Duration, max_delay: Duration, expected: Duration) {
        let error = ApiError::refused(ApiErrorKind::RateLimited, ErrorDetails::default())
            .with_retry_after(Some(retry_after));
        let policy = RetryPolicy::default().with_max_delay(max_delay);
        assert_eq!(policy.wait(Repeat::Unsafe, &error, 1, 0), Some(expected));
    }

    #[test]
    fn retry_after_has_no_jitter() {
        check_after(17 * SECOND, 30 * SECOND, 17 * SECOND);
        check_after(31 * SECOND, 30 * SECOND, 30 * SECOND);
        check_after(Duration::ZERO, 30 * SECOND, Duration::ZERO);
        check_after(Duration::MAX, SECOND, SECOND);
    }

    /// Whether `error` is retried for a read, an update or deletion, a keyed request, an unsafe
    /// one.
    #[track_caller]
    fn check(error: &ApiError, expected: [bool; 4]) {
        let all = [
            Repeat::Read,
            Repeat::SetsState,
            Repeat::Keyed,
            Repeat::Unsafe,
        ];
        assert_eq!(
            all.map(|repeat| repeat.allows(error)),
            expected,
            "{error:?}"
        );
    }

    #[test]
    fn each_error_is_retried_where_safe() {
        let refused = |kind, status| {
            ApiError::refused(kind, ErrorDetails::default()).with_answer(status, None)
        };
        let with_code = |kind, code: &str| {
            let details = ErrorDetails {
                code: Some(code.to_owned()),
                ..ErrorDetails::default()
            };
            ApiError::refused(kind, details)
        };
        let broken = || io::Error::from(io::ErrorKind::ConnectionReset);
        check(&refused(ApiErrorKind::RateLimited, 429), [true; 4]);
        check(&ApiError::not_connected(broken()), [true; 4]);
        check(&ApiError::not_connected_in_time(SECOND), [true; 4]);
        let safe = [true, true, true, false];
        check(&ApiError::broken(broken()), safe);
        for status in [500, 502, 503, 504] {
            check(&refused(ApiErrorKind::Server, status), safe);
        }
        for status in [200, 501, 505, 507] {
            check(&refused(ApiErrorKind::Server, status), [false; 4]);
        }
        check(&ApiError::timeout(SECOND), [true, false, true, false]);
        let cut_off = serde_json::from_str::<u8>("").unwrap_err();
        check(&ApiError::not_json(cut_off), safe);
        let no_json = serde_json::from_str::<u8>("<").unwrap_err();
        check(&ApiError::not_json(no_json), [false; 4]);
        let keyed = [false, false, true, false];
        check(
            &with_code(ApiErrorKind::Conflict, "request_in_progress"),
            keyed,
        );
        check(
            &with_code(ApiErrorKind::Conflict, "REQUEST_IN_PROGRESS"),
            keyed,
        );
        check(&with_code(ApiErrorKind::Conflict, "conflict"), [false; 4]);
        for kind in [
            ApiErrorKind::Config,
            ApiErrorKind::Authentication,
            ApiErrorKind::PaymentRequired,
            ApiErrorKind::Forbidden,
            ApiErrorKind::NotFound,
            ApiErrorKind::InvalidParameter,
            ApiErrorKind::QuotaExceeded,
            ApiErrorKind::Refused,
        ] {
            check(&refused(kind, 503), [false; 4]);
        }
    }
}
