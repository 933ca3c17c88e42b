//! [`Streams`]: the connection, the streams and the queues of one inbox.

use std::time::{Duration, SystemTime};

use super::connection::Connection;
use super::dead_letters::DeadLetters;
use super::durability::DurabilityWarning;
use super::events::Events;
use super::queue::Queue;
use super::records::Records;
use super::references::References;
use super::subject::Names;
use crate::error::InboxError;
use crate::record::State;

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
}

impl Streams {
    /// Whether a consumer that delivers an event for the first time may have done so before and
    /// forgotten it: it was created again, or its server was killed and lost what it had not
    /// written to disk.
    pub(super) fn may_be_forgotten(&self, stored_at: SystemTime) -> bool {
        stored_at < self.queue.created_at() || stored_at < self.connection.connected_at()
    }

    /// Makes the references that unfinished deliveries wait for, after their stream was lost.
    pub(super) async fn make_references(&self) -> Result<(), InboxError> {
        let mut waiting = Vec::new();
        let reading = self.records.for_each(|sequence, record| {
            let is_finished = matches!(record.state(), State::Acknowledged | State::DeadLettered);
            if record.generation > 0 && !is_finished {
                waiting.push((sequence, record.generation, record.received_at));
            }
        });
        reading.await?;
        tracing::warn!(
            stream = self.names.again(),
            references = waiting.len(),
            "the stream was missing; what it led to is looked up in the records"
        );
        for (sequence, generation, received_at) in waiting {
            self.references
                .add_if_missing(sequence, generation, received_at)
                .await?;
        }
        Ok(())
    }

    /// After how long without an acknowledgement the servers deliver something again.
    pub(super) fn ack_wait(&self) -> Duration {
        self.queue.ack_wait().min(self.references.queue.ack_wait())
    }
}
