//! The options of `work`.

use std::path::PathBuf;

use clap::Args;

use super::{ConfigFile, HandingOut, LogFormat, NatsAccess, NatsPromise, NatsStreams};

/// Hand out what receivers keep on NATS, on this machine too or on this one alone
///
/// Any number of workers share one inbox on streams: each delivery is with one of them at a time, until it says done. When a worker
/// dies in the middle, what it had goes to another after the ack wait; while its handler is at work, that is extended. Handlers, rules,
/// retries and dead letters are those of `serve`, which works too unless it is told not to with --no-work.
///
/// Ends on SIGTERM and Ctrl-C after what is with a handler has ended, for 10 seconds at the most.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks work --inbox nats://a,b,c/HEYGEN --forward http://localhost:3000/heygen --forward-secret-file forward-secret
  heygen-webhooks work --inbox nats://a,b,c/HEYGEN --nats-creds worker.creds --exec ./handle-event
  heygen-webhooks work --inbox nats://127.0.0.1:4222/HEYGEN

What is forwarded is signed with --forward-secret-file, the same for all workers. Where that is one of
HEYGEN_WEBHOOK_SECRET or --secret-file, only what HeyGen signed is signed.
The configuration file is that of `serve`.")]
pub(crate) struct Work {
    /// The streams: nats://HOST:4222[,HOST:4222...]/STREAM; --help shows how to log in, and more
    /// [env: HEYGEN_WEBHOOKS_INBOX]
    #[arg(long, value_name = "URL")]
    pub(crate) inbox: Option<PathBuf>,
    /// File with a signing secret a line, as for `serve`
    #[arg(
        long,
        value_name = "FILE",
        env = "HEYGEN_WEBHOOKS_SECRET_FILE",
        value_delimiter = ','
    )]
    pub(crate) secret_file: Vec<PathBuf>,
    /// Address and port of /healthz, /readyz and /metrics, or `off` [default: 127.0.0.1:9180, where that is free]
    #[arg(long, value_name = "ADDRESS", env = "HEYGEN_WEBHOOKS_ADMIN")]
    pub(crate) admin: Option<String>,
    /// Name that the admin listener is asked under, beside addresses and localhost, such as that of a container or a service;
    /// may be given several times
    #[arg(
        long,
        value_name = "NAME",
        env = "HEYGEN_WEBHOOKS_ADMIN_HOST",
        value_delimiter = ','
    )]
    pub(crate) admin_host: Vec<String>,
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
    pub(crate) config: ConfigFile,
    #[command(flatten)]
    pub(crate) handing_out: HandingOut,
    #[command(flatten)]
    pub(crate) nats_access: NatsAccess,
    #[command(flatten)]
    pub(crate) nats_streams: NatsStreams,
    #[command(flatten)]
    pub(crate) nats_promise: NatsPromise,
}
