//! [`Link`]: the connection, the streams and consumers of one inbox, made where they are missing.

use std::time::Duration;

use async_nats::jetstream::consumer::pull::Config as PullConfig;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer};
use async_nats::jetstream::context::{
    ConsumerInfoErrorKind, CreateStreamErrorKind, GetStreamErrorKind,
};
use async_nats::jetstream::stream::{
    Config, DirectGetErrorKind, DiscardPolicy, RetentionPolicy, StorageType, Stream,
};
use async_nats::jetstream::{Context, ErrorCode};
use async_nats::{Client, connection};
use sha2::{Digest as _, Sha256};

use super::connection::{cannot, connect};
use super::message::Stored;
use super::promise::{self, Doubt};
use super::subject::Names;
use super::{Address, JetStreamOptions, StreamOptions};
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
    pub(super) ack_wait: Duration,
    pub(super) doubts: Vec<Doubt>,
    /// How the options differ from what is there, in words.
    pub(super) differences: Vec<String>,
    /// Tells the ids of this inbox from others'.
    pub(super) tag: u32,
    place: String,
}

/// Whether missing streams are made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Missing {
    Make,
    Refuse,
}

impl Link {
    pub(super) async fn open(
        address: &Address,
        options: &JetStreamOptions,
        missing: Missing,
    ) -> Result<Self, InboxError> {
        let (client, context) = connect(address, options).await?;
        let names = Names::new(address.stream(), &options.streams.subject_prefix);
        let opening = Opening {
            address,
            context: &context,
            names: &names,
            options,
            missing,
            replicas: replicas(&options.streams, &client),
        };
        let mut differences = Vec::new();
        let wanted = opening.events();
        let events = opening.stream(wanted.clone()).await?;
        compare(
            &wanted,
            &events.cached_info().config,
            &options.streams,
            &mut differences,
        );
        let replicas = events.cached_info().config.num_replicas;
        let opening = Opening {
            replicas,
            ..opening
        };
        let dead = opening.stream(opening.dead()).await?;
        let records = opening.stream(opening.records()).await?;
        let again = opening.stream(opening.again()).await?;
        let workers = opening.consumer(&events).await?;
        let again_workers = opening.consumer(&again).await?;
        let ack_wait = workers.cached_info().config.ack_wait;
        if ack_wait != options.ack_wait {
            differences.push(format!(
                "ack wait is {ack_wait:?}, not {:?}",
                options.ack_wait
            ));
        }
        let doubts = promise::doubts(&client.server_info(), &events.cached_info().config);
        let tag = tag(&events);
        Ok(Self {
            place: address.to_string(),
            client,
            context,
            names,
            events,
            dead,
            records,
            again,
            workers,
            again_workers,
            ack_wait,
            doubts,
            differences,
            tag,
        })
    }

    pub(super) fn cannot(
        &self,
        step: &str,
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> InboxError {
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

    pub(super) fn id(&self, sequence: u64) -> DeliveryId {
        DeliveryId::new(sequence, self.tag)
    }

    /// The sequence of one of ours; `None` for an id of another inbox.
    pub(super) fn sequence(&self, id: DeliveryId) -> Option<u64> {
        (id.tag() == self.tag).then(|| id.key())
    }

    /// One event; `None` when there is none of that sequence.
    pub(super) async fn event(&self, sequence: u64) -> Result<Option<Stored>, InboxError> {
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

/// What it takes to open a stream.
struct Opening<'a> {
    address: &'a Address,
    context: &'a Context,
    names: &'a Names,
    options: &'a JetStreamOptions,
    missing: Missing,
    replicas: usize,
}

impl Opening<'_> {
    fn events(&self) -> Config {
        let streams = &self.options.streams;
        let mut config = self.config(self.names.events(), self.names.all_of("events"));
        config.discard = DiscardPolicy::New;
        config.duplicate_window = match streams.max_age {
            Some(max_age) => streams.duplicate_window.min(max_age),
            None => streams.duplicate_window,
        };
        config.max_bytes = streams
            .max_bytes
            .map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
        config.description = Some("HeyGen webhook deliveries, one message an event".to_owned());
        config
    }

    fn dead(&self) -> Config {
        let mut config = self.config(self.names.dead(), self.names.all_of("dead"));
        config.description = Some("Deliveries that were given up".to_owned());
        config
    }

    fn records(&self) -> Config {
        let mut config = self.config(self.names.records(), self.names.all_of("records"));
        config.max_messages_per_subject = 1;
        config.description = Some("What became of each delivery".to_owned());
        config
    }

    fn again(&self) -> Config {
        let mut config = self.config(self.names.again(), self.names.all_of("again"));
        config.retention = RetentionPolicy::WorkQueue;
        config.max_age = Duration::ZERO;
        config.description = Some("References to what is to be handed out again".to_owned());
        config
    }

    fn config(&self, name: String, subjects: String) -> Config {
        Config {
            name,
            subjects: vec![subjects],
            storage: StorageType::File,
            num_replicas: self.replicas,
            max_age: self.options.streams.max_age.unwrap_or_default(),
            max_bytes: -1,
            max_messages: -1,
            max_messages_per_subject: -1,
            max_consumers: -1,
            allow_direct: true,
            ..Config::default()
        }
    }

    /// Opens a stream, makes it where it is missing, and refuses one that is something else. Nothing that is there is changed.
    async fn stream(&self, wanted: Config) -> Result<Stream, InboxError> {
        let name = wanted.name.clone();
        let found = match self.context.get_stream(&name).await {
            Ok(stream) => stream,
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(ref told)
                    if told.error_code() == ErrorCode::STREAM_NOT_FOUND =>
                {
                    if self.missing == Missing::Refuse {
                        return Err(self.storage(&format!("there is no stream {name}")));
                    }
                    self.make(wanted.clone()).await?
                }
                GetStreamErrorKind::JetStream(ref told)
                    if told.error_code() == ErrorCode::JETSTREAM_NOT_ENABLED
                        || told.error_code() == ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT =>
                {
                    return Err(self
                        .storage("JetStream is switched off there, or for this account")
                        .with_source(error));
                }
                _ => return Err(cannot("open", self.address, error)),
            },
        };
        let config = &found.cached_info().config;
        if config.subjects != wanted.subjects || config.retention != wanted.retention {
            return Err(InboxError::new(
                InboxErrorKind::Version,
                format!(
                    "the stream {name} at {} is no inbox of ours: it has subjects {:?} and retention {:?}, not {:?} and {:?}; name \
                     another one",
                    self.address,
                    config.subjects,
                    config.retention,
                    wanted.subjects,
                    wanted.retention
                ),
            ));
        }
        if config.max_messages_per_subject != wanted.max_messages_per_subject
            && wanted.max_messages_per_subject == 1
        {
            return Err(InboxError::new(
                InboxErrorKind::Version,
                format!(
                    "the stream {name} at {} must keep 1 message a subject",
                    self.address
                ),
            ));
        }
        Ok(found)
    }

    async fn make(&self, wanted: Config) -> Result<Stream, InboxError> {
        let name = wanted.name.clone();
        match self.context.create_stream(wanted).await {
            Ok(stream) => {
                tracing::info!(stream = name, replicas = self.replicas, "stream made");
                Ok(stream)
            }
            Err(error) => {
                let is_told = match error.kind() {
                    CreateStreamErrorKind::JetStream(ref told) => Some(told.error_code()),
                    _ => None,
                };
                match is_told {
                    // Somebody else made it in this moment.
                    Some(ErrorCode::STREAM_NAME_EXIST) => {
                        let found = self.context.get_stream(&name).await;
                        found.map_err(|error| cannot("open", self.address, error))
                    }
                    Some(ErrorCode::STREAM_SUBJECT_OVERLAP) => Err(self
                        .storage(&format!(
                            "another stream of this account takes the subjects {}.… already: give this inbox a prefix of its own",
                            self.options.streams.subject_prefix
                        ))
                        .with_source(error)),
                    _ => Err(self
                        .storage(&format!(
                            "cannot make the stream {name} with {} replicas",
                            self.replicas
                        ))
                        .with_source(error)),
                }
            }
        }
    }

    /// The one that all workers share. An existing one keeps its settings.
    async fn consumer(&self, stream: &Stream) -> Result<PullConsumer, InboxError> {
        let config = PullConfig {
            durable_name: Some(CONSUMER.to_owned()),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.options.ack_wait,
            max_deliver: -1,
            max_ack_pending: -1,
            ..PullConfig::default()
        };
        let found = stream.consumer_info(CONSUMER).await;
        let made = match found {
            Ok(_) => stream
                .get_consumer(CONSUMER)
                .await
                .map_err(|error| error.to_string()),
            Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => {
                let made = stream.create_consumer(config).await;
                made.map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        let consumer =
            made.map_err(|error| cannot("open the consumers of", self.address, error))?;
        let policy = consumer.cached_info().config.ack_policy;
        if policy != AckPolicy::Explicit {
            return Err(InboxError::new(
                InboxErrorKind::Version,
                format!(
                    "the consumer `{CONSUMER}` of {} at {} is not ours: its ack policy is {policy:?}",
                    stream.cached_info().config.name,
                    self.address
                ),
            ));
        }
        Ok(consumer)
    }

    fn storage(&self, what: &str) -> InboxError {
        InboxError::new(
            InboxErrorKind::Storage,
            format!("cannot open the inbox at {}: {what}", self.address),
        )
    }
}

/// Three where there can be three.
fn replicas(streams: &StreamOptions, client: &Client) -> usize {
    let info = client.server_info();
    let is_cluster = info.cluster.is_some_and(|name| !name.is_empty());
    streams.replicas.unwrap_or(if is_cluster { 3 } else { 1 })
}

/// In what the stream differs from what is asked for. It is said and not mended: a stream may be somebody's for other reasons too.
fn compare(wanted: &Config, found: &Config, asked: &StreamOptions, differences: &mut Vec<String>) {
    let mut differ = |what: &str, found: String, wanted: String| {
        if found != wanted {
            differences.push(format!("{what} is {found}, not {wanted}"));
        }
    };
    if asked.replicas.is_some() {
        differ(
            "the number of replicas",
            found.num_replicas.to_string(),
            wanted.num_replicas.to_string(),
        );
    }
    differ(
        "max age",
        format!("{:?}", found.max_age),
        format!("{:?}", wanted.max_age),
    );
    let bytes = |bytes: i64| match bytes {
        1.. => format!("{bytes} bytes"),
        _ => "unlimited".to_owned(),
    };
    differ(
        "the most it holds",
        bytes(found.max_bytes),
        bytes(wanted.max_bytes),
    );
    differ(
        "the duplicate window",
        format!("{:?}", found.duplicate_window),
        format!("{:?}", wanted.duplicate_window),
    );
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

/// The name of the consumers that all workers share.
const CONSUMER: &str = "workers";
