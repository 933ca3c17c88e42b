//! [`Connection`]: the connection to the servers, which every read and write uses.

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
    AuthError, Client, ConnectError, ConnectErrorKind, ConnectOptions, Event, Subject, connection,
};
use tokio::time::Instant;

use super::address::Address;
use super::credentials::Credentials;
use super::liveness::Liveness;
use super::next_server::NextServer;
use super::options::JetStreamOptions;
use crate::error::{InboxError, InboxErrorKind};
use crate::time::{from_micros, to_micros};

/// The connection to the servers. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) context: Context,
    liveness: Liveness,
    /// When it connected last, in microseconds since 1970.
    connected_at: Arc<AtomicI64>,
    pub(super) answer_timeout: Duration,
    location: String,
}

impl Connection {
    /// Connects, retrying until the connect timeout. Later it reconnects by itself, for ever.
    pub(super) async fn open(
        address: &Address,
        options: &JetStreamOptions,
    ) -> Result<Self, InboxError> {
        let servers: Vec<String> = address.servers().collect();
        let deadline = Instant::now() + options.connect_timeout;
        let mut is_logged = false;
        let connected_at = Arc::new(AtomicI64::new(to_micros(SystemTime::now())));
        let client = loop {
            let connecting = connect_options(address, options, &connected_at).await?;
            match connecting.connect(&servers[..]).await {
                Ok(client) => break client,
                Err(error) if is_permanent(&error) || Instant::now() + PAUSE >= deadline => {
                    return Err(connect_error(address, error));
                }
                Err(error) => {
                    if !is_logged {
                        tracing::warn!(
                            inbox = %address,
                            %error,
                            "no server was reached; retrying for {:?}",
                            options.connect_timeout
                        );
                        is_logged = true;
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
            liveness: Liveness::new(address.hosts().len() > 1),
            connected_at,
            answer_timeout: options.answer_timeout,
            location: address.to_string(),
        })
    }

    /// Another server can answer for a replicated stream.
    pub(super) fn has_replicas(&mut self) {
        self.liveness.has_choice = true;
    }

    pub(super) fn is_connected(&self) -> bool {
        self.client.connection_state() == connection::State::Connected
    }

    /// Fails at once while there is no connection.
    pub(super) fn check_connected(&self) -> Result<(), InboxError> {
        if self.is_connected() {
            return Ok(());
        }
        let message = format!("not connected to NATS: {}", self.location);
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
            Ok(_) => self.liveness.answered(),
            // A server that knows no leader answers so at once.
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

    /// Sends an acknowledgement to a consumer.
    pub(super) async fn send_ack(&self, reply: &Subject, kind: AckKind) -> Result<(), InboxError> {
        let sending = self.client.publish(reply.clone(), kind.into());
        // It waits while much is to be written to a server that reads nothing.
        let sent = tokio::time::timeout(self.answer_timeout, sending).await;
        let sent = sent.map_err(|error| self.cannot("write to", error))?;
        sent.map_err(|error| self.cannot("write to", error))
    }

    /// Returns once everything sent has reached the server.
    pub(super) async fn flush(&self) -> Result<(), InboxError> {
        let flushed = tokio::time::timeout(FLUSH_TIMEOUT, self.client.flush()).await;
        let flushed = flushed.map_err(|error| self.cannot("write to", error))?;
        flushed.map_err(|error| self.cannot("write to", error))
    }

    /// An answer did not come in time.
    pub(super) fn unanswered(&self) {
        self.liveness.unanswered(&self.client);
    }

    /// Where the servers are, for messages.
    pub(super) fn location(&self) -> &str {
        &self.location
    }

    /// A step that failed, perhaps because this server is cut off from the others.
    pub(super) fn cannot(
        &self,
        step: &str,
        error: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> InboxError {
        self.unanswered();
        cannot(step, &self.location, error)
    }
}

async fn connect_options(
    address: &Address,
    options: &JetStreamOptions,
    connected_at: &Arc<AtomicI64>,
) -> Result<ConnectOptions, InboxError> {
    let connected_at = Arc::clone(connected_at);
    let access = &options.access;
    let location = address.to_string();
    let next = NextServer::default();
    let logged = Arc::new(Mutex::new(HashSet::new()));
    let mut connecting = match &access.credentials_file {
        Some(file) => {
            let read = Credentials::read(file).await;
            read.map_err(|error| file_error("credentials", file, error))?;
            let file = Arc::new(file.clone());
            ConnectOptions::with_auth_callback(move |nonce| {
                let file = Arc::clone(&file);
                async move {
                    let read = Credentials::read(&file).await;
                    read.map_err(AuthError::new)?.answer(&nonce)
                }
            })
        }
        None => ConnectOptions::new(),
    };
    connecting = connecting
        .name(&options.name)
        .connection_timeout(SERVER_TIMEOUT)
        .ping_interval(PING_INTERVAL)
        .request_timeout(Some(options.answer_timeout))
        .require_tls(address.is_tls())
        // The first attempt of all waits for nothing.
        .reconnect_delay_callback(|attempts| {
            (PAUSE / 2 * attempts.saturating_sub(1).min(8) as u32).min(MAX_PAUSE)
        })
        .reconnect_to_server_callback(move |servers, last| {
            let chosen = next.choose(&servers, &last);
            async move { chosen }
        })
        .event_callback(move |event| {
            if matches!(event, Event::Connected) {
                connected_at.store(to_micros(SystemTime::now()), Ordering::Relaxed);
            }
            let (location, logged) = (location.clone(), Arc::clone(&logged));
            async move { log(&location, &event, &logged) }
        });
    match address.user() {
        Some((user, Some(password))) => {
            connecting = connecting.user_and_password(user.to_owned(), password.to_owned());
        }
        Some((token, None)) => connecting = connecting.token(token.to_owned()),
        None => {}
    }
    if let Some((user, password)) = &access.user_and_password {
        connecting = connecting.user_and_password(user.clone(), password.clone());
    }
    if let Some(token) = &access.token {
        connecting = connecting.token(token.clone());
    }
    if let Some(seed) = &access.nkey_seed {
        connecting = connecting.nkey(seed.clone());
    }
    if let Some(file) = &access.ca_file {
        check_certificates(file).await?;
        connecting = connecting.add_root_certificates(file.clone());
    }
    if let Some((certificate, key)) = &access.client_certificate {
        connecting = connecting.add_client_certificate(certificate.clone(), key.clone());
    }
    Ok(connecting)
}

/// A file without certificates would otherwise be reported as an untrusted server.
async fn check_certificates(file: &Path) -> Result<(), InboxError> {
    let path = file.to_owned();
    let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await;
    let read = read.map_err(std::io::Error::other).and_then(|read| read);
    let text = read.map_err(|error| file_error("certificates", file, error))?;
    if text.contains("-----BEGIN CERTIFICATE-----") {
        return Ok(());
    }
    let message = format!("there is no certificate in {}", file.display());
    Err(InboxError::new(InboxErrorKind::Storage, message))
}

/// `logged` holds the errors since it connected or disconnected: each attempt fails in the same way,
/// and that is logged once.
fn log(location: &str, event: &Event, logged: &Mutex<HashSet<String>>) {
    let mut logged = logged.lock().unwrap_or_else(PoisonError::into_inner);
    match event {
        Event::Connected => {
            logged.clear();
            tracing::info!(inbox = location, "connected to NATS");
        }
        Event::Disconnected => {
            logged.clear();
            tracing::warn!(
                inbox = location,
                "disconnected from NATS; nothing is stored or dispatched until it reconnects"
            );
        }
        Event::SlowConsumer(_) | Event::ServerError(_) | Event::ClientError(_) => {
            let text = event.to_string();
            if logged.len() < MAX_LOGGED && logged.insert(text.clone()) {
                tracing::warn!(inbox = location, "NATS: {text}");
            }
        }
        Event::LameDuckMode | Event::Draining | Event::Closed => {
            tracing::debug!(inbox = location, "NATS: {event}");
        }
    }
}

/// Whether a retry would fail in the same way.
fn is_permanent(error: &ConnectError) -> bool {
    matches!(
        error.kind(),
        ConnectErrorKind::ServerParse
            | ConnectErrorKind::Authentication
            | ConnectErrorKind::AuthorizationViolation
            | ConnectErrorKind::Tls
    ) || is_tls_failure(error)
}

/// Whether a handshake failed: on a certificate, or because the server does not speak TLS.
fn is_tls_failure(error: &ConnectError) -> bool {
    let logged = error
        .source()
        .and_then(|source| source.downcast_ref::<std::io::Error>());
    logged.is_some_and(|logged| logged.kind() == std::io::ErrorKind::InvalidData)
}

fn connect_error(address: &Address, error: ConnectError) -> InboxError {
    use ConnectErrorKind as Kind;
    match error.kind() {
        Kind::Authentication | Kind::AuthorizationViolation => InboxError::new(
            InboxErrorKind::Access,
            format!("the servers of the inbox at {address} refuse the login"),
        )
        .with_source(error),
        _ if address.is_tls() => cannot("connect with TLS to", address, error),
        _ => cannot("connect to", address, error),
    }
}

fn file_error(what: &str, file: &Path, error: std::io::Error) -> InboxError {
    let message = format!("cannot read the {what} in {}", file.display());
    InboxError::new(InboxErrorKind::Storage, message).with_source(error)
}

/// A step that failed at the servers.
pub(super) fn cannot(
    step: &str,
    location: &impl fmt::Display,
    error: impl Into<Box<dyn Error + Send + Sync>>,
) -> InboxError {
    InboxError::new(
        InboxErrorKind::Storage,
        format!("cannot {step} the inbox at {location}"),
    )
    .with_source(error)
}

/// How many different errors of one connection are logged.
const MAX_LOGGED: usize = 100;

const PAUSE: Duration = Duration::from_millis(500);
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// A server that answers none of three is left: far sooner than with the two minutes that a client
/// takes by default.
const PING_INTERVAL: Duration = Duration::from_secs(3);

/// For one server, before the next is tried.
const SERVER_TIMEOUT: Duration = Duration::from_secs(3);

const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
