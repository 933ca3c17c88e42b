//! [`DriftTally`]: counts in what events differ from what this version knows, in the stream of
//! records: one message for each thing, of which the newest counts.
//!
//! A field that HeyGen adds is in every event of its type, so counts are gathered and written every
//! few seconds, not with each event.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};

use super::reader::Reader;
use super::stream::{Stream, Written};
use super::streams::Streams;
use crate::delivery::NewDelivery;
use crate::drift::{Drift, DriftCount};
use crate::error::InboxError;
use crate::id::DeliveryId;
use crate::time::{from_micros, to_micros};

/// Counts what this process stores, and writes it.
#[derive(Debug)]
pub(super) struct DriftTally {
    streams: Arc<Streams>,
    /// What is not written yet.
    counted: Mutex<BTreeMap<Drift, DriftCount>>,
    is_scheduled: AtomicBool,
    /// One at a time writes.
    writing: tokio::sync::Mutex<()>,
}

/// A message of the stream.
#[derive(Debug, Deserialize, Serialize)]
struct Row {
    kind: String,
    event_type: String,
    name: String,
    count: u64,
    first_at: i64,
    last_at: i64,
    example: String,
}

impl DriftTally {
    pub(super) fn new(streams: Arc<Streams>) -> Arc<Self> {
        Arc::new(Self {
            streams,
            counted: Mutex::default(),
            is_scheduled: AtomicBool::new(false),
            writing: tokio::sync::Mutex::default(),
        })
    }

    /// Counts a delivery that was stored.
    pub(super) fn count(self: &Arc<Self>, delivery: &NewDelivery, id: DeliveryId) {
        if delivery.drift().is_empty() {
            return;
        }
        for drift in delivery.drift() {
            self.add(DriftCount {
                drift: drift.clone(),
                count: 1,
                first_at: delivery.received_at(),
                last_at: delivery.received_at(),
                example: id,
            });
        }
        self.write_later(Some(Arc::clone(self)));
    }

    /// `owner` holds the tally until then; without, nothing is written once the inbox is dropped.
    fn write_later(self: &Arc<Self>, owner: Option<Arc<Self>>) {
        if self.is_scheduled.swap(true, Ordering::Relaxed) {
            return;
        }
        let tally = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(WRITE_PAUSE).await;
            if let Some(tally) = owner.or_else(|| tally.upgrade()) {
                tally.is_scheduled.store(false, Ordering::Relaxed);
                tally.write_counted().await;
            }
        });
    }

    fn add(&self, one: DriftCount) {
        let mut counted = self.counted();
        let is_new = !counted.contains_key(&one.drift);
        let one = match is_new && counted.len() >= MAX_ROWS {
            true => as_other(&one),
            false => one,
        };
        match counted.get_mut(&one.drift) {
            Some(known) => merge(known, &one),
            None => _ = counted.insert(one.drift.clone(), one),
        }
    }

    /// Writes what was counted. What cannot be written now is written later.
    pub(super) async fn write(self: &Arc<Self>) {
        let tally = Arc::clone(self);
        // A task of its own: a caller that gives up would take the counts with it.
        let written = tokio::spawn(async move { tally.write_counted().await });
        if let Err(error) = written.await {
            tracing::warn!(%error, "counts of unknown event names and fields were not written");
        }
    }

    async fn write_counted(self: &Arc<Self>) {
        let _turn = self.writing.lock().await;
        let mut counted = std::mem::take(&mut *self.counted());
        let mut rows = None;
        while let Some((_, one)) = counted.pop_first() {
            if let Err(error) = self.write_one(&one, &mut rows).await {
                tracing::warn!(%error, "counts of unknown event names and fields were not written; retrying");
                self.add(one);
                for one in counted.into_values() {
                    self.add(one);
                }
                // As long as the inbox is in use: the servers may be away for long.
                self.write_later(None);
                return;
            }
        }
    }

    /// `rows` is how many there are in the stream, once that was asked.
    async fn write_one(
        &self,
        one: &DriftCount,
        rows: &mut Option<usize>,
    ) -> Result<(), InboxError> {
        let (stream, mut one) = (self.stream(), one.clone());
        loop {
            let subject = stream.names.drift(&one.drift);
            let newest = stream.newest(&subject).await?;
            if newest.is_none() {
                let number = match *rows {
                    Some(number) => number,
                    None => self.rows().await?,
                };
                *rows = Some(number);
                let other = as_other(&one);
                if number >= MAX_ROWS && other.drift != one.drift {
                    one = other;
                    continue;
                }
            }
            let revision = newest.as_ref().map_or(0, |message| message.sequence);
            let count = match newest.and_then(|message| read(&message.payload)) {
                Some(mut known) => {
                    merge(&mut known, &one);
                    known
                }
                None => one.clone(),
            };
            let payload = serde_json::to_vec(&Row::of(&count));
            let payload = payload.map_err(|error| stream.connection.cannot("write to", error))?;
            let written = stream.put(subject, payload, revision).await?;
            // Rather counted twice than not at all.
            if written == Written::Yes {
                *rows = rows.map(|number| number + usize::from(revision == 0));
                return Ok(());
            }
        }
    }

    /// How many rows there are.
    async fn rows(&self) -> Result<usize, InboxError> {
        let stream = self.stream();
        let filter = stream.names.drift_filter();
        let subjects = stream.inner.info_with_subjects(filter).await;
        let subjects = subjects.map_err(|error| stream.connection.cannot("read from", error))?;
        let (mut subjects, mut rows) = (pin!(subjects), 0);
        while let Some(one) = subjects.next().await {
            // It must not be polled after an error.
            one.map_err(|error| stream.connection.cannot("read from", error))?;
            rows += 1;
        }
        Ok(rows)
    }

    /// Everything that was counted by this process and others, the newest first.
    pub(super) async fn list(self: &Arc<Self>) -> Result<Vec<DriftCount>, InboxError> {
        self.write().await;
        let stream = self.stream();
        let last = stream.state().await?.last_sequence;
        let filter = stream.names.drift_filter();
        let reader = Reader {
            stream,
            filter: &filter,
            is_without_bodies: false,
        };
        // One that is written meanwhile may come twice.
        let mut found = HashMap::new();
        let reading = reader.read(1, last, u64::MAX, |message| {
            if let Some(count) = read(&message.payload) {
                found.insert(count.drift.clone(), count);
            }
        });
        reading.await?;
        let mut found: Vec<DriftCount> = found.into_values().collect();
        found.sort_by(|left, right| {
            let newest_first = right.last_at.cmp(&left.last_at);
            newest_first.then_with(|| left.drift.cmp(&right.drift))
        });
        Ok(found)
    }

    fn stream(&self) -> &Stream {
        &self.streams.records.stream
    }

    fn counted(&self) -> MutexGuard<'_, BTreeMap<Drift, DriftCount>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Row {
    fn of(count: &DriftCount) -> Self {
        Self {
            kind: count.drift.kind.as_str().to_owned(),
            event_type: count.drift.event_type.clone(),
            name: count.drift.name.clone(),
            count: count.count,
            first_at: to_micros(count.first_at),
            last_at: to_micros(count.last_at),
            example: count.example.to_string(),
        }
    }
}

/// `None` for what a later version wrote.
fn read(payload: &[u8]) -> Option<DriftCount> {
    let row: Row = serde_json::from_slice(payload).ok()?;
    Some(DriftCount {
        drift: Drift::from_parts(row.kind.parse().ok()?, row.event_type, row.name),
        count: row.count,
        first_at: from_micros(row.first_at),
        last_at: from_micros(row.last_at),
        example: row.example.parse().ok()?,
    })
}

/// The same under the name that stands for all others of its kind.
fn as_other(one: &DriftCount) -> DriftCount {
    DriftCount {
        drift: Drift::and_others(one.drift.kind),
        ..one.clone()
    }
}

fn merge(known: &mut DriftCount, one: &DriftCount) {
    known.count += one.count;
    known.first_at = known.first_at.min(one.first_at);
    known.last_at = known.last_at.max(one.last_at);
}

/// How long counts are gathered before they are written.
const WRITE_PAUSE: Duration = Duration::from_secs(5);

/// Beyond so many rows, new names are counted together: a sender of ever new names must not fill
/// the stream.
const MAX_ROWS: usize = 1000;
