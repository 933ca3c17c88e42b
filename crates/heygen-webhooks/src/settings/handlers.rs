//! What is done with deliveries: the options that `serve`, `work` and `dev` share.

#![expect(
    clippy::doc_markdown,
    reason = "these comments are printed as help, where a backtick would only be in the way"
)]

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

use crate::settings::rule::Rule;
use crate::settings::span::Span;

/// What is done with a delivery.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[command(next_help_heading = "Handing out")]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct Handlers {
    /// POST each delivery to this address, signed as HeyGen signs but with another secret: 2xx is done, 410 dead, anything else is tried again
    #[arg(long, value_name = "URL", env = "HEYGEN_WEBHOOKS_FORWARD", conflicts_with_all = ["exec", "print"])]
    pub(crate) forward: Option<String>,
    /// Run this program for each delivery, the body on its standard input: exit 0 is done, 65 dead, anything else is tried
    /// again; no shell. It finds HEYGEN_EVENT_TYPE, HEYGEN_EVENT_ID, HEYGEN_SUBJECT_ID (each only where the event has one),
    /// HEYGEN_DELIVERY_ID, HEYGEN_ATTEMPT, HEYGEN_AUTHENTICITY and HEYGEN_RECEIVED_AT in its environment, and no other
    /// HEYGEN_ or NATS_ variable. Takes all that follows, so it comes last
    #[arg(
        long,
        value_name = "CMD",
        num_args = 1..,
        allow_hyphen_values = true,
        conflicts_with = "print"
    )]
    pub(crate) exec: Vec<String>,
    /// Print a line for each delivery; the default
    #[arg(long)]
    pub(crate) print: bool,
    /// Do this with events of that name, `*` for any letters; several, the first that fits is taken:
    /// PATTERN=forward:URL, PATTERN=exec:PROGRAM ARGUMENTS, PATTERN=print, PATTERN=ignore
    #[arg(long, value_name = "RULE")]
    pub(crate) on: Vec<Rule>,
    /// Hand out what is about one subject (video id and so on) one at a time, in the order received; only with an
    /// inbox in a file
    #[arg(long)]
    pub(crate) ordered: bool,
    /// How many each destination gets at a time: each rule of --on is one, and what no rule takes is another [default: 16]
    #[arg(long, value_name = "COUNT", env = "HEYGEN_WEBHOOKS_CONCURRENCY")]
    pub(crate) concurrency: Option<usize>,
    /// Seconds a delivery may take before that counts as a failure [default: 60]
    #[arg(long, value_name = "SECONDS", env = "HEYGEN_WEBHOOKS_HANDLER_TIME")]
    pub(crate) handler_timeout: Option<f64>,
    /// Seconds to wait after the first failure; twice as long after each more [default: 5]
    #[arg(
        long,
        value_name = "SECONDS",
        env = "HEYGEN_WEBHOOKS_RETRY_INITIAL_DELAY"
    )]
    pub(crate) retry_initial_delay: Option<f64>,
    /// Seconds to wait at the longest [default: 3600]
    #[arg(long, value_name = "SECONDS", env = "HEYGEN_WEBHOOKS_RETRY_MAX_DELAY")]
    pub(crate) retry_max_delay: Option<f64>,
    /// How long a delivery is tried from its first attempt, as 90s, 30m, 24h or 7d, before it is dead; the last attempt is made when
    /// the time is over. While this program does not run, no time is counted [default: 24h]
    #[arg(long, value_name = "SPAN", env = "HEYGEN_WEBHOOKS_RETRY_MAX_ELAPSED")]
    pub(crate) retry_max_elapsed: Option<Span>,
    /// After how many attempts a delivery is dead, if --retry-max-elapsed is not over before. An attempt answered with Retry-After,
    /// which pauses its destination, does not count [default: no limit]
    #[arg(long, value_name = "COUNT", env = "HEYGEN_WEBHOOKS_RETRY_MAX_ATTEMPTS")]
    pub(crate) retry_max_attempts: Option<u32>,
}

/// What forwarded deliveries are signed with.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[command(next_help_heading = "Handing out")]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct ForwardSecretFile {
    /// File with the secret that forwarded deliveries are signed with; needed with an inbox on NATS [default: one that is made
    /// beside the inbox; `heygen-webhooks secrets forward` shows it]
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_FORWARD_SECRET_FILE")]
    pub(crate) forward_secret_file: Option<PathBuf>,
}
