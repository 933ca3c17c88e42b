//! Reaching the servers, and saying what went wrong there.

use std::collections::HashSet;
use std::error::Error;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_nats::jetstream::Context;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions, Event};
use tokio::time::Instant;

use super::next_server::NextServer;
use super::{Address, JetStreamOptions};
use crate::{InboxError, InboxErrorKind};

/// When the present connection was made.
#[derive(Clone, Debug)]
pub(super) struct ConnectedAt(Arc<Mutex<SystemTime>>);

impl ConnectedAt {
    pub(super) fn get(&self) -> SystemTime {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = SystemTime::now();
    }
}

impl Default for ConnectedAt {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(SystemTime::now())))
    }
}

/// Connects, trying for as long as the options say. Later it reconnects by itself, for ever.
pub(super) async fn connect(
    address: &Address,
    options: &JetStreamOptions,
) -> Result<(Client, Context, ConnectedAt), InboxError> {
    let servers: Vec<String> = address.servers().collect();
    let deadline = Instant::now() + options.connect_time;
    let mut is_told = false;
    let connected_at = ConnectedAt::default();
    let client = loop {
        let ways = ways(address, options, &connected_at).await?;
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
                        options.connect_time
                    );
                    is_told = true;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    };
    let context = ContextBuilder::new()
        .timeout(options.answer_time)
        .ack_timeout(options.answer_time)
        .max_ack_inflight(options.queue_capacity.max(1).saturating_mul(2))
        .build(client.clone());
    Ok((client, context, connected_at))
}

async fn ways(
    address: &Address,
    options: &JetStreamOptions,
    connected_at: &ConnectedAt,
) -> Result<ConnectOptions, InboxError> {
    let connected_at = connected_at.clone();
    let access = &options.access;
    let place = address.to_string();
    let next = NextServer::default();
    let told = Arc::new(Mutex::new(HashSet::new()));
    let mut ways = ConnectOptions::new()
        .name(&options.name)
        .connection_timeout(ONE_SERVER)
        .ping_interval(PING)
        .request_timeout(Some(options.answer_time))
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
                connected_at.set();
            }
            let (place, told) = (place.clone(), Arc::clone(&told));
            async move { tell(&place, &event, &told) }
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

/// A file without any would otherwise only be told as one that trusts nobody.
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

/// `told` is what went wrong since the connection was made or lost: each attempt fails in the same way, and that is told once.
fn tell(place: &str, event: &Event, told: &Mutex<HashSet<String>>) {
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
                "the connection to NATS is lost; nothing is taken in or handed out until it is back"
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

/// Whether a handshake failed: on a certificate, or because the other side does not speak TLS at all.
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

/// A server that answers none of three is left: far sooner than with the two minutes that a client takes by default.
const PING: Duration = Duration::from_secs(3);

/// For one server, before the next is tried.
const ONE_SERVER: Duration = Duration::from_secs(3);
