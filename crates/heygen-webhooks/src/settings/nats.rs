//! How an inbox on NATS JetStream is reached, and what its streams are like. Who has none need not read of it: `-h` leaves it out.

#![expect(
    clippy::doc_markdown,
    reason = "these comments are printed as help, where a backtick would only be in the way"
)]

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

use crate::settings::span::{Size, Span};

/// How the servers of `--inbox nats://…` are told who we are.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[command(next_help_heading = "NATS (--inbox nats://…)", mut_args(|arg| arg.hide_short_help(true)))]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct NatsAccess {
    /// File of credentials, as `nsc` writes it
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_NATS_CREDS")]
    pub(crate) nats_creds: Option<PathBuf>,
    /// File with the seed of an nkey (SU…)
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_NATS_NKEY_FILE")]
    pub(crate) nats_nkey_file: Option<PathBuf>,
    /// Name of a user; the password is in --nats-password-file
    #[arg(long, value_name = "NAME", env = "HEYGEN_WEBHOOKS_NATS_USER")]
    pub(crate) nats_user: Option<String>,
    /// File with that user's password
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_NATS_PASSWORD_FILE")]
    pub(crate) nats_password_file: Option<PathBuf>,
    /// File with a token
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_NATS_TOKEN_FILE")]
    pub(crate) nats_token_file: Option<PathBuf>,
    /// PEM file of the certificate authority of the servers [default: those of the system]
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_NATS_CA")]
    pub(crate) nats_ca: Option<PathBuf>,
    /// PEM file of our own certificate, where the servers ask for one
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_NATS_CERT")]
    pub(crate) nats_cert: Option<PathBuf>,
    /// PEM file with the key of that certificate
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_NATS_KEY")]
    pub(crate) nats_key: Option<PathBuf>,
    /// What the subjects begin with; one account holds one inbox of each [default: heygen]
    #[arg(long, value_name = "PREFIX", env = "HEYGEN_WEBHOOKS_NATS_SUBJECTS")]
    pub(crate) nats_subjects: Option<String>,
}

/// What the streams are made like, where they are missing; those that are there are never changed.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[command(next_help_heading = "NATS streams, where they have to be made", mut_args(|arg| arg.hide_short_help(true)))]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct NatsStreams {
    /// On how many servers each delivery is kept [default: 3 in a cluster, 1 on a single server]
    #[arg(long, value_name = "COUNT", env = "HEYGEN_WEBHOOKS_REPLICAS")]
    pub(crate) replicas: Option<usize>,
    /// Delete what is older, handled or not, such as 90d [default: never; --keep deletes what is finished]
    #[arg(long, value_name = "SPAN", env = "HEYGEN_WEBHOOKS_MAX_AGE")]
    pub(crate) max_age: Option<Span>,
    /// Refuse deliveries while the stream holds more, such as 100GiB; nothing is deleted for room [default: no limit]
    #[arg(long, value_name = "SIZE", env = "HEYGEN_WEBHOOKS_MAX_BYTES")]
    pub(crate) max_bytes: Option<Size>,
    /// How long the servers know duplicates; each takes memory there. HeyGen sends again for 24 h [default: 25h]
    #[arg(long, value_name = "SPAN", env = "HEYGEN_WEBHOOKS_DUPLICATE_WINDOW")]
    pub(crate) duplicate_window: Option<Span>,
    /// Seconds without a word after which a worker's deliveries go to another; at work its handlers extend it [default: 30]
    #[arg(long, value_name = "SECONDS", env = "HEYGEN_WEBHOOKS_ACK_WAIT")]
    pub(crate) ack_wait: Option<f64>,
}

/// How sure “acknowledged means kept” has to be.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[command(next_help_heading = "NATS promises", mut_args(|arg| arg.hide_short_help(true)))]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct NatsPromise {
    /// Look at the monitoring port of this server whether sync_interval is `always`; may be given several times, once a server
    #[arg(
        long,
        value_name = "URL",
        env = "HEYGEN_WEBHOOKS_NATS_MONITOR",
        value_delimiter = ','
    )]
    pub(crate) nats_monitor: Vec<String>,
    /// Do not start unless version, replicas and sync_interval are seen to keep what was acknowledged
    #[arg(long, env = "HEYGEN_WEBHOOKS_REQUIRE_SYNC")]
    pub(crate) require_sync: bool,
}
