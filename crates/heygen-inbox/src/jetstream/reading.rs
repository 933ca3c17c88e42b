//! Reading the streams a stretch at a time, while others write to them.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::pull::Config as PullConfig;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer};
use async_nats::jetstream::stream::{DirectGetErrorKind, Stream};
use futures_util::StreamExt as _;

use super::Shared;
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
        let cannot =
            |error: Box<dyn std::error::Error + Send + Sync>| self.link.cannot("read from", error);
        let consumer = reader(&self.link.events, first, filter, is_without_bodies).await;
        let consumer = consumer.map_err(|error| cannot(error.into()))?;
        let mut found = Vec::new();
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
        Ok(found)
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
        let cannot =
            |error: Box<dyn std::error::Error + Send + Sync>| self.link.cannot("read from", error);
        let mut states = HashMap::new();
        let mut results: HashMap<AttemptResult, u64> = HashMap::new();
        let filter = self.link.names.record_filter();
        let consumer = reader(&self.link.records, 1, &filter, false).await;
        let consumer = consumer.map_err(|error| cannot(error.into()))?;
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
                is_over = message.info().map_err(cannot)?.pending == 0;
                let Ok(record) = self.link.read_record(&message.payload) else {
                    continue;
                };
                for attempt in record.attempts() {
                    if to_micros(attempt.started_at) >= since {
                        *results.entry(attempt.result).or_default() += 1;
                    }
                }
                if let Some(sequence) = number_of(&message.subject)
                    && record.is_begun()
                {
                    states.insert(sequence, record.state());
                }
            }
        }
        let name = consumer.cached_info().name.clone();
        let _ = self.link.records.delete_consumer(&name).await;
        let mut results: Vec<_> = results.into_iter().collect();
        results.sort_by_key(|(result, _)| result.as_str());
        Ok((states, results))
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
