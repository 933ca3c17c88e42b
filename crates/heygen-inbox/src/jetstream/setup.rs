//! [`Setup`]: opens the streams and consumers of an inbox, creates those that are missing, and
//! checks those that exist.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{Info, PullConsumer, ReplayPolicy};
use async_nats::jetstream::context::{
    CreateStreamErrorKind, GetStreamError, GetStreamErrorKind, RequestError, RequestErrorKind,
};
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, RetentionPolicy, StorageType, Stream as JsStream,
};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::address::Address;
use super::connection::{Connection, cannot};
use super::dead_letters::DeadLetters;
use super::durability;
use super::events::Events;
use super::options::{JetStreamOptions, StreamOptions};
use super::queue::{self, Queue};
use super::records::Records;
use super::references::References;
use super::stream::{Stream, is_not_found, unused_sequence};
use super::streams::{RESTORE_LOG_INTERVAL, Streams};
use super::subject::Names;
use crate::error::{InboxError, InboxErrorKind};
use crate::throttle::Throttle;

/// What to do about a missing stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum IfMissing {
    Create,
    Refuse,
}

/// Opens the streams and consumers of an inbox.
pub(super) struct Setup<'a> {
    address: &'a Address,
    options: &'a JetStreamOptions,
    if_missing: IfMissing,
    connection: Connection,
    names: Names,
    replicas: usize,
}

/// Why a step failed.
struct Failure {
    error: InboxError,
    /// Whether it may succeed in a moment, as when a cluster was just started or elects a leader.
    is_transient: bool,
}

#[cfg(test)]
impl Streams {
    /// Those of an inbox at this server, with the default options.
    pub(super) async fn at(server: &xtask_nats::Server) -> Self {
        let address = format!("{}/HEYGEN", server.url()).parse();
        let (address, options) = (address.expect("an address"), JetStreamOptions::default());
        let opened = Box::pin(Setup::open(&address, &options, IfMissing::Create));
        opened.await.expect("an inbox")
    }
}

impl Setup<'_> {
    /// Connects, and opens all of them. Retries until the connect timeout.
    pub(super) async fn open(
        address: &Address,
        options: &JetStreamOptions,
        if_missing: IfMissing,
    ) -> Result<Streams, InboxError> {
        let connection = Connection::open(address, options).await?;
        let cluster = connection.client.server_info().cluster;
        let is_cluster = cluster.is_some_and(|name| !name.is_empty());
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
        // The other streams are as safe as the events.
        let replicas = found.num_replicas;
        let beside = async |mut wanted: Config| {
            wanted.num_replicas = replicas;
            wanted.first_sequence = Some(unused_sequence());
            self.stream(wanted).await
        };
        let dead = beside(self.dead()).await?;
        let records = beside(self.records()).await?;
        let again = beside(self.again()).await?;
        // They are created like that of the events. Where one was changed, the others may have to be.
        for other in [&dead, &records, &again] {
            let Config {
                name, num_replicas, ..
            } = &other.cached_info().config;
            if *num_replicas != replicas {
                config_drift.push(format!(
                    "the number of replicas of {name} is {num_replicas}, and that of the events {replicas}"
                ));
            }
        }
        let (of_records, of_events) = (records.cached_info().config.max_age, found.max_age);
        if of_records != of_events {
            config_drift.push(format!(
                "max age of {} is {}, and that of the events {}",
                self.names.records(),
                for_people(of_records),
                for_people(of_events)
            ));
        }
        let workers = self.consumer(&events).await?;
        let again_workers = self.consumer(&again).await?;
        let worker = &workers.cached_info().config;
        let asked = self.options.ack_wait;
        // An existing consumer may differ from the default unless another ack wait is asked for.
        if worker.ack_wait != asked && asked != JetStreamOptions::default().ack_wait {
            config_drift.push(format!("ack wait is {:?}, not {asked:?}", worker.ack_wait));
        }
        let max_pending = worker.max_ack_pending;
        if max_pending > 0 {
            config_drift.push(format!("max ack pending is {max_pending}, not unlimited"));
        }
        for workers in [&workers, &again_workers] {
            let Info {
                stream_name,
                config,
                ..
            } = workers.cached_info();
            let of = format!("of the consumer of {stream_name}");
            let inactive = config.inactive_threshold;
            if !inactive.is_zero() {
                let inactive = for_people(inactive);
                config_drift.push(format!(
                    "the inactive threshold {of} is {inactive}, not unlimited: without workers it is deleted"
                ));
            }
            if config.replay_policy == ReplayPolicy::Original {
                config_drift.push(format!(
                    "the replay policy {of} is original, not instant: what waits is delivered as slowly as it came"
                ));
            }
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
        let (events, again) = (stream(events), stream(again));
        let streams = Streams {
            durability_warnings: durability::warnings(
                &connection.client.server_info(),
                &events.info().config,
                &again.info().config,
            ),
            config_drift,
            dead: DeadLetters {
                stream: stream(dead),
            },
            records: Records {
                stream: stream(records),
            },
            queue: Queue::new(events.clone(), workers),
            references: References::new(again.clone(), Queue::new(again, again_workers)),
            names: self.names.clone(),
            connection: connection.clone(),
            events: Events::new(events),
            creates_missing: self.if_missing == IfMissing::Create,
            restoring: Arc::new(Mutex::new(Throttle::new(RESTORE_LOG_INTERVAL))),
        };
        if streams.creates_missing {
            let made = streams.make_references().await;
            made.map_err(Failure::transient)?;
        }
        Ok(streams)
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
        config.description = Some("HeyGen webhook deliveries, one message per event".to_owned());
        config
    }

    fn dead(&self) -> Config {
        let mut config = self.config(self.names.dead(), self.names.all_of("dead"));
        config.description = Some("Dead-lettered deliveries".to_owned());
        config
    }

    fn records(&self) -> Config {
        let mut config = self.config(self.names.records(), self.names.all_of("records"));
        config.max_messages_per_subject = 1;
        config.description = Some("State and attempts of each delivery".to_owned());
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

    /// Opens a stream, creates it where it is missing, and refuses one that is something else.
    /// Nothing that exists is changed.
    async fn stream(&self, wanted: Config) -> Result<JsStream, Failure> {
        let name = &wanted.name;
        let stream = match self.connection.context.get_stream(name).await {
            Ok(stream) => stream,
            Err(error) if is_not_found(&error) => self.create(&wanted).await?,
            Err(error) => return Err(self.not_opened(error)),
        };
        let found = &stream.cached_info().config;
        if found.subjects != wanted.subjects || found.retention != wanted.retention {
            let message = format!(
                "the stream {name} at {} is not an inbox: it has subjects {:?} and retention {:?}, \
                 not {:?} and {:?}",
                self.address, found.subjects, found.retention, wanted.subjects, wanted.retention
            );
            return Err(InboxError::new(InboxErrorKind::Subjects, message).into());
        }
        if wanted.max_messages_per_subject == 1 && found.max_messages_per_subject != 1 {
            let message = format!(
                "the stream {name} at {} must keep 1 message per subject",
                self.address
            );
            return Err(InboxError::new(InboxErrorKind::Version, message).into());
        }
        Ok(stream)
    }

    async fn create(&self, wanted: &Config) -> Result<JsStream, Failure> {
        let (context, name) = (&self.connection.context, &wanted.name);
        if self.if_missing == IfMissing::Refuse {
            let what = format!("there is no stream {name}, which a receiver creates");
            return Err(self.error(InboxErrorKind::Missing, &what).into());
        }
        let error = match context.create_stream(wanted.clone()).await {
            Ok(stream) => {
                tracing::info!(
                    stream = name,
                    replicas = wanted.num_replicas,
                    "stream created"
                );
                return Ok(stream);
            }
            Err(error) => error,
        };
        let code = match error.kind() {
            CreateStreamErrorKind::JetStream(ref error) => Some(error.error_code()),
            _ => None,
        };
        match code {
            // Another process has just created it.
            Some(ErrorCode::STREAM_NAME_EXIST) => {
                let found = context.get_stream(name).await;
                found.map_err(|error| self.not_opened(error))
            }
            Some(ErrorCode::STREAM_SUBJECT_OVERLAP) => {
                // A server also answers this for the same stream, while another process creates it.
                if let Ok(found) = context.get_stream(name).await {
                    return Ok(found);
                }
                let message = format!(
                    "another stream of this account has the subjects {}.… already: this inbox needs \
                     a prefix of its own",
                    self.options.streams.subject_prefix
                );
                let error = InboxError::new(InboxErrorKind::Subjects, message).with_source(error);
                Err(error.into())
            }
            _ => {
                let replicas = wanted.num_replicas;
                let what = format!("cannot create the stream {name} with {replicas} replicas");
                let is_transient = code.is_none_or(|code| {
                    code == ErrorCode::CLUSTER_NOT_AVAILABLE || code == ErrorCode::CLUSTER_NO_PEERS
                });
                let failed = self.error(InboxErrorKind::Storage, &what);
                Err(Failure {
                    error: failed.with_source(error),
                    is_transient,
                })
            }
        }
    }

    /// The consumer that all workers share. An existing one keeps its settings.
    async fn consumer(&self, stream: &JsStream) -> Result<PullConsumer, Failure> {
        let opened = queue::open(stream, self.options.ack_wait).await;
        let consumer = opened.map_err(|error| {
            let step = "open the consumers of";
            Failure::transient(cannot(step, self.address, error))
        })?;
        let name = &stream.cached_info().config.name;
        queue::check_fit(consumer.cached_info(), name, self.address)?;
        Ok(consumer)
    }

    fn error(&self, kind: InboxErrorKind, what: &str) -> InboxError {
        let message = format!("cannot open the inbox at {}: {what}", self.address);
        InboxError::new(kind, message)
    }

    fn not_opened(&self, error: GetStreamError) -> Failure {
        let is_switched_off = matches!(
            error_code(&error),
            Some(ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT)
        );
        if is_switched_off {
            let what = "JetStream is switched off there, or for this account";
            let failed = self.error(InboxErrorKind::Storage, what);
            return failed.with_source(error).into();
        }
        if has_no_responders(&error) {
            let what = "JetStream does not answer there: it is switched off, or not up yet";
            let failed = self.error(InboxErrorKind::Storage, what);
            return Failure::transient(failed.with_source(error));
        }
        Failure::transient(cannot("open", self.address, error))
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

fn error_code(error: &GetStreamError) -> Option<ErrorCode> {
    match error.kind() {
        GetStreamErrorKind::JetStream(ref error) => Some(error.error_code()),
        _ => None,
    }
}

/// Whether no one listens where JetStream would.
fn has_no_responders(error: &GetStreamError) -> bool {
    use std::error::Error as _;
    let cause = error.source();
    let request = cause.and_then(|cause| cause.downcast_ref::<RequestError>());
    request.is_some_and(|request| request.kind() == RequestErrorKind::NoResponders)
}

/// In what the stream differs from the options, in words. An option that was not given is not
/// compared, and the stream is not changed: it may serve other purposes too.
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
        differ("max bytes", bytes(found.max_bytes), bytes(wanted.max_bytes));
    }
    // An existing stream may differ from the default unless another window is asked for.
    if asked.duplicate_window != StreamOptions::default().duplicate_window {
        differ(
            "the duplicate window",
            for_people(found.duplicate_window),
            for_people(wanted.duplicate_window),
        );
    }
    config_drift
}

/// A duration for people: in the largest unit that is whole.
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

/// How long to wait before trying again.
const PAUSE: Duration = Duration::from_millis(250);
