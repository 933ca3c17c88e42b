//! The options of `dev`.

use std::path::PathBuf;

use crate::settings::api::ApiOptions;
use crate::settings::file::ConfigFile;
use crate::settings::handlers::{ForwardSecretFile, Handlers};
use crate::settings::options::Options;
use crate::settings::output::{Log, Printing};
use crate::settings::secrets::SecretFiles;
use crate::settings::when::When;
use clap::Args;

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
#[command(mut_arg("secret_file", |arg| arg.help(
    "File with a signing secret a line, as for `serve`: nothing that is forwarded \
        here is signed with one of these"
)))]
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
    #[command(flatten)]
    pub(crate) secrets: Options<SecretFiles>,
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
