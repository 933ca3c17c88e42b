//! [`Streams`]: the connection, the streams and the queues of one inbox.

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Mutex;

use super::connection::Connection;
use super::dead_letters::DeadLetters;
use super::durability::DurabilityWarning;
use super::events::Events;
use super::queue::Queue;
use super::record::Record;
use super::records::Records;
use super::references::References;
use super::subject::Names;
use crate::error::InboxError;
use crate::record::State;
use crate::throttle::Throttle;

/// The connection, the streams and the queues of one inbox.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) connection: Connection,
    pub(super) names: Names,
    pub(super) events: Events,
    pub(super) dead: DeadLetters,
    pub(super) records: Records,
    pub(super) references: References,
    /// Delivers the events themselves.
    pub(super) queue: Queue,
    pub(super) durability_warnings: Vec<DurabilityWarning>,
    /// How existing streams and consumers differ from the options, in words.
    pub(super) config_drift: Vec<String>,
    /// Whether missing streams are created, and not only read.
    pub(super) creates_missing: bool,
    /// Held by the task that looks for missing streams, with how often it logs why it creates none.
    pub(super) restoring: Arc<Mutex<Throttle>>,
}

impl Streams {
    /// Whether a consumer that delivers an event for the first time may have done so before and
    /// forgotten it: it was created again, or its server was killed and lost what it had not
    /// written to disk.
    pub(super) fn may_be_forgotten(&self, stored_at: SystemTime) -> bool {
        stored_at < self.queue.created_at() || stored_at < self.connection.connected_at()
    }

    /// Creates those streams beside the events again that were deleted meanwhile; called after an
    /// error. Returns at once: the caller tries again anyway.
    pub(super) fn restore_missing(self: &Arc<Self>) {
        if !self.creates_missing || !self.connection.is_connected() {
            return;
        }
        let Ok(mut turn) = Arc::clone(&self.restoring).try_lock_owned() else {
            return;
        };
        let streams = Arc::clone(self);
        // A task of its own, since a caller may be dropped between a stream and what belongs in it.
        tokio::spawn(async move {
            for _ in 0..RESTORE_TRIES {
                let Err(error) = streams.restore().await else {
                    return;
                };
                if turn.passes(Instant::now()) {
                    let cause = error.source().map(ToString::to_string);
                    tracing::warn!(%error, cause, "a missing stream is not created again, or not what waited in it; retrying");
                }
                tokio::time::sleep(RESTORE_PAUSE).await;
            }
        });
    }

    async fn restore(&self) -> Result<(), InboxError> {
        // The loss of the events themselves must not be hidden, and shows where they are read.
        if self.events.stream.state().await.is_err() {
            return Ok(());
        }
        self.records.stream.restore().await?;
        self.dead.stream.restore().await?;
        self.references.stream.restore().await?;
        self.make_references().await
    }

    /// Makes the references that unfinished deliveries wait for, if their stream was created after
    /// the oldest event: the one before was lost. A bookmark says for which stream that was done,
    /// since a process may end in between.
    pub(super) async fn make_references(&self) -> Result<(), InboxError> {
        let events = self.events.stream.state().await?;
        let created = self.references.stream.info_now().await?.created;
        if events.messages == 0 || created <= events.first_timestamp {
            return Ok(());
        }
        let created = created.unix_timestamp_nanos().to_string();
        let (made_for, revision) = self.records.bookmark_entry(REFERENCES_OF).await?;
        if made_for.as_ref() == Some(&created) {
            return Ok(());
        }
        if self.make_missing_references().await? > 0 {
            // Those that wait may be of a newer version, whose start can read them.
            return Ok(());
        }
        // Another process may have done the same meanwhile.
        let set = self.records.put_bookmark(REFERENCES_OF, &created, revision);
        if let Err(error) = set.await {
            tracing::debug!(%error, "the next start looks for missing references again");
        }
        Ok(())
    }

    /// Gives how many records are unreadable.
    async fn make_missing_references(&self) -> Result<u64, InboxError> {
        let mut waiting = Vec::new();
        let reading = self.records.for_each(|sequence, record| {
            let is_finished = matches!(record.state(), State::Acknowledged | State::DeadLettered);
            if record.generation > 0 && !is_finished {
                let mut asking = Record::new();
                asking.generation = record.generation;
                asking.received_at = record.received_at;
                waiting.push((sequence, asking));
            }
        });
        let unreadable = reading.await?;
        let mut count = 0;
        for (sequence, record) in waiting {
            let adding = self.references.add_if_missing(sequence, &record);
            count += usize::from(adding.await?);
        }
        if count > 0 {
            tracing::warn!(
                stream = self.names.again(),
                references = count,
                "the stream was missing; what it led to was found in the records"
            );
            self.references.expect(true);
        }
        if unreadable > 0 {
            tracing::warn!(
                stream = self.names.records(),
                records = unreadable,
                "another version or program wrote records that cannot be read; what waits by them is looked for again at the next start"
            );
        }
        Ok(unreadable)
    }

    /// After how long without an acknowledgement the servers deliver something again.
    pub(super) fn ack_wait(&self) -> Duration {
        self.queue.ack_wait().min(self.references.queue.ack_wait())
    }
}

/// The bookmark that says of which stream of references all were made: when it was created.
const REFERENCES_OF: &str = "references-of";

/// After so many tries the next error begins again.
const RESTORE_TRIES: usize = 600;
const RESTORE_PAUSE: Duration = Duration::from_secs(1);

/// Between two lines about a stream that is not created again.
pub(super) const RESTORE_LOG_INTERVAL: Duration = Duration::from_secs(60);
