//! The options of `dev`.

use std::path::PathBuf;

use clap::Args;

use super::{ApiOptions, ConfigFile, HandingOut, LogFormat};
use crate::settings::when::When;

/// Work locally on what receives events, without a tunnel or a public address
///
/// Asks HeyGen's log of events every few seconds, keeps what is new in an inbox of its own and hands it out exactly as `serve`
/// would: forwarded with a signature, given to a program, or printed. Nothing has to be registered at HeyGen for it, and
/// nothing reaches this machine from outside.
///
/// The log holds the events that HeyGen says it has delivered. Whether it has those for which no endpoint is registered, or
/// which nobody took, HeyGen does not document; where nothing comes, register any endpoint that answers, and look with
/// `heygen-webhooks events`. Events come later than by POST: after the interval, and when the log has them.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  HEYGEN_API_KEY=… heygen-webhooks dev --forward http://localhost:3000/hook
  HEYGEN_API_KEY=… heygen-webhooks dev --since 1h
  HEYGEN_API_KEY=any heygen-webhooks dev --base-url http://127.0.0.1:8090 --exec ./handle-event

The application verifies forwarded deliveries with a secret that is made at the first start; HeyGen's own is not needed:
  HEYGEN_WEBHOOK_SECRET=$(heygen-webhooks secrets forward --inbox ./heygen-dev.db --create) ./your-application")]
pub(crate) struct Dev {
    /// Hand out what HeyGen made since: a time (2026-11-01T12:00:00Z) or how long ago (30m, 2h) [default: now]
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<When>,
    /// Seconds between two questions; HeyGen's rate limit is kept to, whatever stands here
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub(crate) interval: f64,
    /// File that keeps the deliveries; made when there is none
    #[arg(
        long,
        value_name = "FILE",
        default_value = "./heygen-dev.db",
        env = "HEYGEN_WEBHOOKS_DEV_INBOX"
    )]
    pub(crate) inbox: PathBuf,
    /// File with a signing secret a line, as for `serve`: nothing that is forwarded here is signed with one of these
    #[arg(
        long,
        value_name = "FILE",
        env = "HEYGEN_WEBHOOKS_SECRET_FILE",
        value_delimiter = ','
    )]
    pub(crate) secret_file: Vec<PathBuf>,
    /// Print events as JSON, one a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Print links whole; otherwise their query strings, which give access, are cut off
    #[arg(long, conflicts_with = "json")]
    pub(crate) full: bool,
    /// How the log on standard error is written [default: text]
    #[arg(long, value_name = "FORMAT", env = "HEYGEN_WEBHOOKS_LOG_FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
    /// What is logged: error, warn, info, debug, or a filter as `tracing` reads it [default: info]
    #[arg(long, value_name = "FILTER", env = "HEYGEN_WEBHOOKS_LOG")]
    pub(crate) log: Option<String>,
    #[command(flatten)]
    pub(crate) handing_out: HandingOut,
    #[command(flatten)]
    pub(crate) api: ApiOptions,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
}
