//! [`Queue`]: a consumer that all workers share, and [`Fetched`]: what it gave out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use async_nats::jetstream::consumer::{Info, PullConsumer};
use futures_util::StreamExt as _;
use tokio::time::Instant;

use super::ack_token::{AckToken, Origin};
use super::connection::Connection;
use crate::error::{InboxError, InboxErrorKind};

/// A consumer that all workers share.
#[derive(Debug)]
pub(super) struct Queue {
    connection: Connection,
    consumer: PullConsumer,
    /// Up to where this process wrote what the consumer was not seen to give out yet; 0 when there
    /// is nothing.
    written_to: AtomicU64,
}

/// Something that a consumer gave out.
pub(super) struct Fetched {
    pub(super) message: async_nats::Message,
    pub(super) token: AckToken,
    /// Its place in its stream.
    pub(super) sequence: u64,
    pub(super) stored_at: SystemTime,
}

impl Fetched {
    fn read(message: async_nats::jetstream::Message) -> Option<Self> {
        let info = message.info().ok()?;
        let token = AckToken {
            reply: message.reply.clone()?,
            origin: Origin::Event,
            delivered: u32::try_from(info.delivered).unwrap_or(u32::MAX),
        };
        let (sequence, stored_at) = (info.stream_sequence, info.published.into());
        Some(Self {
            message: message.message,
            token,
            sequence,
            stored_at,
        })
    }
}

impl Queue {
    pub(super) fn new(connection: &Connection, consumer: PullConsumer) -> Self {
        Self {
            connection: connection.clone(),
            consumer,
            written_to: AtomicU64::new(0),
        }
    }

    pub(super) async fn info(&self) -> Result<Info, InboxError> {
        self.connection.check_connected()?;
        let info = self.consumer.get_info().await;
        info.map_err(|error| self.connection.cannot("read from", error))
    }

    /// This process wrote something for it.
    pub(super) fn wrote(&self, sequence: u64) {
        self.written_to.fetch_max(sequence, Ordering::Relaxed);
    }

    /// Gets what there is, at least what this process has written: a consumer hears of that a
    /// little later than the writer.
    pub(super) async fn fetch(&self, limit: usize) -> Result<Vec<Fetched>, InboxError> {
        let deadline = Instant::now() + CATCH_UP_TIMEOUT;
        loop {
            let given = self.fetch_once(limit).await?;
            let last = self.written_to.load(Ordering::Relaxed);
            let is_reached = given.iter().any(|given| given.sequence >= last);
            if last == 0 || (!given.is_empty() && !is_reached) {
                return Ok(given);
            }
            // Others may have got it.
            let is_over = is_reached
                || self.info().await?.delivered.stream_sequence >= last
                || Instant::now() >= deadline;
            if is_over {
                let order = Ordering::Relaxed;
                let _ = self.written_to.compare_exchange(last, 0, order, order);
                return Ok(given);
            }
            tokio::time::sleep(CATCH_UP_PAUSE).await;
        }
    }

    async fn fetch_once(&self, limit: usize) -> Result<Vec<Fetched>, InboxError> {
        let cannot = |error| self.connection.cannot("fetch from", error);
        let fetching = async {
            let fetch = self.consumer.fetch().max_messages(limit).messages().await;
            let mut fetched = fetch.map_err(|error| cannot(error.into()))?;
            let mut messages = Vec::new();
            while let Some(message) = fetched.next().await {
                // Nothing else comes from a consumer.
                messages.extend(Fetched::read(message.map_err(cannot)?));
            }
            Ok(messages)
        };
        match tokio::time::timeout(FETCH_TIMEOUT, fetching).await {
            Ok(fetched) => fetched,
            Err(_) => {
                self.connection.unanswered();
                let name = &self.consumer.cached_info().name;
                let message = format!("the consumer `{name}` does not answer");
                Err(InboxError::new(InboxErrorKind::Storage, message))
            }
        }
    }
}

/// How long a consumer may need to hear of what was written, and how often it is asked.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(1);
const CATCH_UP_PAUSE: Duration = Duration::from_millis(1);

/// The servers answer at once that there is nothing; a cluster may just have no leader.
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);
