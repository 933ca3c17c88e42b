//! [`Link`]: the connection, the streams and the consumers of one inbox.

use std::time::{Duration, SystemTime};

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::stream::{DirectGetErrorKind, Stream};
use async_nats::{Client, connection};
use sha2::{Digest as _, Sha256};

use super::connection::{ConnectedAt, cannot, connect};
use super::message::Stored;
use super::opening::{Missing, Opening};
use super::promise::{self, Doubt};
use super::pulse::Pulse;
use super::subject::Names;
use super::{Address, JetStreamOptions};
use crate::{DeliveryId, InboxError, InboxErrorKind};

/// The connection, the streams and the consumers of one inbox.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) context: Context,
    pub(super) names: Names,
    pub(super) events: Stream,
    pub(super) dead: Stream,
    pub(super) records: Stream,
    pub(super) again: Stream,
    /// Hands out what was never handed out.
    pub(super) workers: PullConsumer,
    /// Hands out references to what is to be handed out again.
    pub(super) again_workers: PullConsumer,
    pub(super) pulse: Pulse,
    pub(super) ack_wait: Duration,
    consumer_made_at: SystemTime,
    connected_at: ConnectedAt,
    pub(super) doubts: Vec<Doubt>,
    /// How the options differ from what is there, in words.
    pub(super) differences: Vec<String>,
    /// Tells the ids of this inbox from others'.
    pub(super) tag: u32,
    place: String,
}

impl Link {
    pub(super) async fn open(
        address: &Address,
        options: &JetStreamOptions,
        missing: Missing,
    ) -> Result<Self, InboxError> {
        let (client, context, connected_at) = connect(address, options).await?;
        let opening = Opening::new(address, &client, &context, options, missing);
        let opened = opening.open().await?;
        Ok(Self {
            place: address.to_string(),
            doubts: promise::doubts(&client.server_info(), &opened.events.cached_info().config),
            pulse: Pulse::new(
                address.hosts().len() > 1 || opened.events.cached_info().config.num_replicas > 1,
            ),
            names: opening.into_names(),
            client,
            ack_wait: opened.workers.cached_info().config.ack_wait,
            consumer_made_at: opened.workers.cached_info().created.into(),
            connected_at,
            tag: tag(&opened.events),
            events: opened.events,
            dead: opened.dead,
            records: opened.records,
            again: opened.again,
            workers: opened.workers,
            again_workers: opened.again_workers,
            differences: opened.differences,
            context,
        })
    }

    /// Publishes, and waits for the acknowledgement once.
    pub(super) async fn publish(
        &self,
        subject: String,
        message: PublishMessage,
    ) -> Result<PublishAck, PublishError> {
        let acknowledged = match self.context.send_publish(subject, message).await {
            Ok(acknowledgement) => acknowledgement.await,
            Err(error) => Err(error),
        };
        match &acknowledged {
            Ok(_) => self.pulse.answered(),
            // A server that knows of no leader says so at once.
            Err(error)
                if matches!(
                    error.kind(),
                    PublishErrorKind::TimedOut | PublishErrorKind::StreamNotFound
                ) =>
            {
                self.pulse.unanswered(&self.client);
            }
            Err(_) => {}
        }
        acknowledged
    }

    /// A step that failed, which may be because nobody answers us here.
    pub(super) fn cannot(
        &self,
        step: &str,
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> InboxError {
        self.pulse.unanswered(&self.client);
        cannot(step, &self.place, error)
    }

    pub(super) fn is_connected(&self) -> bool {
        self.client.connection_state() == connection::State::Connected
    }

    /// At once, where waiting would only end in the same.
    pub(super) fn check_connected(&self) -> Result<(), InboxError> {
        if self.is_connected() {
            return Ok(());
        }
        Err(InboxError::new(
            InboxErrorKind::Storage,
            format!("NATS is away: {}", self.place),
        ))
    }

    /// Whether a consumer that gives out an event for the first time may have done so before and forgotten it: one that was made anew
    /// has, and a server that was killed does not know what it was told in the moment before.
    pub(super) fn may_be_forgotten(&self, stored_at: SystemTime) -> bool {
        stored_at < self.consumer_made_at || stored_at < self.connected_at.get()
    }

    pub(super) fn id(&self, sequence: u64) -> DeliveryId {
        DeliveryId::new(sequence, self.tag)
    }

    /// The sequence of one of ours; `None` for an id of another inbox.
    pub(super) fn sequence(&self, id: DeliveryId) -> Option<u64> {
        (id.tag() == self.tag).then(|| id.key())
    }

    /// One event; `None` when there is none of that sequence.
    pub(super) async fn event(&self, sequence: u64) -> Result<Option<Stored>, InboxError> {
        self.check_connected()?;
        if sequence == 0 {
            return Ok(None);
        }
        // Any replica may answer, and one that is behind says that there is none: then the leader is asked.
        let message = match self.events.direct_get(sequence).await {
            Ok(message) => Some(message),
            Err(error) if error.kind() == DirectGetErrorKind::TimedOut => {
                return Err(self.cannot("read from", error));
            }
            Err(_) => None,
        };
        let message = match message {
            Some(message) => message,
            None => {
                use async_nats::jetstream::stream::RawMessageErrorKind as Kind;
                match self.events.get_raw_message(sequence).await {
                    Ok(message) => message,
                    Err(error) if error.kind() == Kind::NoMessageFound => return Ok(None),
                    Err(error) => return Err(self.cannot("read from", error)),
                }
            }
        };
        Ok(Some(Stored::read(
            message.sequence,
            message.time.into(),
            &message.headers,
            message.payload,
        )))
    }
}

/// Of its name and the moment it was made: a stream of the same name that was made anew is another one.
fn tag(stream: &Stream) -> u32 {
    let info = stream.cached_info();
    let mut hash = Sha256::new();
    hash.update(info.config.name.as_bytes());
    hash.update(info.created.unix_timestamp_nanos().to_le_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let bits = u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]);
    // As much of it as an id holds.
    DeliveryId::new(0, bits).tag()
}
