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
    /// last. An error where messages were lost on the way, as when the connection breaks: nothing
    /// would ask for those before `next` again.
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
        let mut delivered = 0;
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
                let info = message.info().map_err(cannot)?;
                let (pending, number) = (info.pending, info.consumer_sequence);
                if number != delivered + 1 {
                    return Err(cannot(LOST_ON_THE_WAY.into()));
                }
                delivered = number;
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
const LOST_ON_THE_WAY: &str = "the server has sent messages that did not arrive";
const BEHIND_PAUSE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use xtask_nats::{Program, Server};

    use super::*;
    use crate::jetstream::streams::Streams;

    /// Takes a few messages from the consumer that is being read, as a connection that breaks does.
    async fn take(url: &str, stream: &str) {
        let client = async_nats::connect(url).await.expect("a connection");
        let context = async_nats::jetstream::new(client);
        let stream = context.get_stream(stream).await.expect("the stream");
        let mut names = stream.consumer_names();
        let mut taken = 0;
        while let Some(name) = names.next().await {
            let name = name.expect("a name");
            if name == "workers" {
                continue;
            }
            let consumer: PullConsumer = stream.get_consumer(&name).await.expect("the consumer");
            let fetch = consumer.fetch().max_messages(5).messages().await;
            taken += fetch.expect("messages").count().await;
        }
        assert_eq!(taken, 5);
    }

    #[tokio::test]
    async fn messages_that_do_not_arrive_are_read_again() {
        let fast = xtask_nats::Options::new().sync_interval("2m");
        let server = Server::start(Program::Current, &fast);
        let server = server.expect("a server");
        let streams = Streams::at(&server).await;
        let context = &streams.connection.context;
        let numbers: Vec<_> = (0..BATCH + 500).collect();
        for numbers in numbers.chunks(100) {
            let mut acknowledgements = Vec::new();
            for number in numbers {
                let published = context.publish("heygen.events.a.b", number.to_string().into());
                acknowledgements.push(published.await.expect("published"));
            }
            for acknowledgement in acknowledgements {
                acknowledgement.await.expect("stored");
            }
        }
        let state = streams.events.stream.state().await.expect("the state");
        let reader = Reader {
            stream: &streams.events.stream,
            filter: &streams.names.all_of("events"),
            is_without_bodies: false,
        };
        let mut read = Vec::new();
        let reading = reader.read(1, state.last_sequence, u64::MAX, |message| {
            if read.is_empty() {
                let url = server.url();
                let name = streams.names.events();
                let taking = std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .build()
                        .expect("a runtime");
                    runtime.block_on(take(&url, &name));
                });
                taking.join().expect("taken");
            }
            read.push(message.sequence);
        });
        reading.await.expect("read");
        assert!(
            read.iter()
                .copied()
                .eq(state.first_sequence..=state.last_sequence),
            "{} of {}",
            read.len(),
            state.messages
        );
    }
}
