//! [`Control`]: settings of operators for every worker, in bookmarks that each reads once a second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::records::Records;
use crate::admin::DISPATCH_PAUSED;
use crate::error::InboxError;

/// Settings of operators for every worker.
#[derive(Debug, Default)]
pub(super) struct Control {
    known: Mutex<Option<Settings>>,
    /// Up to which event this process has seen every worker notice that there may be a record.
    noticed_to: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    is_paused: bool,
    recorded_to: u64,
    at: Instant,
}

impl Control {
    /// Whether dispatch is paused. The last answer holds while the servers do not answer.
    pub(super) async fn is_paused(&self, records: &Records) -> Result<bool, InboxError> {
        let known = *self.known();
        if let Some(known) = known.filter(|known| known.at.elapsed() < MAX_SETTINGS_AGE) {
            return Ok(known.is_paused);
        }
        let at = Instant::now();
        let asked = tokio::try_join!(records.bookmark(DISPATCH_PAUSED), recorded_to(records));
        let found = match (asked, known) {
            (Ok((paused, (recorded_to, _))), _) => Settings {
                is_paused: paused.is_some(),
                recorded_to,
                at,
            },
            (Err(error), Some(known)) => {
                tracing::debug!(%error, "cannot see whether dispatch is paused");
                // An operator may have recorded any event since.
                Settings {
                    at,
                    recorded_to: u64::MAX,
                    ..known
                }
            }
            (Err(error), None) => return Err(error),
        };
        *self.known() = Some(found);
        Ok(found.is_paused)
    }

    /// Whether an event that was never dispatched may have a record all the same, as far as is known:
    /// what is known must not be older than an operator waits.
    pub(super) fn may_be_recorded(&self, sequence: u64) -> bool {
        self.known()
            .is_none_or(|known| sequence <= known.recorded_to || known.at.elapsed() >= NOTICED)
    }

    /// This process changed a setting: the next claim reads it.
    pub(super) fn forget(&self) {
        *self.known() = None;
    }

    /// Makes every worker look for a record before the first attempt of an event, up to the event
    /// at `last`; returns once all have noticed. `false` where this process knows that they had
    /// noticed already.
    pub(super) async fn announce_recorded(
        &self,
        records: &Records,
        sequence: u64,
        last: u64,
    ) -> Result<bool, InboxError> {
        let announced_to = loop {
            let (known, revision) = recorded_to(records).await?;
            if known >= sequence {
                if self.noticed_to.load(Ordering::Relaxed) >= sequence {
                    return Ok(false);
                }
                // Another process may have written it just now.
                break known;
            }
            // Another process may be writing a greater one.
            let to = last.max(sequence);
            let text = to.to_string();
            if records.put_bookmark(RECORDED_TO, &text, revision).await? {
                break to;
            }
        };
        self.forget();
        tokio::time::sleep(NOTICED).await;
        self.noticed_to.fetch_max(announced_to, Ordering::Relaxed);
        Ok(true)
    }

    fn known(&self) -> MutexGuard<'_, Option<Settings>> {
        // It is replaced whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// With its revision.
async fn recorded_to(records: &Records) -> Result<(u64, u64), InboxError> {
    let (to, revision) = records.bookmark_entry(RECORDED_TO).await?;
    Ok((to.and_then(|to| to.parse().ok()).unwrap_or(0), revision))
}

/// The bookmark up to which events may have a record before their first attempt.
const RECORDED_TO: &str = "recorded-to";

const MAX_SETTINGS_AGE: Duration = Duration::from_secs(1);

/// By then every worker has read its settings.
const NOTICED: Duration = Duration::from_millis(1500);

#[cfg(test)]
mod tests {
    use xtask_nats::{Program, Server};

    use super::*;
    use crate::jetstream::streams::Streams;

    /// Two operators announce at once, and each has read the bookmark before the other writes it.
    #[tokio::test]
    async fn announcements_of_two_processes_add_up_and_each_waits() {
        let server = Server::start(Program::Current, &xtask_nats::Options::new());
        let server = server.expect("a server");
        let records = Streams::at(&server).await.records;
        for (greater, is_first) in [(9, true), (19, false)] {
            let (one, other) = (Control::default(), Control::default());
            let began_at = Instant::now();
            let first = one.announce_recorded(&records, greater, greater);
            let second = other.announce_recorded(&records, greater - 5, greater - 4);
            let (first, second) = match is_first {
                true => tokio::join!(first, second),
                false => {
                    let (second, first) = tokio::join!(second, first);
                    (first, second)
                }
            };
            assert!(first.expect("announced") && second.expect("announced"));
            assert!(began_at.elapsed() >= NOTICED);
            let announced = recorded_to(&records).await.expect("a bookmark");
            assert_eq!(announced.0, greater);
            for control in [&one, &other] {
                let again = control.announce_recorded(&records, greater - 5, greater);
                assert!(!again.await.expect("announced"), "it has waited before");
            }
        }
        let third = Control::default().announce_recorded(&records, 3, 9).await;
        assert!(third.expect("announced"), "it cannot know how long ago");
    }

    #[test]
    fn records_are_looked_for_unless_it_is_known_that_there_is_none() {
        let check = |known: Option<Settings>, sequence: u64, expected: bool| {
            let control = Control::default();
            *control.known() = known;
            assert_eq!(control.may_be_recorded(sequence), expected, "{known:?}");
        };
        let known = |at| {
            Some(Settings {
                is_paused: false,
                recorded_to: 5,
                at,
            })
        };
        check(None, 6, true);
        check(known(Instant::now()), 5, true);
        check(known(Instant::now()), 6, false);
        let old = Instant::now().checked_sub(NOTICED);
        check(known(old.expect("a clock that runs")), 6, true);
    }
}
