//! [`Printing`] and [`Log`]: how events are printed, and what is logged.

use clap::{Args, ValueEnum};
use serde::Deserialize;

/// How events are printed.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Printing {
    /// Print events as one JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
    /// Print whole links; by default their query strings, which grant access, are hidden
    #[arg(long, conflicts_with = "json")]
    pub(crate) full: bool,
    /// Print no lines about deliveries and attempts on a terminal; what a handler prints stays
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// What is logged, and how.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct Log {
    /// Format of the log on standard error [default: text]
    #[arg(long, value_name = "FORMAT", env = "HEYGEN_WEBHOOKS_LOG_FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
    /// Log level: error, warn, info, debug, or a `tracing` filter [default: info]
    #[arg(long, value_name = "FILTER", env = "HEYGEN_WEBHOOKS_LOG")]
    pub(crate) log: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Lines for people
    #[default]
    Text,
    /// One JSON object per line
    Json,
}
