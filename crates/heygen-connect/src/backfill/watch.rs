//! [`Troubles`]: what has gone wrong since a watched backfill last worked, and when it is tried again.

use std::time::Duration;

use heygen_api::{ApiError, ErrorKind};

use super::pass::BackfillProgress;
use crate::backoff::Backoff;
use crate::error::{ConnectError, ConnectErrorKind};

/// What a watched backfill did.
#[derive(Debug)]
#[non_exhaustive]
pub enum BackfillEvent<'a> {
    /// The first pass has ended, or one that stored something new.
    Passed(BackfillProgress),
    /// A pass failed, and is tried again after a delay.
    #[non_exhaustive]
    Failed {
        /// Why.
        error: &'a ConnectError,
        /// How long until it is tried again.
        retry_in: Duration,
        /// Whether the same was reported since the last pass that worked.
        is_repeated: bool,
    },
    /// It works again.
    Recovered,
}

/// What has gone wrong since it last worked.
#[derive(Debug)]
pub(super) struct Troubles {
    reported: Vec<(ConnectErrorKind, Option<ErrorKind>)>,
    interval: Duration,
    backoff: Backoff,
}

impl Troubles {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            reported: Vec::new(),
            interval,
            backoff: Backoff::new(INITIAL_DELAY, interval),
        }
    }

    /// Forgets all; whether there was something.
    pub(super) fn end(&mut self) -> bool {
        let had_some = !self.reported.is_empty();
        *self = Self::new(self.interval);
        had_some
    }

    /// How long to wait after this error, never less than HeyGen asks for; and whether it is repeated.
    pub(super) fn add(&mut self, error: &ConnectError) -> (Duration, bool) {
        let asked = error.api_error().and_then(ApiError::retry_after);
        let wait = jittered(self.backoff.next()).max(asked.unwrap_or_default());
        let kind = (error.kind(), error.api_error().map(ApiError::kind));
        let is_repeated = self.reported.contains(&kind);
        if !is_repeated {
            self.reported.push(kind);
        }
        (wait, is_repeated)
    }
}

/// A tenth more or less, so that many servers do not ask at the same moment.
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
    fn waits_grow_up_to_the_interval() {
        let mut troubles = Troubles::new(Duration::from_secs(100));
        for (expected, is_repeated) in [
            (15.0, false),
            (30.0, true),
            (60.0, true),
            (100.0, true),
            (100.0, true),
        ] {
            let (wait, repeated) = troubles.add(&endless());
            let wait = wait.as_secs_f64();
            assert!(
                (0.9..=1.1).contains(&(wait / expected)),
                "{wait} {expected}"
            );
            assert_eq!(repeated, is_repeated);
        }
        assert!(troubles.end() && !troubles.end());
        let wait = troubles.add(&endless()).0.as_secs_f64();
        assert!(wait < 17.0, "{wait}");
    }
}
