//! [`Queue`]: a consumer that all workers share, and [`Fetched`]: a message that it delivered.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, Info, PullConsumer};
use async_nats::jetstream::context::{ConsumerInfoError, ConsumerInfoErrorKind};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{ConsumerCreateStrictErrorKind, Stream as JsStream};
use futures_util::StreamExt as _;
use tokio::time::Instant;

use super::ack_token::{AckToken, Origin};
use super::message::of_stream;
use super::stream::Stream;
use crate::error::{InboxError, InboxErrorKind};

/// A consumer that all workers share.
#[derive(Debug)]
pub(super) struct Queue {
    stream: Stream,
    consumer: PullConsumer,
    state: Mutex<State>,
    /// Up to where this process wrote messages that the consumer was not seen to deliver yet; 0
    /// when there are none.
    written_to: AtomicU64,
}

/// The consumer, as it was seen last.
#[derive(Clone, Copy, Debug)]
struct State {
    /// Since when it remembers what it delivers.
    created_at: SystemTime,
    ack_wait: Duration,
    /// The number of its newest delivery.
    delivery: u64,
    /// `None` when it has to be looked at again.
    checked_at: Option<Instant>,
    /// Whether the log says that it is paused.
    is_paused: bool,
}

/// A message that a consumer delivered.
pub(super) struct Fetched {
    pub(super) message: StreamMessage,
    pub(super) token: AckToken,
    /// The number of this delivery, of all that the consumer has made.
    delivery: u64,
}

impl Fetched {
    fn read(message: async_nats::jetstream::Message) -> Option<Self> {
        let info = message.info().ok()?;
        let token = AckToken {
            reply: message.reply.clone()?,
            origin: Origin::Event,
            delivered: u32::try_from(info.delivered).unwrap_or(u32::MAX),
        };
        let delivery = info.consumer_sequence;
        Some(Self {
            message: of_stream(message).ok()?,
            token,
            delivery,
        })
    }
}

impl Queue {
    pub(super) fn new(stream: Stream, consumer: PullConsumer) -> Self {
        Self {
            state: Mutex::new(State::of(consumer.cached_info())),
            stream,
            consumer,
            written_to: AtomicU64::new(0),
        }
    }

    /// Since when the consumer remembers what it delivered: one that was deleted and created again
    /// delivers everything once more, as if for the first time.
    pub(super) fn created_at(&self) -> SystemTime {
        self.state().created_at
    }

    /// After how long without an acknowledgement the consumer delivers a message again.
    pub(super) fn ack_wait(&self) -> Duration {
        self.state().ack_wait
    }

    pub(super) async fn info(&self) -> Result<Info, InboxError> {
        self.stream.connection.check_connected()?;
        let info = self.consumer.get_info().await;
        info.map_err(|error| self.stream.connection.cannot("read from", error))
    }

    /// This process wrote something for it.
    pub(super) fn wrote(&self, sequence: u64) {
        self.written_to.fetch_max(sequence, Ordering::Relaxed);
    }

    /// Fetches what there is, at least what this process has written: a consumer learns of that a
    /// little later than the writer.
    pub(super) async fn fetch(&self, limit: usize) -> Result<Vec<Fetched>, InboxError> {
        let deadline = Instant::now() + CATCH_UP_TIMEOUT;
        loop {
            let fetched = match self.fetch_once(limit).await {
                Ok(fetched) => fetched,
                Err(error) => {
                    // The consumer may have been deleted.
                    return Err(match self.reopen().await {
                        Err(unfit) if unfit.kind() == InboxErrorKind::Version => unfit,
                        Err(reason) => {
                            tracing::debug!(error = %reason, "the consumer `{CONSUMER}` cannot be opened");
                            error
                        }
                        Ok(()) => error,
                    });
                }
            };
            self.check(&fetched).await?;
            let last = self.written_to.load(Ordering::Relaxed);
            let is_reached = fetched.iter().any(|one| one.message.sequence >= last);
            if last == 0 || (!fetched.is_empty() && !is_reached) {
                return Ok(fetched);
            }
            // Others may have got it.
            let is_over = is_reached
                || self.info().await?.delivered.stream_sequence >= last
                || Instant::now() >= deadline;
            if is_over {
                let order = Ordering::Relaxed;
                let _ = self.written_to.compare_exchange(last, 0, order, order);
                return Ok(fetched);
            }
            tokio::time::sleep(CATCH_UP_PAUSE).await;
        }
    }

    async fn fetch_once(&self, limit: usize) -> Result<Vec<Fetched>, InboxError> {
        let connection = &self.stream.connection;
        let cannot = |error| connection.cannot("fetch from", error);
        let mut messages = Vec::new();
        let fetching = async {
            let fetch = self.consumer.fetch().max_messages(limit).messages().await;
            let mut fetched = fetch.map_err(|error| cannot(error.into()))?;
            while let Some(message) = fetched.next().await {
                // Nothing else comes from a consumer.
                messages.extend(Fetched::read(message.map_err(cannot)?));
            }
            Ok(())
        };
        let fetched = match tokio::time::timeout(FETCH_TIMEOUT, fetching).await {
            Ok(fetched) => fetched,
            Err(_) => {
                connection.unanswered();
                let message = format!("the consumer `{CONSUMER}` does not answer");
                Err(InboxError::new(InboxErrorKind::Storage, message))
            }
        };
        // Messages that came before the failure are ours, and would count as attempts.
        match fetched {
            Err(error) if messages.is_empty() => Err(error),
            Ok(()) | Err(_) => Ok(messages),
        }
    }

    /// Notices once a second, and when its deliveries are numbered from the beginning, that the
    /// consumer was created again or changed. An error only when it is unfit now.
    async fn check(&self, fetched: &[Fetched]) -> Result<(), InboxError> {
        let known = *self.state();
        let newest = fetched.iter().map(|one| one.delivery).max().unwrap_or(0);
        let is_behind = fetched.iter().any(|one| one.delivery <= known.delivery);
        let is_checked = |at: Instant| at.elapsed() < CHECK_INTERVAL;
        if !is_behind && known.checked_at.is_some_and(is_checked) {
            self.state().delivery = known.delivery.max(newest);
            return Ok(());
        }
        let info = match self.info().await {
            Ok(info) => info,
            // What was fetched is ours, and would count as attempts. As it is not known whether the
            // consumer remembers what it delivered, the records are read.
            Err(error) => {
                tracing::debug!(%error, "the consumer `{CONSUMER}` cannot be looked at");
                let mut state = self.state();
                state.created_at = SystemTime::now();
                state.checked_at = None;
                return Ok(());
            }
        };
        if let Err(error) = self.check_fit(&info) {
            self.state().checked_at = None;
            return Err(error);
        }
        let mut state = State::of(&info);
        state.is_paused = info.paused;
        if state.is_paused != known.is_paused {
            self.log_pause(info.paused);
        }
        // A server that was killed may have forgotten its newest deliveries.
        if is_behind && state.created_at == known.created_at {
            state.created_at = SystemTime::now();
        } else if state.created_at < known.created_at {
            state.created_at = known.created_at;
        }
        *self.state() = state;
        Ok(())
    }

    /// Not the pause of the inbox: an operator paused the consumer at the servers, where nothing else
    /// shows it.
    fn log_pause(&self, is_paused: bool) {
        let stream = &self.stream.info().config.name;
        match is_paused {
            true => tracing::warn!(
                %stream,
                "the consumer `{CONSUMER}` is paused at the servers (nats consumer pause): it delivers nothing until it is resumed"
            ),
            false => tracing::info!(%stream, "the consumer `{CONSUMER}` is resumed at the servers"),
        }
    }

    /// Creates the consumer again where it is gone.
    pub(super) async fn reopen(&self) -> Result<(), InboxError> {
        let connection = &self.stream.connection;
        if !connection.is_connected() {
            return Ok(());
        }
        let opened = open(&self.stream.inner, self.ack_wait()).await;
        let consumer = opened.map_err(|error| connection.cannot("fetch from", error))?;
        self.check_fit(consumer.cached_info())?;
        let created_at: SystemTime = consumer.cached_info().created.into();
        if created_at > self.created_at() {
            let stream = &self.stream.info().config.name;
            tracing::warn!(%stream, "the consumer `{CONSUMER}` was deleted, and is created again");
            *self.state() = State::of(consumer.cached_info());
        }
        Ok(())
    }

    fn check_fit(&self, info: &Info) -> Result<(), InboxError> {
        let location = self.stream.connection.location();
        check_fit(info, &self.stream.info().config.name, location)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // It is replaced whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn of(info: &Info) -> Self {
        Self {
            created_at: info.created.into(),
            ack_wait: info.config.ack_wait,
            delivery: info.delivered.consumer_sequence,
            checked_at: Some(Instant::now()),
            is_paused: false,
        }
    }
}

/// Opens the consumer of a stream that all workers share, and creates it where it is missing. An
/// existing one keeps its settings, also one that another worker creates in the same moment.
pub(super) async fn open(
    stream: &JsStream,
    ack_wait: Duration,
) -> Result<PullConsumer, async_nats::Error> {
    let error = match stream.get_consumer(CONSUMER).await {
        Ok(consumer) => return Ok(consumer),
        Err(error) => error,
    };
    let is_missing = error
        .downcast_ref::<ConsumerInfoError>()
        .is_some_and(|error| error.kind() == ConsumerInfoErrorKind::NotFound);
    if !is_missing {
        return Err(error);
    }
    let config = Config {
        durable_name: Some(CONSUMER.to_owned()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait,
        max_deliver: -1,
        max_ack_pending: -1,
        ..Config::default()
    };
    match stream.create_consumer_strict(config).await {
        Ok(_) => {}
        Err(error) if error.kind() == ConsumerCreateStrictErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.into()),
    }
    // Servers before 2.10 would rather update it: what counts is what is there now.
    stream.get_consumer(CONSUMER).await
}

/// Refuses a consumer of that name that would lose messages or deliver them without their bodies.
pub(super) fn check_fit(
    info: &Info,
    stream: &str,
    location: impl fmt::Display,
) -> Result<(), InboxError> {
    let config = &info.config;
    let is_filtered = !config.filter_subject.is_empty() || !config.filter_subjects.is_empty();
    let is_acknowledged = config.ack_policy == AckPolicy::Explicit;
    let is_from_the_first = config.deliver_policy == DeliverPolicy::All;
    let settings = [
        (!is_acknowledged, "its ack policy is not explicit"),
        (is_filtered, "it has a filter"),
        (config.max_deliver > 0, "it has a max deliver"),
        (config.headers_only, "it delivers headers only"),
        (!config.backoff.is_empty(), "it has a backoff"),
        (!is_from_the_first, "its deliver policy is not all"),
    ];
    let Some((_, why)) = settings.into_iter().find(|(is_so, _)| *is_so) else {
        return Ok(());
    };
    let message = format!(
        "the consumer `{CONSUMER}` of {stream} at {location} would not dispatch every event: {why}"
    );
    Err(InboxError::new(InboxErrorKind::Version, message))
}

/// The name of the consumers that all workers share.
pub(super) const CONSUMER: &str = "workers";

/// How long a consumer may take to learn of what was written, and how often it is asked.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(1);
const CATCH_UP_PAUSE: Duration = Duration::from_millis(1);

/// The servers answer at once that there is nothing; a cluster may just have no leader.
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);

/// How often to look whether the consumer was created again or changed.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
