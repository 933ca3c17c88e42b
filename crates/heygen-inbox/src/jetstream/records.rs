//! [`Records`]: the stream of records, each under a subject of its own.
//!
//! A record is changed by compare-and-set, so any number of workers and commands may do so.

use std::collections::HashMap;

use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::DirectGetErrorKind;
use futures_util::StreamExt as _;

use super::message::Stored;
use super::reader::Reader;
use super::record::Record;
use super::stream::{Stream, Written};
use super::subject::number_of;
use crate::error::{InboxError, InboxErrorKind};

/// The stream of records. It also holds the bookmarks.
#[derive(Clone, Debug)]
pub(super) struct Records {
    pub(super) stream: Stream,
}

/// A record in the stream, or a new one.
#[derive(Clone, Debug)]
pub(super) struct RecordEntry {
    pub(super) record: Record,
    /// Its sequence, which the next write expects; 0 where there is none in the stream.
    pub(super) revision: u64,
}

impl RecordEntry {
    /// A new record of an event.
    pub(super) fn new(event: &Stored) -> Self {
        Self {
            record: Record::new().of(event),
            revision: 0,
        }
    }
}

impl Records {
    /// The record of an event; a new one where there is none, or in place of another event's.
    pub(super) async fn of(&self, event: &Stored) -> Result<RecordEntry, InboxError> {
        let found = self.get(event.sequence).await?;
        Ok(RecordEntry {
            record: found.record.of(event),
            ..found
        })
    }

    /// Reads from the stream's leader; a new one where there is none.
    pub(super) async fn get(&self, sequence: u64) -> Result<RecordEntry, InboxError> {
        let subject = self.stream.names.record(sequence);
        let found = self.stream.newest(&subject).await?;
        let record = found.as_ref().map(|message| read(&message.payload));
        Ok(RecordEntry {
            record: record.transpose()?.unwrap_or_else(Record::new),
            revision: found.map_or(0, |message| message.sequence),
        })
    }

    /// Writes it unless another process wrote since `revision` (0: there was no record), and gives
    /// whether it certainly did.
    pub(super) async fn put(
        &self,
        sequence: u64,
        record: &Record,
        revision: u64,
    ) -> Result<bool, InboxError> {
        let written = self.try_put(sequence, record, revision).await?;
        Ok(written == Written::Yes)
    }

    /// The same, for those to whom it matters that it may be written.
    pub(super) async fn try_put(
        &self,
        sequence: u64,
        record: &Record,
        revision: u64,
    ) -> Result<Written, InboxError> {
        let connection = &self.stream.connection;
        let text = serde_json::to_vec(record);
        let text = text.map_err(|error| connection.cannot("write to", error))?;
        let subject = self.stream.names.record(sequence);
        self.stream.put(subject, text, revision).await
    }

    /// Reads, changes and writes until no other process wrote in between. `change` gives `None` when
    /// there is nothing to write. Gives whether something was written.
    pub(super) async fn update(
        &self,
        sequence: u64,
        mut change: impl FnMut(Record) -> Option<Record>,
    ) -> Result<bool, InboxError> {
        loop {
            let RecordEntry { record, revision } = self.get(sequence).await?;
            let Some(changed) = change(record) else {
                return Ok(false);
            };
            if self.try_put(sequence, &changed, revision).await? == Written::Yes {
                return Ok(true);
            }
        }
    }

    pub(super) async fn delete(&self, sequence: u64) -> Result<(), InboxError> {
        let subject = self.stream.names.record(sequence);
        let purged = self.stream.inner.purge().filter(subject).await;
        purged.map_err(|error| self.stream.connection.cannot("delete from", error))?;
        Ok(())
    }

    /// The records of some events, from any replica. Unreadable ones are skipped.
    pub(super) async fn get_many(
        &self,
        sequences: Vec<u64>,
    ) -> Result<HashMap<u64, Record>, InboxError> {
        let asked = sequences.into_iter().map(|sequence| async move {
            let subject = self.stream.names.record(sequence);
            let found = match self
                .stream
                .inner
                .direct_get_last_for_subject(&subject)
                .await
            {
                Ok(message) => Some(message),
                Err(error) if error.kind() == DirectGetErrorKind::NotFound => None,
                Err(error) if error.kind() == DirectGetErrorKind::TimedOut => {
                    return Err(self.stream.connection.cannot("read from", error));
                }
                // Only the leader answers where an operator switched direct reads off.
                Err(_) => self.stream.newest(&subject).await?,
            };
            let record = found.and_then(|message| {
                let record = read(&message.payload).inspect_err(
                    |error| tracing::warn!(%error, sequence, "an unreadable record is skipped"),
                );
                record.ok()
            });
            Ok(record.map(|record| (sequence, record)))
        });
        let mut found = HashMap::new();
        let mut answers = futures_util::stream::iter(asked).buffer_unordered(CONCURRENCY);
        while let Some(answer) = answers.next().await {
            found.extend(answer?);
        }
        Ok(found)
    }

    /// Calls `each` with every readable record and the sequence of its event, and gives how many
    /// are unreadable. One that is written meanwhile may come twice.
    pub(super) async fn for_each(
        &self,
        mut each: impl FnMut(u64, Record),
    ) -> Result<u64, InboxError> {
        let last = self.stream.state().await?.last_sequence;
        let reader = Reader {
            stream: &self.stream,
            filter: &self.stream.names.record_filter(),
            is_without_bodies: false,
        };
        let mut unreadable = 0;
        let reading = reader.read(1, last, u64::MAX, |message| {
            let Some(sequence) = number_of(&message.subject) else {
                return;
            };
            match read(&message.payload) {
                Ok(record) => each(sequence, record),
                Err(_) => unreadable += 1,
            }
        });
        reading.await?;
        Ok(unreadable)
    }

    pub(super) async fn bookmark(&self, name: &str) -> Result<Option<String>, InboxError> {
        Ok(self.bookmark_entry(name).await?.0)
    }

    /// The value of a bookmark and its revision, which is 0 where it was never set.
    pub(super) async fn bookmark_entry(
        &self,
        name: &str,
    ) -> Result<(Option<String>, u64), InboxError> {
        let subject = self.stream.names.bookmark(name);
        let Some(message) = self.stream.newest(&subject).await? else {
            return Ok((None, 0));
        };
        let value = String::from_utf8_lossy(&message.payload).into_owned();
        Ok((
            Some(value).filter(|value| !value.is_empty()),
            message.sequence,
        ))
    }

    /// Sets a bookmark unless another process did since `revision`, and gives whether it did.
    pub(super) async fn put_bookmark(
        &self,
        name: &str,
        value: &str,
        revision: u64,
    ) -> Result<bool, InboxError> {
        let subject = self.stream.names.bookmark(name);
        let written = self.stream.put(subject, value.into(), revision).await?;
        Ok(written == Written::Yes)
    }

    pub(super) async fn set_bookmark(&self, name: &str, value: &str) -> Result<(), InboxError> {
        self.write(self.stream.names.bookmark(name), value).await
    }

    /// Writes something, to see that the stream accepts it.
    pub(super) async fn check(&self) -> Result<(), InboxError> {
        self.write(self.stream.names.readiness(), "ready").await
    }

    async fn write(&self, subject: String, payload: &str) -> Result<(), InboxError> {
        let message = PublishMessage::build().payload(payload.to_owned().into());
        self.stream.write(subject, message).await?;
        Ok(())
    }
}

fn read(payload: &[u8]) -> Result<Record, InboxError> {
    serde_json::from_slice(payload).map_err(|error| {
        let message =
            "the record of a delivery cannot be read: another version or program wrote it";
        InboxError::new(InboxErrorKind::Version, message).with_source(error)
    })
}

/// How many records are read at a time.
const CONCURRENCY: usize = 64;
