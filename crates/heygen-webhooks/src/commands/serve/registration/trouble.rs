//! [`Trouble`]: why HeyGen does not send here yet. [`Waits`]: when to ask it again.

use std::time::Duration;

use heygen_api::ApiError;

use crate::api;
use crate::cli::ApiVersion;
use crate::failure::Failure;

/// Why HeyGen does not send here yet.
#[derive(Debug)]
pub(super) enum Trouble {
    /// HeyGen could not be asked, or not now; it may say how long to wait.
    Passing {
        failure: Failure,
        retry_after: Option<Duration>,
    },
    /// Asking again gives the same answer.
    Lasting(Failure),
}

impl From<ApiError> for Trouble {
    fn from(error: ApiError) -> Self {
        let retry_after = error.retry_after();
        let is_passing = api::is_passing(&error);
        let failure = api::failure(ApiVersion::V3, error);
        match is_passing {
            true => Self::Passing {
                failure,
                retry_after,
            },
            false => Self::Lasting(failure),
        }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Lasting(failure)
    }
}

impl From<anyhow::Error> for Trouble {
    fn from(error: anyhow::Error) -> Self {
        Self::Lasting(error.into())
    }
}

/// How long to wait before each further try: 5 s, twice as long every time, and never more than 5 min; what HeyGen asks for
/// comes first, up to an hour.
#[derive(Debug)]
pub(super) struct Waits {
    next: Duration,
}

impl Waits {
    pub(super) fn new() -> Self {
        Self { next: FIRST }
    }

    pub(super) fn next(&mut self, retry_after: Option<Duration>) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(LONGEST);
        retry_after.map_or(wait, |asked| asked.clamp(SHORTEST_ASKED, LONGEST_ASKED))
    }
}

const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// `Retry-After: 0` is no invitation to ask without a pause.
const SHORTEST_ASKED: Duration = Duration::from_secs(1);

/// Nobody who mistakes a unit is to keep the receiver unregistered for days.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end_at_five_minutes() {
        let mut waits = Waits::new();
        let seconds: Vec<_> = (0..8).map(|_| waits.next(None).as_secs()).collect();
        assert_eq!(seconds, [5, 10, 20, 40, 80, 160, 300, 300]);
    }

    #[test]
    fn what_heygen_asks_for_comes_first() {
        for (asked, expected) in [(0, 1), (17, 17), (1200, 1200), (86_400, 3600)] {
            let wait = Waits::new().next(Some(Duration::from_secs(asked)));
            assert_eq!(wait.as_secs(), expected);
        }
    }
}
