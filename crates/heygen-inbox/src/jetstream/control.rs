//! [`Control`]: settings of operators for every worker, in bookmarks that each reads once a second.

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
            (Ok((paused, recorded_to)), _) => Settings {
                is_paused: paused.is_some(),
                recorded_to,
                at,
            },
            (Err(error), Some(known)) => {
                tracing::debug!(%error, "cannot see whether dispatch is paused");
                Settings { at, ..known }
            }
            (Err(error), None) => return Err(error),
        };
        *self.known() = Some(found);
        Ok(found.is_paused)
    }

    /// Whether an event that was never dispatched may have a record all the same.
    pub(super) fn may_be_recorded(&self, sequence: u64) -> bool {
        self.known()
            .is_some_and(|known| sequence <= known.recorded_to)
    }

    /// This process changed a setting: the next claim reads it.
    pub(super) fn forget(&self) {
        *self.known() = None;
    }

    /// Makes every worker look for a record before the first attempt of an event, up to the event
    /// at `last`; returns once all have noticed. `false` where they knew already.
    pub(super) async fn announce_recorded(
        &self,
        records: &Records,
        sequence: u64,
        last: u64,
    ) -> Result<bool, InboxError> {
        if recorded_to(records).await? >= sequence {
            return Ok(false);
        }
        let to = last.max(sequence).to_string();
        records.set_bookmark(RECORDED_TO, &to).await?;
        self.forget();
        tokio::time::sleep(NOTICED).await;
        Ok(true)
    }

    fn known(&self) -> MutexGuard<'_, Option<Settings>> {
        // It is replaced whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn recorded_to(records: &Records) -> Result<u64, InboxError> {
    let to = records.bookmark(RECORDED_TO).await?;
    Ok(to.and_then(|to| to.parse().ok()).unwrap_or(0))
}

/// The bookmark up to which events may have a record before their first attempt.
const RECORDED_TO: &str = "recorded-to";

const MAX_SETTINGS_AGE: Duration = Duration::from_secs(1);

/// By then every worker has read its settings.
const NOTICED: Duration = Duration::from_millis(1500);
