//! [`Reader`]: reads a stream a batch at a time, while others write to it. [`Batches`]: the
//! sequences of each batch.

use std::time::Duration;

use async_nats::jetstream::consumer::pull::Config as PullConfig;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{ConsumerError, State};
use futures_util::StreamExt as _;
use tokio::time::Instant;

use super::message::of_stream;
use super::stream::Stream;
use crate::error::InboxError;
use crate::id::DeliveryId;
use crate::record::Query;

/// Reads the messages of a stream whose subject fits a filter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    pub(super) stream: &'a Stream,
    pub(super) filter: &'a str,
    pub(super) is_without_bodies: bool,
}

impl Reader<'_> {
    /// Reads the messages from `first` at least to `last`, and newer ones up to `stop`, in order.
    pub(super) async fn read(
        &self,
        first: u64,
        last: u64,
        stop: u64,
        mut each: impl FnMut(StreamMessage),
    ) -> Result<(), InboxError> {
        let connection = &self.stream.connection;
        let mut deadline = Instant::now() + READ_TIMEOUT;
        let mut next = first;
        loop {
            let before = next;
            let read = self.read_available(&mut next, stop, &mut each).await;
            if next > before {
                deadline = Instant::now() + READ_TIMEOUT;
            }
            match read {
                Ok(())
                    if self
                        .stream
                        .is_empty_between(self.filter, next, last)
                        .await? =>
                {
                    return Ok(());
                }
                Ok(()) if Instant::now() > deadline => {
                    return Err(connection.cannot("read from", BEHIND));
                }
                // The server that reads is behind the stream's leader.
                Ok(()) => {}
                // A server that has just been started gives a consumer that it cannot serve yet.
                Err(_) if connection.is_connected() && Instant::now() < deadline => {}
                Err(error) => return Err(error),
            }
            tokio::time::sleep(BEHIND_PAUSE).await;
        }
    }

    /// Reads as many of them as the server that reads has; `next` is then the sequence after the
    /// last.
    async fn read_available(
        &self,
        next: &mut u64,
        stop: u64,
        each: &mut impl FnMut(StreamMessage),
    ) -> Result<(), InboxError> {
        let cannot = |error| self.stream.connection.cannot("read from", error);
        let consumer = self.consumer(*next).await;
        let consumer = consumer.map_err(|error| cannot(error.into()))?;
        let mut is_over = false;
        while !is_over {
            let wanted = stop.saturating_sub(*next).saturating_add(1);
            let wanted = wanted.min(BATCH) as usize;
            let fetch = consumer.fetch().max_messages(wanted).messages();
            let fetch = tokio::time::timeout(READ_TIMEOUT, fetch).await;
            let mut fetched = fetch
                .map_err(|error| cannot(error.into()))?
                .map_err(|error| cannot(error.into()))?;
            is_over = true;
            while let Some(message) = tokio::time::timeout(READ_TIMEOUT, fetched.next())
                .await
                .map_err(|error| cannot(error.into()))?
            {
                let message = message.map_err(cannot)?;
                let pending = message.info().map_err(cannot)?.pending;
                let message = of_stream(message).map_err(cannot)?;
                let sequence = message.sequence;
                *next = sequence + 1;
                is_over = sequence >= stop || pending == 0;
                if sequence > stop {
                    break;
                }
                each(message);
                if is_over {
                    break;
                }
            }
        }
        // It expires by itself, but a list of many batches would leave many.
        let name = consumer.cached_info().name.clone();
        let _ = self.stream.inner.delete_consumer(&name).await;
        Ok(())
    }

    /// A consumer that expires by itself.
    async fn consumer(&self, first: u64) -> Result<PullConsumer, ConsumerError> {
        let config = PullConfig {
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: first.max(1),
            },
            ack_policy: AckPolicy::None,
            filter_subject: self.filter.to_owned(),
            headers_only: self.is_without_bodies,
            inactive_threshold: Duration::from_secs(30),
            memory_storage: true,
            num_replicas: 1,
            ..PullConfig::default()
        };
        self.stream.inner.create_consumer(config).await
    }
}

/// Batches of sequences, from the newest backwards or the other way.
#[derive(Debug)]
pub(super) struct Batches {
    first: u64,
    last: u64,
    len: u64,
    is_oldest_first: bool,
    pub(super) is_over: bool,
}

impl Batches {
    /// Those of a stream that may match `query`.
    pub(super) fn new(state: &State, query: &Query) -> Self {
        let after = query.after.map_or(0, DeliveryId::key);
        let before = query.before.map_or(u64::MAX, DeliveryId::key);
        // A list of the newest few should not read a thousand.
        let len = query.limit.map_or(BATCH, |limit| limit as u64);
        Self {
            first: state.first_sequence.max(after + 1),
            last: state.last_sequence.min(before.saturating_sub(1)),
            len: len.clamp(16, BATCH),
            is_oldest_first: query.oldest_first,
            is_over: state.messages == 0,
        }
    }
}

impl Iterator for Batches {
    type Item = (u64, u64);

    fn next(&mut self) -> Option<(u64, u64)> {
        if self.is_over || self.first > self.last {
            return None;
        }
        let more = self.len - 1;
        self.len = (self.len * 2).min(BATCH);
        if self.is_oldest_first {
            let (first, last) = (self.first, self.last.min(self.first + more));
            self.first = last + 1;
            Some((first, last))
        } else {
            let (first, last) = (self.first.max(self.last.saturating_sub(more)), self.last);
            self.is_over = first == 0;
            self.last = first.saturating_sub(1);
            Some((first, last))
        }
    }
}

/// How many messages are read at a time.
const BATCH: u64 = 1024;

const READ_TIMEOUT: Duration = Duration::from_secs(5);

const BEHIND: &str = "the server that reads stays behind the one that leads the stream";
const BEHIND_PAUSE: Duration = Duration::from_millis(50);
