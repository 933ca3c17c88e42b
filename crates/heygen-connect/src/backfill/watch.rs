//! [`FailureTracker`]: the failures of a watched backfill since its last success, and its retry
//! delays.

use std::time::Duration;

use heygen_api::{ApiError, ApiErrorKind};

use super::pass::BackfillProgress;
use crate::backoff::{Backoff, MAX_RETRY_AFTER};
use crate::error::{ConnectError, ConnectErrorKind};

/// An event of a watched backfill.
#[derive(Debug)]
#[non_exhaustive]
pub enum BackfillEvent<'a> {
    /// A pass read everything that may be new.
    Passed(BackfillProgress),
    /// A pass failed. It is retried after a delay.
    #[non_exhaustive]
    Failed {
        /// The error.
        error: &'a ConnectError,
        /// What it read and stored before.
        progress: BackfillProgress,
        /// The delay until the retry.
        retry_in: Duration,
        /// Whether the same kind was reported since the last success.
        is_repeated: bool,
    },
    /// A pass succeeded after failures.
    Recovered,
}

/// The failures since the last success.
#[derive(Debug)]
pub(super) struct FailureTracker {
    reported: Vec<(ConnectErrorKind, Option<ApiErrorKind>)>,
    interval: Duration,
    backoff: Backoff,
}

impl FailureTracker {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            reported: Vec::new(),
            interval,
            backoff: Backoff::new(INITIAL_DELAY, interval),
        }
    }

    /// Removes all failures. Whether there were any.
    pub(super) fn reset(&mut self) -> bool {
        let had_some = !self.reported.is_empty();
        *self = Self::new(self.interval);
        had_some
    }

    /// The delay after this error, at least as long as HeyGen asks up to a limit, and whether it is
    /// repeated.
    pub(super) fn add(&mut self, error: &ConnectError) -> (Duration, bool) {
        let retry_after = error.api_error().and_then(ApiError::retry_after);
        let asked = retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
        let wait = jittered(self.backoff.next()).max(asked);
        let kind = (error.kind(), error.api_error().map(ApiError::kind));
        let is_repeated = self.reported.contains(&kind);
        if !is_repeated {
            self.reported.push(kind);
        }
        (wait, is_repeated)
    }
}

/// 10 % more or less, so that many servers do not send requests at the same time.
pub(super) fn jittered(time: Duration) -> Duration {
    let roll = getrandom::u32().unwrap_or(u32::MAX / 2);
    let factor = 0.9 + 0.2 * f64::from(roll) / f64::from(u32::MAX);
    Duration::try_from_secs_f64(time.as_secs_f64() * factor).unwrap_or(time)
}

const INITIAL_DELAY: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    fn endless() -> ConnectError {
        ConnectError::new(ConnectErrorKind::EndlessLog, "endless")
    }

    #[test]
    fn delays_grow_up_to_the_interval() {
        let mut failures = FailureTracker::new(Duration::from_secs(100));
        for (expected, is_repeated) in [
            (15.0, false),
            (30.0, true),
            (60.0, true),
            (100.0, true),
            (100.0, true),
        ] {
            let (wait, repeated) = failures.add(&endless());
            let wait = wait.as_secs_f64();
            assert!(
                (0.9..=1.1).contains(&(wait / expected)),
                "{wait} {expected}"
            );
            assert_eq!(repeated, is_repeated);
        }
        assert!(failures.reset() && !failures.reset());
        let wait = failures.add(&endless()).0.as_secs_f64();
        assert!(wait < 17.0, "{wait}");
    }
}
