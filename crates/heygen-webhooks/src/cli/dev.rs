//! The options of `dev`.

use std::path::PathBuf;

use crate::settings::admin::{AdminListener, DashboardAccess};
use crate::settings::api::ApiOptions;
use crate::settings::file::ConfigFile;
use crate::settings::handlers::{ForwardSecretFile, Handlers};
use crate::settings::options::Options;
use crate::settings::output::{Log, Printing};
use crate::settings::secrets::SecretFiles;
use crate::settings::when::When;
use clap::Args;

/// Develop a handler locally by polling HeyGen's event log
///
/// Needs no public address. Polls HeyGen's event log every few seconds, stores new events in an inbox of its own, and
/// dispatches them exactly as `serve` does: forwards them signed, runs a program, or prints them.
/// Nothing is registered at HeyGen, and nothing reaches this machine from outside.
///
/// HeyGen documents that the log holds delivered events. It does not document whether it holds
/// events that no endpoint was registered for, or that no endpoint accepted. If no events arrive,
/// register any endpoint that answers, and check with `heygen-webhooks events`. Events arrive later
/// than by POST: after the polling interval, once the log has them.
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  HEYGEN_API_KEY=… heygen-webhooks dev --forward http://localhost:3000/hook
  HEYGEN_API_KEY=… heygen-webhooks dev --since 1h
  HEYGEN_API_KEY=any heygen-webhooks dev --base-url http://127.0.0.1:8090",
    after_help = "Your application verifies forwarded deliveries with a secret that the first start creates; it does not \
            need HeyGen's:
  HEYGEN_WEBHOOK_SECRET=$(heygen-webhooks secrets forward \\
    --inbox ./heygen-dev.db --create) ./your-application

The inbox is a file of its own. To look into it, name it:
  heygen-webhooks inbox list --inbox ./heygen-dev.db"
)]
#[command(mut_arg("secret_file", |arg| arg.help(
    "File with one signing secret per line, as for `serve`; `dev` signs no forwarded delivery with one of these"
)))]
pub(crate) struct Dev {
    /// Start with events created since: a time (2026-11-01T12:00:00Z) or an age (30m, 2h)
    /// [default: now]
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<When>,
    /// Polling interval in seconds; HeyGen's rate limit is respected in any case
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub(crate) interval: f64,
    /// File that stores the deliveries; created if missing
    #[arg(
        long,
        value_name = "FILE",
        default_value = "./heygen-dev.db",
        env = "HEYGEN_WEBHOOKS_DEV_INBOX"
    )]
    pub(crate) inbox: PathBuf,
    #[command(flatten)]
    pub(crate) secrets: Options<SecretFiles>,
    #[command(flatten)]
    pub(crate) admin: Options<AdminListener>,
    #[command(flatten)]
    pub(crate) dashboard: Options<DashboardAccess>,
    #[command(flatten)]
    pub(crate) printing: Options<Printing>,
    #[command(flatten)]
    pub(crate) log: Options<Log>,
    #[command(flatten)]
    pub(crate) handlers: Options<Handlers>,
    #[command(flatten)]
    pub(crate) forward_secret: Options<ForwardSecretFile>,
    #[command(flatten)]
    pub(crate) api: Options<ApiOptions>,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
}
