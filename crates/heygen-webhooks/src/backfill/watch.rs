//! Back-filling for as long as a server runs.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use heygen_api::{ApiError, ErrorKind};
use heygen_inbox::InboxErrorKind;

use super::pass::Depth;
use super::{Backfill, End, PassError, Tally};
use crate::api::{self, error_chain};
use crate::cli::ApiVersion;

/// What went wrong, as far as it is worth a line of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Trouble {
    Api(ErrorKind),
    Inbox(InboxErrorKind),
    NotWhole,
}

/// What was told since it last worked.
#[derive(Debug, Default)]
struct Troubles {
    told: Vec<Trouble>,
    in_a_row: u32,
}

impl Backfill {
    /// Goes over the log at once, and again after every `interval`, give or take a tenth, until `stop`.
    ///
    /// What was new is logged. Whatever goes wrong is logged once until it works again, and tried again: soon at first, then
    /// at growing intervals, and never before HeyGen wants to be asked again. A refusal that asking again does not change is no
    /// reason to end: the receiver goes on beside it.
    pub(crate) async fn watch(self, interval: Duration, stop: impl Future<Output = ()> + Send) {
        // It ends for no error.
        let _ = self.go_over_again(interval, stop, |_| false).await;
    }

    /// As [`watch`](Self::watch), for a process that does nothing else: ends when HeyGen refuses and asking again would not
    /// change that, as with a wrong key.
    pub(crate) async fn watch_until_refused(
        self,
        interval: Duration,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<(), ApiError> {
        let is_for_good = |error: &ApiError| !api::is_passing(error);
        self.go_over_again(interval, stop, is_for_good).await
    }

    async fn go_over_again(
        mut self,
        interval: Duration,
        stop: impl Future<Output = ()> + Send,
        ends: fn(&ApiError) -> bool,
    ) -> Result<(), ApiError> {
        let mut stop = pin!(stop);
        let mut troubles = Troubles::default();
        let mut is_first = true;
        loop {
            let mut tally = Tally::default();
            let mut tell = |so_far: &Tally| tally = *so_far;
            let ended = self.pass(Depth::Between, stop.as_mut(), &mut tell).await;
            if tally.new > 0 || is_first && ended.is_ok() {
                tally.log();
            }
            is_first = false;
            let wait = match ended {
                Ok(End::Stopped) => return Ok(()),
                Ok(End::Done) => {
                    troubles.over();
                    jittered(interval)
                }
                Err(PassError::Api(error)) if ends(&error) => return Err(error),
                Err(error) => troubles.wait(&error, interval),
            };
            tokio::select! {
                biased;
                () = stop.as_mut() => return Ok(()),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}

impl Tally {
    fn log(&self) {
        let Self {
            pages,
            new,
            known,
            unreadable,
            skipped,
        } = *self;
        tracing::info!(
            new,
            known,
            unreadable,
            skipped,
            pages,
            "back-filled from HeyGen's log"
        );
    }
}

impl Troubles {
    fn over(&mut self) {
        if !self.told.is_empty() {
            tracing::info!("back-filling from HeyGen's log works again");
        }
        *self = Self::default();
    }

    /// Tells of it, and when to try again.
    fn wait(&mut self, error: &PassError, interval: Duration) -> Duration {
        let doublings = self.in_a_row.min(16);
        self.in_a_row += 1;
        let backoff = FIRST_BACKOFF.saturating_mul(1 << doublings);
        let told = error.retry_after().unwrap_or_default();
        let wait = jittered(backoff.min(interval)).max(told);
        let trouble = Trouble::of(error);
        let advice = match error {
            PassError::Api(error) => api::advice(ApiVersion::V3, error),
            PassError::Inbox(_) | PassError::NotWhole => None,
        };
        let (error, seconds) = (error_chain(error), wait.as_secs());
        if self.told.contains(&trouble) {
            tracing::debug!(error, again_in_seconds = seconds, "not back-filled");
        } else {
            self.told.push(trouble);
            tracing::warn!(
                error,
                again_in_seconds = seconds,
                advice,
                "not back-filled: what HeyGen could not deliver meanwhile waits; deliveries are taken as ever"
            );
        }
        wait
    }
}

impl Trouble {
    fn of(error: &PassError) -> Self {
        match error {
            PassError::Api(error) => Self::Api(error.kind()),
            PassError::Inbox(error) => Self::Inbox(error.kind()),
            PassError::NotWhole => Self::NotWhole,
        }
    }
}

/// A tenth more or less, so that many servers do not ask at the same moment.
fn jittered(time: Duration) -> Duration {
    let roll = getrandom::u32().unwrap_or(u32::MAX / 2);
    let factor = 0.9 + 0.2 * f64::from(roll) / f64::from(u32::MAX);
    Duration::try_from_secs_f64(time.as_secs_f64() * factor).unwrap_or(time)
}

const FIRST_BACKOFF: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_the_interval() {
        let interval = Duration::from_secs(100);
        let mut troubles = Troubles::default();
        for expected in [15.0, 30.0, 60.0, 100.0, 100.0] {
            let wait = troubles.wait(&PassError::NotWhole, interval).as_secs_f64();
            assert!(
                (0.9..=1.1).contains(&(wait / expected)),
                "{wait} {expected}"
            );
        }
        assert_eq!(troubles.told.len(), 1);
        troubles.over();
        let wait = troubles.wait(&PassError::NotWhole, interval).as_secs_f64();
        assert!(wait < 17.0, "{wait}");
    }
}
