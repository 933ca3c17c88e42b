//! [`Backfill`]: stores missed events from HeyGen's event log in the inbox.
//!
//! HeyGen documents neither the order of the log nor whether undelivered events are in it. Nothing
//! here depends on either.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::time::{Duration, SystemTime};

use heygen_api::Client;
use heygen_inbox::InboxAdmin;
use jiff::Timestamp;

mod bookmark;
mod log;
mod order;
mod pass;
mod target;
mod watch;

#[cfg(test)]
mod tests;

pub use pass::{BackfillOutcome, BackfillProgress};
pub use watch::BackfillEvent;

use crate::error::ConnectError;
use bookmark::Bookmark;
use log::{Log, LogQuery};
use pass::{Pass, PassScope, Range};
use target::Target;
use watch::{FailureTracker, jittered};

/// Stores missed events: records of HeyGen's event log that are not in the inbox.
///
/// [`run`](Self::run) reads the log once; [`watch`](Self::watch) reads it at intervals while a
/// server runs. Each page and a bookmark are stored before the next page is requested, so a
/// backfill may be interrupted anywhere. An event that is in the inbox, even as a POST, is not
/// stored again.
#[derive(Debug)]
pub struct Backfill<I> {
    log: Log,
    target: Target<I>,
    range: Range,
}

impl<I: InboxAdmin> Backfill<I> {
    /// A backfill from the log that `client` reads into this inbox.
    #[must_use]
    pub fn new(client: Client, inbox: I) -> Self {
        Self::into_target(client, Target::inbox(inbox))
    }

    /// A backfill that counts new records and changes nothing. `None`: there is no inbox yet.
    #[must_use]
    pub fn dry_run(client: Client, inbox: Option<I>) -> Self {
        Self::into_target(client, Target::dry_run(inbox))
    }

    fn into_target(client: Client, target: Target<I>) -> Self {
        let query = LogQuery::default();
        Self {
            log: Log { client, query },
            target,
            range: Range::default(),
        }
    }

    /// Names the base URL of a log other than HeyGen's, so that it has its own bookmark in the
    /// inbox.
    #[must_use]
    pub fn base_url(mut self, base_url: Option<String>) -> Self {
        self.log.query.base_url = base_url;
        self
    }

    /// Only events with this name, or matching this pattern (`*` matches anything).
    #[must_use]
    pub fn event_type(mut self, event_type: Option<String>) -> Self {
        self.log.query.event_type = event_type;
        self
    }

    /// Only events of this entity.
    #[must_use]
    pub fn entity_id(mut self, entity_id: Option<String>) -> Self {
        self.log.query.entity_id = entity_id;
        self
    }

    /// Skips events that were created before this time. Events without a creation time are stored.
    ///
    /// The creation time is from HeyGen's clock, to the second. For “from now on”, allow for a
    /// clock that is late.
    #[must_use]
    pub fn since(mut self, since: SystemTime) -> Self {
        // Rounded down to the second: a record of the same second is included.
        self.range.since = Timestamp::try_from(since)
            .ok()
            .and_then(|since| Timestamp::from_second(since.as_second()).ok());
        self
    }

    /// Reads everything since this time, even what an earlier pass read and the inbox has deleted
    /// since.
    #[must_use]
    pub fn again_since(mut self, since: SystemTime) -> Self {
        self.range.again = true;
        self.since(since)
    }

    /// Reads the log once. It continues an interrupted run, if there is one, then reads what is
    /// newer.
    ///
    /// `stop` ends it between two pages. `on_progress` is called after each page; the last call is
    /// complete even if an error follows.
    ///
    /// # Errors
    ///
    /// HeyGen rejects a request or cannot be reached, or the inbox cannot be written. Pages that
    /// were read before are stored.
    pub async fn run(
        &mut self,
        stop: impl Future<Output = ()> + Send,
        mut on_progress: impl FnMut(&BackfillProgress) + Send,
    ) -> Result<BackfillOutcome, ConnectError> {
        self.pass(PassScope::Full, pin!(stop), &mut on_progress)
            .await
    }

    /// Reads the log immediately and then at every `interval` (±10 %), until `stop`.
    ///
    /// Errors are reported and retried: soon at first, then after growing delays, and never before
    /// the `Retry-After` of HeyGen, up to one hour. If `on_event` breaks after
    /// [`Failed`](BackfillEvent::Failed), it ends.
    ///
    /// # Errors
    ///
    /// The error that `on_event` broke after.
    pub async fn watch(
        mut self,
        interval: Duration,
        stop: impl Future<Output = ()> + Send,
        mut on_event: impl FnMut(BackfillEvent<'_>) -> ControlFlow<()> + Send,
    ) -> Result<(), ConnectError> {
        let mut stop = pin!(stop);
        let mut failures = FailureTracker::new(interval);
        loop {
            let mut progress = BackfillProgress::default();
            let mut on_progress = |so_far: &BackfillProgress| progress = *so_far;
            let ended = self.pass(PassScope::Incremental, stop.as_mut(), &mut on_progress);
            let wait = match ended.await {
                Ok(BackfillOutcome::Stopped) => return Ok(()),
                Ok(BackfillOutcome::Complete) => {
                    let _ = on_event(BackfillEvent::Passed(progress));
                    if failures.reset() {
                        let _ = on_event(BackfillEvent::Recovered);
                    }
                    jittered(interval)
                }
                Err(error) => {
                    let (retry_in, is_repeated) = failures.add(&error);
                    let failed = BackfillEvent::Failed {
                        error: &error,
                        progress,
                        retry_in,
                        is_repeated,
                    };
                    if on_event(failed).is_break() {
                        return Err(error);
                    }
                    retry_in
                }
            };
            tokio::select! {
                biased;
                () = stop.as_mut() => return Ok(()),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn pass(
        &mut self,
        scope: PassScope,
        stop: Pin<&mut (dyn Future<Output = ()> + Send)>,
        on_progress: &mut (dyn FnMut(&BackfillProgress) + Send),
    ) -> Result<BackfillOutcome, ConnectError> {
        let pass = Pass {
            log: &self.log,
            target: &mut self.target,
            range: self.range,
            scope,
            stop,
            on_progress,
            bookmark: Bookmark::default(),
            progress: BackfillProgress::default(),
        };
        pass.run().await
    }
}

/// How far back from its last complete pass [`Backfill::watch`] reads records again. An inbox that
/// deletes finished deliveries sooner gets their events a second time: keep them for this long, plus
/// two intervals, plus the longest time that the program or HeyGen's API may be away.
pub const BACKFILL_REACH: Duration = Duration::from_secs(4 * 24 * 3600);
