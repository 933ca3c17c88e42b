//! Reading the streams a stretch at a time, while others write to them.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::pull::Config as PullConfig;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer};
use async_nats::jetstream::stream::{DirectGetErrorKind, RawMessageErrorKind, Stream};
use futures_util::StreamExt as _;
use tokio::time::Instant;

use super::Shared;
use super::link::Link;
use super::message::Stored;
use super::record::Record;
use super::subject::number_of;
use crate::time::to_micros;
use crate::{AttemptResult, InboxError, Query, State};

/// A message of the stream of events on the way to somebody who looks.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) event: Stored,
    pub(super) subject: String,
    pub(super) stored_at: SystemTime,
}

/// The places of all of them.
pub(super) fn sequences(events: &[Seen]) -> Vec<u64> {
    events.iter().map(|seen| seen.event.sequence).collect()
}

impl Shared {
    /// The messages from `first` to `last` whose subject fits, with their bodies or without.
    pub(super) async fn stretch(
        &self,
        first: u64,
        last: u64,
        filter: &str,
        is_without_bodies: bool,
    ) -> Result<Vec<Seen>, InboxError> {
        let deadline = Instant::now() + READ_TIME;
        let mut found = Vec::new();
        let mut next = first;
        loop {
            let read = match self.read_on(next, last, filter, is_without_bodies).await {
                // A server that has just been started gives a consumer that it cannot serve yet.
                Err(_) if self.link.is_connected() && Instant::now() < deadline => {
                    tokio::time::sleep(BEHIND_PAUSE).await;
                    continue;
                }
                read => read?,
            };
            found.extend(read.0);
            if let Some(newest) = found.last() {
                next = newest.event.sequence + 1;
            }
            let is_whole = read.1 || next > last;
            if is_whole
                || self
                    .link
                    .is_over(&self.link.events, filter, next, last)
                    .await?
            {
                return Ok(found);
            }
            if Instant::now() > deadline {
                return Err(self.link.cannot("read from", BEHIND));
            }
            tokio::time::sleep(BEHIND_PAUSE).await;
        }
    }

    /// As many of them as the server that reads has, and whether it had all: it may be behind the stream's leader.
    async fn read_on(
        &self,
        first: u64,
        last: u64,
        filter: &str,
        is_without_bodies: bool,
    ) -> Result<(Vec<Seen>, bool), InboxError> {
        let cannot =
            |error: Box<dyn std::error::Error + Send + Sync>| self.link.cannot("read from", error);
        let consumer = reader(&self.link.events, first, filter, is_without_bodies).await;
        let consumer = consumer.map_err(|error| cannot(error.into()))?;
        let mut found = Vec::new();
        let mut is_whole = false;
        'reading: loop {
            let wanted = usize::try_from(last + 1 - first)
                .unwrap_or(STRETCH)
                .min(STRETCH);
            let fetch = consumer.fetch().max_messages(wanted).messages();
            let fetch = tokio::time::timeout(READ_TIME, fetch).await;
            let mut fetched = fetch
                .map_err(|error| cannot(error.into()))?
                .map_err(|error| cannot(error.into()))?;
            let mut got = 0;
            while let Some(message) = tokio::time::timeout(READ_TIME, fetched.next())
                .await
                .map_err(|error| cannot(error.into()))?
            {
                let message = message.map_err(cannot)?;
                got += 1;
                let info = message.info().map_err(cannot)?;
                let (sequence, pending) = (info.stream_sequence, info.pending);
                let stored_at = info.published.into();
                is_whole = sequence >= last;
                if sequence > last {
                    break 'reading;
                }
                let message = message.message;
                let headers = message.headers.unwrap_or_else(HeaderMap::new);
                found.push(Seen {
                    event: Stored::read(sequence, stored_at, &headers, message.payload),
                    subject: message.subject.to_string(),
                    stored_at,
                });
                if sequence == last || pending == 0 {
                    break 'reading;
                }
            }
            if got == 0 {
                break;
            }
        }
        // It would go by itself after a while; a list of many stretches would leave many.
        let name = consumer.cached_info().name.clone();
        let _ = self.link.events.delete_consumer(&name).await;
        Ok((found, is_whole))
    }

    /// The records of some events, as any replica has them.
    pub(super) async fn records_of(
        &self,
        sequences: Vec<u64>,
    ) -> Result<HashMap<u64, Record>, InboxError> {
        let asked = sequences.into_iter().map(|sequence| async move {
            let subject = self.link.names.record(sequence);
            match self.link.records.direct_get_last_for_subject(subject).await {
                // One that cannot be read hides no other.
                Ok(message) => match self.link.read_record(&message.payload) {
                    Ok(record) => Ok(Some((sequence, record))),
                    Err(error) => {
                        tracing::warn!(%error, sequence, "passed over");
                        Ok(None)
                    }
                },
                Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
                Err(error) => Err(self.link.cannot("read from", error)),
            }
        });
        let mut found = HashMap::new();
        let mut answers = futures_util::stream::iter(asked).buffer_unordered(AT_A_TIME);
        while let Some(answer) = answers.next().await {
            found.extend(answer?);
        }
        Ok(found)
    }

    /// The state of each event that has a record, and how the attempts ended that began at `since` or later.
    pub(super) async fn all_records(
        &self,
        since: i64,
    ) -> Result<(HashMap<u64, State>, Vec<(AttemptResult, u64)>), InboxError> {
        let mut states = HashMap::new();
        let mut results: HashMap<AttemptResult, u64> = HashMap::new();
        let last = self.link.last_sequence(&self.link.records).await?;
        let filter = self.link.names.record_filter();
        let deadline = Instant::now() + READ_TIME;
        let mut next = 1;
        loop {
            let read_to = self.read_records(next, |sequence, record| {
                for attempt in record.attempts() {
                    if to_micros(attempt.started_at) >= since {
                        *results.entry(attempt.result).or_default() += 1;
                    }
                }
                if record.is_begun() {
                    states.insert(sequence, record.state());
                }
            });
            next = read_to.await?.map_or(next, |read_to| read_to + 1);
            if self
                .link
                .is_over(&self.link.records, &filter, next, last)
                .await?
            {
                break;
            }
            if Instant::now() > deadline {
                return Err(self.link.cannot("read from", BEHIND));
            }
            tokio::time::sleep(BEHIND_PAUSE).await;
        }
        let mut results: Vec<_> = results.into_iter().collect();
        results.sort_by_key(|(result, _)| result.as_str());
        Ok((states, results))
    }

    /// Tells the records from a place of their stream on, as many as the server that reads has; the place of the last.
    async fn read_records(
        &self,
        first: u64,
        mut tell: impl FnMut(u64, Record),
    ) -> Result<Option<u64>, InboxError> {
        let cannot =
            |error: Box<dyn std::error::Error + Send + Sync>| self.link.cannot("read from", error);
        let filter = self.link.names.record_filter();
        let consumer = reader(&self.link.records, first, &filter, false).await;
        let consumer = consumer.map_err(|error| cannot(error.into()))?;
        let mut read_to = None;
        let mut is_over = false;
        while !is_over {
            let fetch = consumer.fetch().max_messages(STRETCH).messages().await;
            let mut fetched = fetch.map_err(|error| cannot(error.into()))?;
            is_over = true;
            while let Some(message) = tokio::time::timeout(READ_TIME, fetched.next())
                .await
                .map_err(|error| cannot(error.into()))?
            {
                let message = message.map_err(cannot)?;
                let info = message.info().map_err(cannot)?;
                is_over = info.pending == 0;
                read_to = Some(info.stream_sequence);
                let Ok(record) = self.link.read_record(&message.payload) else {
                    continue;
                };
                if let Some(sequence) = number_of(&message.subject) {
                    tell(sequence, record);
                }
            }
        }
        let name = consumer.cached_info().name.clone();
        let _ = self.link.records.delete_consumer(&name).await;
        Ok(read_to)
    }
}

impl Link {
    /// Whether a stream's leader knows of no message from `first` to `last` whose subject fits.
    pub(super) async fn is_over(
        &self,
        stream: &Stream,
        filter: &str,
        first: u64,
        last: u64,
    ) -> Result<bool, InboxError> {
        if first > last {
            return Ok(true);
        }
        self.check_connected()?;
        match stream.get_first_raw_message_by_subject(filter, first).await {
            Ok(message) => Ok(message.sequence > last),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(true),
            Err(error) => Err(self.cannot("read from", error)),
        }
    }

    /// The newest place of a stream, as its leader has it.
    async fn last_sequence(&self, stream: &Stream) -> Result<u64, InboxError> {
        self.check_connected()?;
        let info = stream.get_info().await;
        let info = info.map_err(|error| self.cannot("read from", error))?;
        Ok(info.state.last_sequence)
    }
}

/// Stretches of sequences, from the newest backwards or the other way.
pub(super) struct Stretches {
    first: u64,
    last: u64,
    len: u64,
    is_oldest_first: bool,
    pub(super) is_over: bool,
}

impl Stretches {
    pub(super) async fn new(shared: &Shared, query: &Query) -> Result<Self, InboxError> {
        shared.link.check_connected()?;
        let info = shared.link.events.get_info().await;
        let state = info
            .map_err(|error| shared.link.cannot("read from", error))?
            .state;
        let after = query.after.map_or(0, crate::DeliveryId::key);
        let before = query.before.map_or(u64::MAX, crate::DeliveryId::key);
        let first = state.first_sequence.max(after + 1);
        let last = state.last_sequence.min(before.saturating_sub(1));
        Ok(Self {
            first,
            last,
            // A list of the newest few should not read a thousand.
            len: query.limit.map_or(STRETCH as u64, |limit| {
                (limit as u64).clamp(16, STRETCH as u64)
            }),
            is_oldest_first: query.oldest_first,
            is_over: state.messages == 0,
        })
    }

    pub(super) fn next(&mut self) -> Option<(u64, u64)> {
        if self.is_over || self.first > self.last {
            return None;
        }
        let (first, last) = match self.is_oldest_first {
            true => (self.first, self.last.min(self.first + self.len - 1)),
            false => (
                self.first.max(self.last.saturating_sub(self.len - 1)),
                self.last,
            ),
        };
        match self.is_oldest_first {
            true => self.first = last + 1,
            false if first == 0 => self.is_over = true,
            false => self.last = first - 1,
        }
        self.len = (self.len * 2).min(STRETCH as u64);
        Some((first, last))
    }
}

/// A consumer that goes by itself, to read a stream from `first` on.
async fn reader(
    stream: &Stream,
    first: u64,
    filter: &str,
    is_without_bodies: bool,
) -> Result<PullConsumer, async_nats::jetstream::stream::ConsumerError> {
    stream
        .create_consumer(PullConfig {
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: first.max(1),
            },
            ack_policy: AckPolicy::None,
            filter_subject: filter.to_owned(),
            headers_only: is_without_bodies,
            inactive_threshold: Duration::from_secs(30),
            memory_storage: true,
            num_replicas: 1,
            ..PullConfig::default()
        })
        .await
}

/// How many messages are read at a time.
const STRETCH: usize = 1024;

/// How many records are asked for at a time.
const AT_A_TIME: usize = 64;

const READ_TIME: Duration = Duration::from_secs(5);

const BEHIND: &str = "the server that reads stays behind the one that leads the stream";
const BEHIND_PAUSE: Duration = Duration::from_millis(50);
