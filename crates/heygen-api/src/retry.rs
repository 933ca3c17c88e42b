//! [`RetryPolicy`]: whether and when a request is made again.

use std::time::Duration;

use crate::error::Reach;
use crate::{ApiError, ErrorKind};

/// How often a failed request is made again, and after which waits.
///
/// | what happened | made again |
/// |---|---|
/// | 429, but not `quota_exceeded` | always |
/// | no connection | always: nothing was sent |
/// | connection or answer broken off; 500, 502, 503, 504 | where repeating is safe |
/// | 409 `request_in_progress` | with an idempotency key |
/// | no answer in time | reads, and requests with an idempotency key |
/// | anything else | never |
///
/// Repeating is safe for reads, deletions, requests with an [`IdempotencyKey`](crate::IdempotencyKey) (made anew for each creation
/// and rotation that is given none), and updates: an update names the values that are to be there afterwards, so that making
/// it twice is the same as once. It is not safe for v1's creation, which takes no key.
///
/// The wait is what `Retry-After` says, and otherwise doubles from [`initial_delay`](Self::initial_delay), times a random factor from 0.75 to 1.25.
/// Both end at [`max_delay`](Self::max_delay).
///
/// # Source
///
/// The numbers and most of the table are those of HeyGen's command-line tool: observed in its source. That updates and idempotency
/// keys are repeated, and timed-out reads, is our choice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RetryPolicy {
    initial_delay: Duration,
    max_delay: Duration,
    max_attempts: u32,
}

impl RetryPolicy {
    /// Every request is made once.
    #[must_use]
    pub fn never() -> Self {
        Self::default().max_attempts(1)
    }

    /// The first wait; each further one is twice as long. Default: 1 s.
    #[must_use]
    pub fn initial_delay(mut self, delay: Duration) -> Self {
        self.initial_delay = delay;
        self
    }

    /// The longest wait, also where `Retry-After` asks for more. Default: 30 s.
    #[must_use]
    pub fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    /// How often a request is made at most, the first time included. Default: 3; 0 means 1.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// The wait before the next request, or `None` when there is to be none. `attempts` requests were made; `roll` is random.
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
        // Cut before the factor as well, so that the product of what is left always fits.
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

/// When it is safe to make a request again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Repeat {
    /// A read.
    Read,
    /// It sets a state, and setting it twice is the same.
    SetsState,
    /// It carries an idempotency key.
    Keyed,
    /// Twice is not the same as once.
    Unsafe,
}

impl Repeat {
    fn allows(self, error: &ApiError) -> bool {
        let safe = self != Self::Unsafe;
        match error.kind() {
            ErrorKind::RateLimited => true,
            ErrorKind::Transport => safe || error.reach() == Reach::NotSent,
            ErrorKind::Server => safe && matches!(error.status(), Some(500 | 502 | 503 | 504)),
            ErrorKind::UnexpectedBody => safe && error.reach() == Reach::CutOff,
            ErrorKind::Timeout => matches!(self, Self::Read | Self::Keyed),
            ErrorKind::Conflict => self == Self::Keyed && error.has_code("request_in_progress"),
            ErrorKind::Config
            | ErrorKind::Authentication
            | ErrorKind::PaymentRequired
            | ErrorKind::Forbidden
            | ErrorKind::NotFound
            | ErrorKind::InvalidParameter
            | ErrorKind::QuotaExceeded
            | ErrorKind::Refused => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::error::Said;

    const SECOND: Duration = Duration::from_secs(1);

    #[track_caller]
    fn check_waits(policy: RetryPolicy, roll: u32, expected_millis: &[u128]) {
        let error = ApiError::timeout(SECOND);
        let waits: Vec<_> = (1..)
            .map_while(|attempts| policy.wait(Repeat::Read, &error, attempts, roll))
            .map(|wait| wait.as_millis())
            .collect();
        assert_eq!(waits, expected_millis);
    }

    #[test]
    fn waits_double_with_jitter_up_to_the_longest() {
        let policy = RetryPolicy::default();
        check_waits(policy, 0, &[750, 1500]);
        check_waits(policy, u32::MAX, &[1250, 2500]);
        check_waits(
            policy.max_attempts(8),
            0,
            &[750, 1500, 3000, 6000, 12_000, 22_500, 22_500],
        );
        check_waits(
            policy.max_attempts(7),
            u32::MAX,
            &[1250, 2500, 5000, 10_000, 20_000, 30_000],
        );
        check_waits(policy.max_delay(Duration::ZERO), 0, &[0, 0]);
        check_waits(policy.initial_delay(Duration::ZERO), u32::MAX, &[0, 0]);
        check_waits(
            policy.initial_delay(Duration::MAX),
            u32::MAX,
            &[30_000, 30_000],
        );
        check_waits(RetryPolicy::never(), 0, &[]);
        let longest = policy
            .max_attempts(2)
            .initial_delay(Duration::MAX)
            .max_delay(Duration::MAX);
        check_waits(longest, u32::MAX, &[Duration::MAX.as_millis()]);
    }

    #[test]
    fn doubling_never_overflows() {
        let policy = RetryPolicy::default().max_attempts(u32::MAX);
        let error = ApiError::timeout(SECOND);
        let wait = policy.wait(Repeat::Read, &error, u32::MAX - 1, u32::MAX);
        assert_eq!(wait, Some(30 * SECOND));
    }

    #[track_caller]
    fn check_after(asked: Duration, longest: Duration, expected: Duration) {
        let error = ApiError::refused(ErrorKind::RateLimited, Said::default())
            .with_retry_after(Some(asked));
        let policy = RetryPolicy::default().max_delay(longest);
        assert_eq!(policy.wait(Repeat::Unsafe, &error, 1, 0), Some(expected));
    }

    #[test]
    fn what_the_server_asks_for_is_waited_without_jitter() {
        check_after(17 * SECOND, 30 * SECOND, 17 * SECOND);
        check_after(31 * SECOND, 30 * SECOND, 30 * SECOND);
        check_after(Duration::ZERO, 30 * SECOND, Duration::ZERO);
        check_after(Duration::MAX, SECOND, SECOND);
    }

    /// Whether `error` is repeated for a read, an update or deletion, a keyed request, an unsafe one.
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
    fn what_is_repeated_for_whom() {
        let refused =
            |kind, status| ApiError::refused(kind, Said::default()).with_answer(status, None);
        let with_code = |kind, code: &str| {
            let said = Said {
                code: Some(code.to_owned()),
                ..Said::default()
            };
            ApiError::refused(kind, said)
        };
        let broken = || io::Error::from(io::ErrorKind::ConnectionReset);
        check(&refused(ErrorKind::RateLimited, 429), [true; 4]);
        check(&ApiError::not_connected(broken()), [true; 4]);
        let safe = [true, true, true, false];
        check(&ApiError::broken(broken()), safe);
        for status in [500, 502, 503, 504] {
            check(&refused(ErrorKind::Server, status), safe);
        }
        for status in [200, 501, 505, 507] {
            check(&refused(ErrorKind::Server, status), [false; 4]);
        }
        check(&ApiError::timeout(SECOND), [true, false, true, false]);
        let cut_off = serde_json::from_str::<u8>("").unwrap_err();
        check(&ApiError::not_json(cut_off), safe);
        let no_json = serde_json::from_str::<u8>("<").unwrap_err();
        check(&ApiError::not_json(no_json), [false; 4]);
        let keyed = [false, false, true, false];
        check(
            &with_code(ErrorKind::Conflict, "request_in_progress"),
            keyed,
        );
        check(
            &with_code(ErrorKind::Conflict, "REQUEST_IN_PROGRESS"),
            keyed,
        );
        check(&with_code(ErrorKind::Conflict, "conflict"), [false; 4]);
        for kind in [
            ErrorKind::Config,
            ErrorKind::Authentication,
            ErrorKind::PaymentRequired,
            ErrorKind::Forbidden,
            ErrorKind::NotFound,
            ErrorKind::InvalidParameter,
            ErrorKind::QuotaExceeded,
            ErrorKind::Refused,
        ] {
            check(&refused(kind, 503), [false; 4]);
        }
    }
}
