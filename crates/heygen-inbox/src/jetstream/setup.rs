//! [`Setup`]: the streams and consumers of one inbox, made where they are missing, and checked
//! where they are there.

use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::pull::Config as PullConfig;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer};
use async_nats::jetstream::context::{
    CreateStreamErrorKind, GetStreamError, GetStreamErrorKind, RequestError, RequestErrorKind,
};
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, RetentionPolicy, StorageType, Stream as JsStream,
};
use tokio::time::Instant;

use super::address::Address;
use super::connection::{Connection, cannot};
use super::dead_letters::DeadLetters;
use super::durability;
use super::events::Events;
use super::options::{JetStreamOptions, StreamOptions};
use super::queue::Queue;
use super::records::Records;
use super::references::References;
use super::stream::Stream;
use super::streams::Streams;
use super::subject::Names;
use crate::error::{InboxError, InboxErrorKind};

/// Whether missing streams are made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum IfMissing {
    Create,
    Refuse,
}

/// What it takes to open the streams.
pub(super) struct Setup<'a> {
    address: &'a Address,
    options: &'a JetStreamOptions,
    if_missing: IfMissing,
    connection: Connection,
    names: Names,
    /// Where nothing is asked for, what there can be.
    replicas: usize,
}

/// Why a step failed.
struct Failure {
    error: InboxError,
    /// Whether a cluster that has just been started, or is electing, may answer otherwise in a
    /// moment.
    is_transient: bool,
}

impl Setup<'_> {
    /// Connects, and opens all of them, trying for as long as the options say.
    pub(super) async fn open(
        address: &Address,
        options: &JetStreamOptions,
        if_missing: IfMissing,
    ) -> Result<Streams, InboxError> {
        let connection = Connection::open(address, options).await?;
        let cluster = connection.client.server_info().cluster;
        let is_cluster = cluster.is_some_and(|name| !name.is_empty());
        // Three where there can be three.
        let replicas = options.streams.replicas;
        let setup = Setup {
            address,
            options,
            if_missing,
            names: Names::new(address.stream(), &options.streams.subject_prefix),
            replicas: replicas.unwrap_or(if is_cluster { 3 } else { 1 }),
            connection,
        };
        let deadline = Instant::now() + options.connect_timeout;
        loop {
            match Box::pin(setup.open_once()).await {
                Ok(opened) => return Ok(opened),
                Err(failure) if failure.is_transient && Instant::now() < deadline => {
                    tracing::debug!(error = %failure.error, "not open yet; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
                Err(failure) => return Err(failure.error),
            }
        }
    }

    async fn open_once(&self) -> Result<Streams, Failure> {
        let wanted = self.events();
        let events = self.stream(wanted.clone()).await?;
        let found = &events.cached_info().config;
        let mut config_drift = compare(&wanted, found, &self.options.streams);
        // What stands beside the events is as safe as they are.
        let replicas = found.num_replicas;
        let beside = async |mut wanted: Config| {
            wanted.num_replicas = replicas;
            self.stream(wanted).await
        };
        let dead = beside(self.dead()).await?;
        let records = beside(self.records()).await?;
        let again = beside(self.again()).await?;
        let workers = self.consumer(&events).await?;
        let again_workers = self.consumer(&again).await?;
        let worker = workers.cached_info();
        let (ack_wait, asked) = (worker.config.ack_wait, self.options.ack_wait);
        // The default stands there unless somebody asks for another one.
        if ack_wait != asked && asked != JetStreamOptions::default().ack_wait {
            config_drift.push(format!("ack wait is {ack_wait:?}, not {asked:?}"));
        }
        let mut connection = self.connection.clone();
        if replicas > 1 {
            connection.has_replicas();
        }
        let stream = |inner| Stream {
            connection: connection.clone(),
            names: self.names.clone(),
            inner,
        };
        let queue = |consumer| Queue::new(&connection, consumer);
        Ok(Streams {
            durability_warnings: durability::warnings(&connection.client.server_info(), found),
            config_drift,
            ack_wait,
            consumer_made_at: worker.created.into(),
            dead: DeadLetters {
                stream: stream(dead),
            },
            records: Records {
                stream: stream(records),
            },
            references: References::new(stream(again), queue(again_workers)),
            queue: queue(workers.clone()),
            names: self.names.clone(),
            connection: connection.clone(),
            events: Events::new(stream(events.clone())),
        })
    }

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
        config.description =
            Some("References to deliveries that are due for another attempt".to_owned());
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

    /// Opens a stream, makes it where it is missing, and refuses one that is something else.
    /// Nothing that is there is changed.
    async fn stream(&self, wanted: Config) -> Result<JsStream, Failure> {
        let name = &wanted.name;
        let stream = match self.connection.context.get_stream(name).await {
            Ok(stream) => stream,
            Err(error) => {
                let code = match error.kind() {
                    GetStreamErrorKind::JetStream(ref told) => Some(told.error_code()),
                    _ => None,
                };
                match code {
                    Some(ErrorCode::STREAM_NOT_FOUND) if self.if_missing == IfMissing::Refuse => {
                        let what = format!("there is no stream {name}, which a receiver makes");
                        return Err(self.storage(&what).into());
                    }
                    Some(ErrorCode::STREAM_NOT_FOUND) => self.create(&wanted).await?,
                    Some(
                        ErrorCode::JETSTREAM_NOT_ENABLED
                        | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT,
                    ) => {
                        let what = "JetStream is switched off there, or for this account";
                        return Err(self.storage(what).with_source(error).into());
                    }
                    _ if has_no_responders(&error) => {
                        let what =
                            "JetStream does not answer there: it is switched off, or not up yet";
                        return Err(Failure::transient(self.storage(what).with_source(error)));
                    }
                    _ => return Err(self.not_opened(error)),
                }
            }
        };
        let found = &stream.cached_info().config;
        if found.subjects != wanted.subjects || found.retention != wanted.retention {
            let message = format!(
                "the stream {name} at {} is no inbox of ours: it has subjects {:?} and retention {:?}, \
                 not {:?} and {:?}",
                self.address, found.subjects, found.retention, wanted.subjects, wanted.retention
            );
            return Err(InboxError::new(InboxErrorKind::Subjects, message).into());
        }
        if wanted.max_messages_per_subject == 1 && found.max_messages_per_subject != 1 {
            return Err(self.incompatible(format!(
                "the stream {name} at {} must keep 1 message a subject",
                self.address
            )));
        }
        Ok(stream)
    }

    async fn create(&self, wanted: &Config) -> Result<JsStream, Failure> {
        let (context, name) = (&self.connection.context, &wanted.name);
        let error = match context.create_stream(wanted.clone()).await {
            Ok(stream) => {
                tracing::info!(stream = name, replicas = wanted.num_replicas, "stream made");
                return Ok(stream);
            }
            Err(error) => error,
        };
        let code = match error.kind() {
            CreateStreamErrorKind::JetStream(ref told) => Some(told.error_code()),
            _ => None,
        };
        match code {
            // Somebody else made it in this moment.
            Some(ErrorCode::STREAM_NAME_EXIST) => {
                let found = context.get_stream(name).await;
                found.map_err(|error| self.not_opened(error))
            }
            Some(ErrorCode::STREAM_SUBJECT_OVERLAP) => {
                let message = format!(
                    "another stream of this account takes the subjects {}.… already: this inbox needs \
                     a prefix of its own",
                    self.options.streams.subject_prefix
                );
                let error = InboxError::new(InboxErrorKind::Subjects, message).with_source(error);
                Err(error.into())
            }
            _ => {
                let what = format!(
                    "cannot make the stream {name} with {} replicas",
                    wanted.num_replicas
                );
                let is_transient = code.is_none_or(|code| {
                    code == ErrorCode::CLUSTER_NOT_AVAILABLE || code == ErrorCode::CLUSTER_NO_PEERS
                });
                Err(Failure {
                    error: self.storage(&what).with_source(error),
                    is_transient,
                })
            }
        }
    }

    /// The one that all workers share. An existing one keeps its settings.
    async fn consumer(&self, stream: &JsStream) -> Result<PullConsumer, Failure> {
        let config = PullConfig {
            durable_name: Some(CONSUMER.to_owned()),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.options.ack_wait,
            max_deliver: -1,
            max_ack_pending: -1,
            ..PullConfig::default()
        };
        let opened = stream.get_or_create_consumer(CONSUMER, config).await;
        let consumer = opened.map_err(|error| {
            let step = "open the consumers of";
            Failure::transient(cannot(step, self.address, error))
        })?;
        let policy = consumer.cached_info().config.ack_policy;
        if policy != AckPolicy::Explicit {
            let name = &stream.cached_info().config.name;
            return Err(self.incompatible(format!(
                "the consumer `{CONSUMER}` of {name} at {} is not ours: its ack policy is {policy:?}",
                self.address
            )));
        }
        Ok(consumer)
    }

    fn storage(&self, what: &str) -> InboxError {
        let message = format!("cannot open the inbox at {}: {what}", self.address);
        InboxError::new(InboxErrorKind::Storage, message)
    }

    fn not_opened(&self, error: GetStreamError) -> Failure {
        Failure::transient(cannot("open", self.address, error))
    }

    /// It is there, and is something else.
    fn incompatible(&self, message: String) -> Failure {
        InboxError::new(InboxErrorKind::Version, message).into()
    }
}

impl Failure {
    fn transient(error: InboxError) -> Self {
        Self {
            error,
            is_transient: true,
        }
    }
}

impl From<InboxError> for Failure {
    fn from(error: InboxError) -> Self {
        Self {
            error,
            is_transient: false,
        }
    }
}

/// Whether no one listens where JetStream would.
fn has_no_responders(error: &GetStreamError) -> bool {
    use std::error::Error as _;
    let cause = error.source();
    let request = cause.and_then(|cause| cause.downcast_ref::<RequestError>());
    request.is_some_and(|request| request.kind() == RequestErrorKind::NoResponders)
}

/// In what the stream differs from what is asked for. What is not asked for stays as it was made.
/// It is reported and not changed: a stream may serve other purposes too.
fn compare(wanted: &Config, found: &Config, asked: &StreamOptions) -> Vec<String> {
    let mut config_drift = Vec::new();
    let mut differ = |what: &str, found: String, wanted: String| {
        if found != wanted {
            config_drift.push(format!("{what} is {found}, not {wanted}"));
        }
    };
    if asked.replicas.is_some() {
        differ(
            "the number of replicas",
            found.num_replicas.to_string(),
            wanted.num_replicas.to_string(),
        );
    }
    if asked.max_age.is_some() {
        differ(
            "max age",
            for_people(found.max_age),
            for_people(wanted.max_age),
        );
    }
    let bytes = |bytes: i64| match bytes {
        1.. => format!("{bytes} bytes"),
        _ => "unlimited".to_owned(),
    };
    if asked.max_bytes.is_some() {
        differ(
            "the most it holds",
            bytes(found.max_bytes),
            bytes(wanted.max_bytes),
        );
    }
    // The default stands there unless somebody asks for another one.
    if asked.duplicate_window != StreamOptions::default().duplicate_window {
        differ(
            "the duplicate window",
            for_people(found.duplicate_window),
            for_people(wanted.duplicate_window),
        );
    }
    config_drift
}

/// For a person: in the largest unit that is whole.
fn for_people(span: Duration) -> String {
    let seconds = span.as_secs();
    let whole = |unit: u64| span.subsec_nanos() == 0 && seconds.is_multiple_of(unit);
    match span {
        Duration::ZERO => "unlimited".to_owned(),
        _ if whole(24 * 3600) => format!("{}d", seconds / (24 * 3600)),
        _ if whole(3600) => format!("{}h", seconds / 3600),
        _ => format!("{span:?}"),
    }
}

/// The name of the consumers that all workers share.
const CONSUMER: &str = "workers";

/// How long to wait before trying again.
const PAUSE: Duration = Duration::from_millis(250);
