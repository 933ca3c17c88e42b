//! [`Backfill`]: stores what HeyGen's event log has and the inbox lacks: events that came while nothing received them.
//!
//! Which way the log is ordered is not documented, nor whether events that were never delivered are in it: nothing here
//! relies on either.

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
use pass::{Depth, Pass, Range};
use target::Target;
use watch::{Troubles, jittered};

/// Stores what HeyGen's event log has and the inbox lacks: events that came while nothing received them.
///
/// [`run`](Self::run) reads the log once, [`watch`](Self::watch) at intervals for as long as a server runs. Every page is in
/// the inbox before the next is asked for, and so is a bookmark of how far it has come: it may be interrupted anywhere. An event
/// that is in the inbox already, also as a POST, is not stored again.
#[derive(Debug)]
pub struct Backfill<I> {
    log: Log,
    target: Target<I>,
    range: Range,
}

impl<I: InboxAdmin> Backfill<I> {
    /// Everything in the log that `client` reads, into this inbox.
    #[must_use]
    pub fn new(client: Client, inbox: I) -> Self {
        Self::into_target(client, Target::inbox(inbox))
    }

    /// Counts what would be new, and changes nothing. `None` where there is no inbox yet.
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

    /// Names the address of a log other than HeyGen's own, so that one inbox keeps a bookmark of its own for it.
    #[must_use]
    pub fn base_url(mut self, base_url: Option<String>) -> Self {
        self.log.query.base_url = base_url;
        self
    }

    /// Only events whose name is this, or matches this pattern (`*` matches anything).
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

    /// Leaves out what HeyGen made before this moment, in every pass. What does not say when it was made is stored.
    ///
    /// HeyGen's clock tells when an event was made, to the second: who means “from now on” allows for a clock that is late.
    #[must_use]
    pub fn since(mut self, since: SystemTime) -> Self {
        // To the second, downwards: a record of the same second counts as made since.
        self.range.since = Timestamp::try_from(since)
            .ok()
            .and_then(|since| Timestamp::from_second(since.as_second()).ok());
        self
    }

    /// Reads everything since then, also what an earlier pass read and the inbox has deleted meanwhile.
    #[must_use]
    pub fn again_since(mut self, since: SystemTime) -> Self {
        self.range.again = true;
        self.since(since)
    }

    /// Reads the log once: on from where an interrupted run ended, if there is one, then over what came meanwhile.
    ///
    /// `stop` ends it between two pages. `on_progress` is called after each; the last progress is complete also after an
    /// error.
    ///
    /// # Errors
    ///
    /// HeyGen refuses or cannot be asked, or the inbox cannot be written. What was read before is stored.
    pub async fn run(
        &mut self,
        stop: impl Future<Output = ()> + Send,
        mut on_progress: impl FnMut(&BackfillProgress) + Send,
    ) -> Result<BackfillOutcome, ConnectError> {
        self.pass(Depth::Deep, pin!(stop), &mut on_progress).await
    }

    /// Reads the log at once, and again after every `interval`, give or take a tenth, until `stop`.
    ///
    /// Whatever goes wrong is reported and tried again: soon at first, then after growing delays, and never before HeyGen
    /// wants to be asked again, unless `on_event` breaks after [`Failed`](BackfillEvent::Failed).
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
        let mut troubles = Troubles::new(interval);
        let mut is_first = true;
        loop {
            let mut progress = BackfillProgress::default();
            let mut on_progress = |so_far: &BackfillProgress| progress = *so_far;
            let ended = self.pass(Depth::Between, stop.as_mut(), &mut on_progress);
            let ended = ended.await;
            if progress.new > 0 || is_first && ended.is_ok() {
                let _ = on_event(BackfillEvent::Passed(progress));
            }
            is_first = false;
            let wait = match ended {
                Ok(BackfillOutcome::Stopped) => return Ok(()),
                Ok(BackfillOutcome::Complete) => {
                    if troubles.end() {
                        let _ = on_event(BackfillEvent::Recovered);
                    }
                    jittered(interval)
                }
                Err(error) => {
                    let (retry_in, is_repeated) = troubles.add(&error);
                    let failed = BackfillEvent::Failed {
                        error: &error,
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
        depth: Depth,
        stop: Pin<&mut (dyn Future<Output = ()> + Send)>,
        on_progress: &mut (dyn FnMut(&BackfillProgress) + Send),
    ) -> Result<BackfillOutcome, ConnectError> {
        let pass = Pass {
            log: &self.log,
            target: &mut self.target,
            range: self.range,
            depth,
            stop,
            on_progress,
            bookmark: Bookmark::default(),
            progress: BackfillProgress::default(),
        };
        pass.run().await
    }
}
