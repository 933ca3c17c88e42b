//! [`References`]: the stream of small messages that lead to events to be dispatched again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::jetstream::message::PublishMessage;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::queue::Queue;
use super::record::Record;
use super::stream::Stream;
use super::subject::number_of;
use crate::error::InboxError;

/// The stream of references.
#[derive(Debug)]
pub(super) struct References {
    pub(super) stream: Stream,
    /// Delivers them.
    pub(super) queue: Queue,
    /// Whether any may have been written since the queue was last empty.
    is_expected: AtomicBool,
}

/// The payload of a reference.
#[derive(Debug, Deserialize, Serialize)]
struct Reference {
    generation: u32,
}

impl References {
    pub(super) fn new(stream: Stream, queue: Queue) -> Self {
        Self {
            stream,
            queue,
            is_expected: AtomicBool::new(true),
        }
    }

    /// The generation in a payload.
    pub(super) fn generation(payload: &[u8]) -> Option<u32> {
        let reference: Reference = serde_json::from_slice(payload).ok()?;
        Some(reference.generation)
    }

    pub(super) fn is_expected(&self) -> bool {
        self.is_expected.load(Ordering::Relaxed)
    }

    pub(super) fn expect(&self, is_expected: bool) {
        self.is_expected.store(is_expected, Ordering::Relaxed);
    }

    /// The sequence of the event that the oldest reference leads to.
    pub(super) async fn oldest(&self) -> Result<Option<u64>, InboxError> {
        let all = self.stream.names.all_of("again");
        let oldest = self.stream.next(&all, 1).await?;
        Ok(oldest.and_then(|message| number_of(&message.subject)))
    }

    /// Makes the reference that a record asks for, unless the servers know of it. Another event may
    /// have had the sequence a moment ago: the stream of events was deleted, or restored.
    pub(super) async fn add(&self, sequence: u64, record: &Record) -> Result<(), InboxError> {
        let (generation, received_at) = (record.generation, record.received_at);
        let payload = serde_json::to_vec(&Reference { generation });
        let payload = payload.map_err(|error| self.stream.connection.cannot("write to", error))?;
        let message = PublishMessage::build()
            .payload(payload.into())
            .message_id(format!("{sequence}-{generation}-{received_at}"));
        let subject = self.stream.names.reference(sequence);
        let written = self.stream.write(subject, message).await?;
        self.queue.wrote(written);
        Ok(())
    }

    /// The same, tried for a while, as when a leader is being elected: the record is written already,
    /// and nothing else makes the reference to what was finished before.
    pub(super) async fn add_in_time(
        &self,
        sequence: u64,
        record: &Record,
    ) -> Result<(), InboxError> {
        let deadline = Instant::now() + ADD_TIMEOUT;
        loop {
            match self.add(sequence, record).await {
                Err(error) if Instant::now() < deadline => {
                    tracing::debug!(%error, sequence, "a reference is not made yet; trying again");
                    tokio::time::sleep(ADD_PAUSE).await;
                }
                added => return added,
            }
        }
    }

    /// The same, where there may be one from before the duplicate window; gives whether there was
    /// none. One of a later generation may be that of another event; to the same event one reference
    /// too many is dropped.
    pub(super) async fn add_if_missing(
        &self,
        sequence: u64,
        record: &Record,
    ) -> Result<bool, InboxError> {
        let subject = self.stream.names.reference(sequence);
        let newest = self.stream.newest(&subject).await?;
        let found = newest.and_then(|found| Self::generation(&found.payload));
        let is_missing = found != Some(record.generation);
        if is_missing {
            self.add(sequence, record).await?;
        }
        Ok(is_missing)
    }

    /// Removes the references to an event that is not to be dispatched again, so that they do not
    /// count as pending. Without the permission they are left, and a worker drops them.
    pub(super) async fn remove(&self, sequence: u64) {
        let subject = self.stream.names.reference(sequence);
        if let Err(error) = self.stream.inner.purge().filter(subject).await {
            tracing::debug!(%error, sequence, "a reference is left to a worker");
        }
    }
}

const ADD_TIMEOUT: Duration = Duration::from_secs(10);
const ADD_PAUSE: Duration = Duration::from_millis(250);
