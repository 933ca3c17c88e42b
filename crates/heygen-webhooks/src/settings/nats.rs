//! The options of an inbox on NATS JetStream. They are hidden from every help but `help nats`, so that no one else
//! reads past them.

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

use crate::settings::span::{Size, Span};

/// How to log in at the servers of `--inbox nats://…`.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[command(next_help_heading = "Log in", mut_args(|arg| arg.hide(true)))]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct NatsAccess {
    /// Credentials file, as written by `nsc`
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_NATS_CREDS")]
    pub(crate) nats_creds: Option<PathBuf>,
    /// File with an nkey seed (SU…)
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_NATS_NKEY_FILE")]
    pub(crate) nats_nkey_file: Option<PathBuf>,
    /// User name; its password is in --nats-password-file
    #[arg(long, value_name = "NAME", env = "HEYGEN_WEBHOOKS_NATS_USER")]
    pub(crate) nats_user: Option<String>,
    /// File with the password of --nats-user
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_NATS_PASSWORD_FILE")]
    pub(crate) nats_password_file: Option<PathBuf>,
    /// File with a token
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_NATS_TOKEN_FILE")]
    pub(crate) nats_token_file: Option<PathBuf>,
    /// PEM file with the certificate authority of the servers [default: those of the system]
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_NATS_CA")]
    pub(crate) nats_ca: Option<PathBuf>,
    /// PEM file with the client certificate, if the servers require one
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_NATS_CERT")]
    pub(crate) nats_cert: Option<PathBuf>,
    /// PEM file with the key of --nats-cert
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_NATS_KEY")]
    pub(crate) nats_key: Option<PathBuf>,
    /// Prefix of the subjects; an account can hold one inbox per prefix [default: heygen]
    #[arg(long, value_name = "PREFIX", env = "HEYGEN_WEBHOOKS_NATS_SUBJECTS")]
    pub(crate) nats_subjects: Option<String>,
}

/// How missing streams are created; existing ones are never changed.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[command(next_help_heading = "Create missing streams (`serve`, `work`)", mut_args(|arg| arg.hide(true)))]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct NatsStreams {
    /// Number of servers that store each delivery [default: 3 in a cluster, 1 on a single server]
    #[arg(long, value_name = "COUNT", env = "HEYGEN_WEBHOOKS_REPLICAS")]
    pub(crate) replicas: Option<usize>,
    /// Delete deliveries older than this, in any state, such as 90d [default: never; --keep deletes
    /// finished ones]
    #[arg(long, value_name = "SPAN", env = "HEYGEN_WEBHOOKS_MAX_AGE")]
    pub(crate) max_age: Option<Span>,
    /// Reject deliveries while the stream is larger than this, such as 100GiB; nothing is deleted to
    /// make room [default: no limit]
    #[arg(long, value_name = "SIZE", env = "HEYGEN_WEBHOOKS_MAX_BYTES")]
    pub(crate) max_bytes: Option<Size>,
    /// How long the servers recognise duplicates, which takes memory there; HeyGen retries for 24 h
    /// [default: 25h]
    #[arg(long, value_name = "SPAN", env = "HEYGEN_WEBHOOKS_DUPLICATE_WINDOW")]
    pub(crate) duplicate_window: Option<Span>,
    /// Seconds after which the deliveries of a silent worker go to another; running handlers extend it
    /// [default: 30]
    #[arg(long, value_name = "SECONDS", env = "HEYGEN_WEBHOOKS_ACK_WAIT")]
    pub(crate) ack_wait: Option<f64>,
}

/// How thoroughly durability is checked before the start.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[command(next_help_heading = "Check durability (`serve`, `work`)", mut_args(|arg| arg.hide(true)))]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct NatsPromise {
    /// Check at the monitoring port of this server that sync_interval is `always`; repeatable, once per
    /// server
    #[arg(
        long,
        value_name = "URL",
        env = "HEYGEN_WEBHOOKS_NATS_MONITOR",
        value_delimiter = ','
    )]
    pub(crate) nats_monitor: Vec<String>,
    /// Refuse to start unless version, replicas and sync_interval are known to be durable
    #[arg(long, env = "HEYGEN_WEBHOOKS_REQUIRE_SYNC")]
    pub(crate) require_sync: bool,
}
