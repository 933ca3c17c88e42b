//! What is printed, and what is logged.

use clap::{Args, ValueEnum};
use serde::Deserialize;

/// How events are printed.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Printing {
    /// Print events as JSON, one a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Print links whole; otherwise their query strings, which give access, are cut off
    #[arg(long, conflicts_with = "json")]
    pub(crate) full: bool,
}

/// What is logged, and how.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct Log {
    /// How the log on standard error is written [default: text]
    #[arg(long, value_name = "FORMAT", env = "HEYGEN_WEBHOOKS_LOG_FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
    /// What is logged: error, warn, info, debug, or a filter as `tracing` reads it [default: info]
    #[arg(long, value_name = "FILTER", env = "HEYGEN_WEBHOOKS_LOG")]
    pub(crate) log: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Lines for people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}
