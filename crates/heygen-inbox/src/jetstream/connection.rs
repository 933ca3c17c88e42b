//! [`Connection`]: the way to the servers: made, kept, and what every read and write goes over.

use std::collections::HashSet;
use std::error::Error;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_nats::jetstream::context::{ContextBuilder, PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::{AckKind, Context};
use async_nats::{
    Client, ConnectError, ConnectErrorKind, ConnectOptions, Event, Subject, connection,
};
use tokio::time::Instant;

use super::address::Address;
use super::next_server::NextServer;
use super::options::JetStreamOptions;
use super::pulse::Pulse;
use crate::error::{InboxError, InboxErrorKind};
use crate::time::{from_micros, to_micros};

/// The connection to the servers. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) context: Context,
    pulse: Pulse,
    /// When the present connection was made, in microseconds since 1970.
    connected_at: Arc<AtomicI64>,
    answer_timeout: Duration,
    place: String,
}

impl Connection {
    /// Connects, trying for as long as the options say. Later it reconnects by itself, for ever.
    pub(super) async fn open(
        address: &Address,
        options: &JetStreamOptions,
    ) -> Result<Self, InboxError> {
        let servers: Vec<String> = address.servers().collect();
        let deadline = Instant::now() + options.connect_timeout;
        let mut is_told = false;
        let connected_at = Arc::new(AtomicI64::new(to_micros(SystemTime::now())));
        let client = loop {
            let ways = connect_options(address, options, &connected_at).await?;
            match ways.connect(&servers[..]).await {
                Ok(client) => break client,
                Err(error) if is_for_good(&error) || Instant::now() + PAUSE >= deadline => {
                    return Err(unreached(address, error));
                }
                Err(error) => {
                    if !is_told {
                        tracing::warn!(
                            inbox = %address,
                            %error,
                            "no server was reached; trying for {:?}",
                            options.connect_timeout
                        );
                        is_told = true;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        };
        let context = ContextBuilder::new()
            .timeout(options.answer_timeout)
            .ack_timeout(options.answer_timeout)
            .max_ack_inflight(options.queue_capacity.max(1).saturating_mul(2))
            .build(client.clone());
        Ok(Self {
            client,
            context,
            pulse: Pulse::new(address.hosts().len() > 1),
            connected_at,
            answer_timeout: options.answer_timeout,
            place: address.to_string(),
        })
    }

    /// What is kept on several servers can be asked of another one.
    pub(super) fn has_replicas(&mut self) {
        self.pulse.has_choice = true;
    }

    pub(super) fn is_connected(&self) -> bool {
        self.client.connection_state() == connection::State::Connected
    }

    /// At once, where waiting would only end in the same.
    pub(super) fn check_connected(&self) -> Result<(), InboxError> {
        if self.is_connected() {
            return Ok(());
        }
        let message = format!("NATS is away: {}", self.place);
        Err(InboxError::new(InboxErrorKind::Storage, message))
    }

    pub(super) fn connected_at(&self) -> SystemTime {
        from_micros(self.connected_at.load(Ordering::Relaxed))
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
                self.unanswered();
            }
            Err(_) => {}
        }
        acknowledged
    }

    /// Tells a consumer how it stands with something it gave out.
    pub(super) async fn say(&self, reply: &Subject, kind: AckKind) -> Result<(), InboxError> {
        let saying = self.client.publish(reply.clone(), kind.into());
        // It waits while much is to be written to a server that reads nothing.
        let said = tokio::time::timeout(self.answer_timeout, saying).await;
        let said = said.map_err(|error| self.cannot("write to", error))?;
        said.map_err(|error| self.cannot("write to", error))
    }

    /// Sees to it that everything said has reached the server.
    pub(super) async fn flush(&self) -> Result<(), InboxError> {
        let flushed = tokio::time::timeout(FLUSH_TIME, self.client.flush()).await;
        let flushed = flushed.map_err(|error| self.cannot("write to", error))?;
        flushed.map_err(|error| self.cannot("write to", error))
    }

    /// An answer did not come in time.
    pub(super) fn unanswered(&self) {
        self.pulse.unanswered(&self.client);
    }

    /// A step that failed, which may be because no server answers us here.
    pub(super) fn cannot(
        &self,
        step: &str,
        error: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> InboxError {
        self.unanswered();
        cannot(step, &self.place, error)
    }
}

async fn connect_options(
    address: &Address,
    options: &JetStreamOptions,
    connected_at: &Arc<AtomicI64>,
) -> Result<ConnectOptions, InboxError> {
    let connected_at = Arc::clone(connected_at);
    let access = &options.access;
    let place = address.to_string();
    let next = NextServer::default();
    let told = Arc::new(Mutex::new(HashSet::new()));
    let mut ways = ConnectOptions::new()
        .name(&options.name)
        .connection_timeout(ONE_SERVER)
        .ping_interval(PING)
        .request_timeout(Some(options.answer_timeout))
        .require_tls(address.is_tls())
        // The first attempt of all waits for nothing.
        .reconnect_delay_callback(|attempts| {
            (PAUSE / 2 * attempts.saturating_sub(1).min(8) as u32).min(LONGEST_PAUSE)
        })
        .reconnect_to_server_callback(move |servers, last| {
            let chosen = next.choose(&servers, &last);
            async move { chosen }
        })
        .event_callback(move |event| {
            if matches!(event, Event::Connected) {
                connected_at.store(to_micros(SystemTime::now()), Ordering::Relaxed);
            }
            let (place, told) = (place.clone(), Arc::clone(&told));
            async move { log(&place, &event, &told) }
        });
    match address.user() {
        Some((user, Some(password))) => {
            ways = ways.user_and_password(user.to_owned(), password.to_owned());
        }
        Some((token, None)) => ways = ways.token(token.to_owned()),
        None => {}
    }
    if let Some((user, password)) = &access.user_and_password {
        ways = ways.user_and_password(user.clone(), password.clone());
    }
    if let Some(token) = &access.token {
        ways = ways.token(token.clone());
    }
    if let Some(seed) = &access.nkey_seed {
        ways = ways.nkey(seed.clone());
    }
    if let Some(file) = &access.credentials_file {
        let read = ways.credentials_file(file).await;
        ways = read.map_err(|error| unreadable("credentials", file, error))?;
    }
    if let Some(file) = &access.ca_file {
        check_certificates(file).await?;
        ways = ways.add_root_certificates(file.clone());
    }
    if let Some((certificate, key)) = &access.client_certificate {
        ways = ways.add_client_certificate(certificate.clone(), key.clone());
    }
    Ok(ways)
}

/// A file without certificates would otherwise only be reported as one that trusts no one.
async fn check_certificates(file: &Path) -> Result<(), InboxError> {
    let path = file.to_owned();
    let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await;
    let read = read.map_err(std::io::Error::other).and_then(|read| read);
    let text = read.map_err(|error| unreadable("certificates", file, error))?;
    if text.contains("-----BEGIN CERTIFICATE-----") {
        return Ok(());
    }
    let message = format!("there is no certificate in {}", file.display());
    Err(InboxError::new(InboxErrorKind::Storage, message))
}

/// `told` is what went wrong since the connection was made or lost: each attempt fails in the same
/// way, and that is logged once.
fn log(place: &str, event: &Event, told: &Mutex<HashSet<String>>) {
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    match event {
        Event::Connected => {
            told.clear();
            tracing::info!(inbox = place, "connected to NATS");
        }
        Event::Disconnected => {
            told.clear();
            tracing::warn!(
                inbox = place,
                "the connection to NATS is lost; nothing is stored or dispatched until it is back"
            );
        }
        Event::SlowConsumer(_) | Event::ServerError(_) | Event::ClientError(_) => {
            let text = event.to_string();
            if told.len() < MOST_TOLD && told.insert(text.clone()) {
                tracing::warn!(inbox = place, "NATS: {text}");
            }
        }
        Event::LameDuckMode | Event::Draining | Event::Closed => {
            tracing::debug!(inbox = place, "NATS: {event}");
        }
    }
}

/// Whether trying again would bring the same.
fn is_for_good(error: &ConnectError) -> bool {
    matches!(
        error.kind(),
        ConnectErrorKind::ServerParse
            | ConnectErrorKind::Authentication
            | ConnectErrorKind::AuthorizationViolation
            | ConnectErrorKind::Tls
    ) || is_of_tls(error)
}

/// Whether a handshake failed: on a certificate, or because the other side does not speak TLS at
/// all.
fn is_of_tls(error: &ConnectError) -> bool {
    let told = error
        .source()
        .and_then(|source| source.downcast_ref::<std::io::Error>());
    told.is_some_and(|told| told.kind() == std::io::ErrorKind::InvalidData)
}

fn unreached(address: &Address, error: ConnectError) -> InboxError {
    use ConnectErrorKind as Kind;
    match error.kind() {
        Kind::Authentication | Kind::AuthorizationViolation => InboxError::new(
            InboxErrorKind::Access,
            format!("the servers of the inbox at {address} do not let us in"),
        )
        .with_source(error),
        _ if address.is_tls() => cannot("connect with TLS to", address, error),
        _ => cannot("connect to", address, error),
    }
}

fn unreadable(what: &str, file: &Path, error: std::io::Error) -> InboxError {
    let message = format!("cannot read the {what} in {}", file.display());
    InboxError::new(InboxErrorKind::Storage, message).with_source(error)
}

/// A step that failed at the servers.
pub(super) fn cannot(
    step: &str,
    place: &impl fmt::Display,
    error: impl Into<Box<dyn Error + Send + Sync>>,
) -> InboxError {
    InboxError::new(
        InboxErrorKind::Storage,
        format!("cannot {step} the inbox at {place}"),
    )
    .with_source(error)
}

/// Different troubles of one connection.
const MOST_TOLD: usize = 100;

const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A server that answers none of three is left: far sooner than with the two minutes that a client
/// takes by default.
const PING: Duration = Duration::from_secs(3);

/// For one server, before the next is tried.
const ONE_SERVER: Duration = Duration::from_secs(3);

const FLUSH_TIME: Duration = Duration::from_secs(5);
