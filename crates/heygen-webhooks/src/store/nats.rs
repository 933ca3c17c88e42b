//! [`Nats`]: how an inbox on JetStream is reached, put together from flags, environment and file; and whether it keeps its promise.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use heygen_inbox::jetstream::{JetStreamInbox, JetStreamOptions};

use crate::failure::Failure;
use crate::settings::nats::{NatsAccess, NatsPromise, NatsStreams};
use crate::settings::origin;
use crate::settings::span::seconds;
use crate::settings::web_address::http_url;
use crate::settings::written;

mod monitor;

/// How an inbox on JetStream is reached. For an inbox in a file it is of no use, and none of its files is read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Nats {
    pub(crate) options: JetStreamOptions,
}

impl Nats {
    /// Reads the secrets themselves, so that a wrong file is reported before anything is started.
    pub(crate) fn of(access: &NatsAccess, streams: &NatsStreams) -> Result<Self, Failure> {
        let mut options = JetStreamOptions::default();
        options.name = "heygen-webhooks".to_owned();
        let to = &mut options.access;
        to.credentials_file = access.nats_creds.clone();
        check_readable("nats-creds", to.credentials_file.as_deref(), CREDENTIALS)?;
        if let Some(file) = &access.nats_nkey_file {
            to.nkey_seed = Some(secret("nats-nkey-file", file, "the seed of an nkey")?);
        }
        if let Some(file) = &access.nats_token_file {
            to.token = Some(secret("nats-token-file", file, "a token")?);
        }
        to.user_and_password = match (&access.nats_user, &access.nats_password_file) {
            (Some(user), Some(file)) => Some((
                user.clone(),
                secret("nats-password-file", file, "a password")?,
            )),
            (None, None) => None,
            (Some(_), None) => {
                return Err(Failure::usage("--nats-user needs --nats-password-file"));
            }
            (None, Some(_)) => {
                return Err(Failure::usage("--nats-password-file needs --nats-user"));
            }
        };
        to.ca_file = access.nats_ca.clone();
        check_readable("nats-ca", to.ca_file.as_deref(), "BEGIN CERTIFICATE")?;
        to.client_certificate = match (&access.nats_cert, &access.nats_key) {
            (Some(certificate), Some(key)) => {
                check_readable("nats-cert", Some(certificate), "BEGIN CERTIFICATE")?;
                check_readable("nats-key", Some(key), "PRIVATE KEY")?;
                Some((certificate.clone(), key.clone()))
            }
            (None, None) => None,
            _ => return Err(Failure::usage("--nats-cert and --nats-key need each other")),
        };
        let to = &mut options.streams;
        if let Some(prefix) = &access.nats_subjects {
            to.subject_prefix = subject_prefix(prefix)?;
        }
        to.replicas = streams.replicas;
        if to.replicas == Some(0) {
            return Err(Failure::usage("replicas must be at least 1"));
        }
        to.max_age = streams.max_age.map(|span| span.0);
        to.max_bytes = streams.max_bytes.map(|size| size.0);
        if let Some(window) = streams.duplicate_window {
            to.duplicate_window = window.0;
        }
        if let Some(given) = streams.ack_wait {
            options.ack_wait = seconds("ack-wait", given, Some(1.0))?;
        }
        Ok(Self { options })
    }
}

/// How sure it has to be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Promise {
    monitors: Vec<String>,
    is_required: bool,
}

impl Promise {
    pub(crate) fn of(options: NatsPromise) -> Result<Self, Failure> {
        for url in &options.nats_monitor {
            // The scheme may be left out.
            match url.contains("://") {
                true => http_url("nats-monitor", url)?,
                false => http_url("nats-monitor", &format!("http://{url}"))?,
            };
        }
        Ok(Self {
            monitors: options.nats_monitor,
            is_required: options.require_sync,
        })
    }

    /// Warns of what cannot keep the promise; refuses to start where that was asked for.
    pub(crate) async fn check(&self, inbox: &JetStreamInbox) -> Result<(), Failure> {
        for difference in inbox.config_drift() {
            tracing::warn!("the existing stream differs and is not changed: {difference}");
        }
        let mut warnings: Vec<String> = Vec::new();
        for warning in inbox.durability_warnings() {
            match warning.is_about_loss() {
                true => warnings.push(warning.to_string()),
                false => tracing::warn!("{warning}"),
            }
        }
        warnings.extend(monitor::warnings(&self.monitors).await);
        if self.is_required && !warnings.is_empty() {
            return Err(anyhow::anyhow!(
                "acknowledged deliveries may be lost, and --require-sync is given: {}; see docs/scale-out.md for the server settings",
                warnings.join("; ")
            )
            .into());
        }
        for warning in warnings {
            tracing::warn!("acknowledged deliveries may be lost: {warning}");
        }
        Ok(())
    }
}

/// A secret alone in a file.
fn secret(option: &str, file: &Path, what: &str) -> Result<String, Failure> {
    let text = written::read_of(option, &format!("{what} from"), file)?;
    let option = origin::name(option);
    let place = file.display().to_string();
    let text = written::value(&text, written::nothing_is_certain, what, &place);
    if text.is_empty() {
        return Err(anyhow::anyhow!("{option}: {place} is empty: it must hold {what}").into());
    }
    Ok(text.to_owned())
}

/// Sees that a file which the client of NATS reads itself can be read, and is of the kind that holds `mark`.
fn check_readable(option: &str, file: Option<&Path>, mark: &str) -> Result<(), Failure> {
    let Some(file) = file else { return Ok(()) };
    let option = origin::name(option);
    let cannot_read = || format!("{option}: cannot read {}", file.display());
    let text = written::read(file).with_context(cannot_read)?;
    // In a file of credentials it does no harm.
    let is_pem = mark != CREDENTIALS;
    if is_pem
        && fs::read(file)
            .with_context(cannot_read)?
            .starts_with(b"\xef\xbb\xbf")
    {
        return Err(anyhow::anyhow!(
            "{option}: {} starts with a byte order mark, which hides its first line from the NATS client: save it without",
            file.display()
        )
        .into());
    }
    match text.contains(mark) {
        true => Ok(()),
        false => {
            Err(anyhow::anyhow!("{option}: no line with `{mark}` in {}", file.display()).into())
        }
    }
}

fn subject_prefix(prefix: &str) -> Result<String, Failure> {
    let is_token = |token: &str| {
        !token.is_empty()
            && token
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    match prefix.split('.').all(is_token) && prefix.len() <= 100 {
        true => Ok(prefix.to_owned()),
        false => Err(Failure::usage(format!(
            "nats-subjects `{prefix}` is not a prefix: use letters, digits, `-` and `_`, separated by dots, such as acme.heygen"
        ))),
    }
}

/// What marks the parts of a file of credentials.
const CREDENTIALS: &str = "BEGIN";
