//! The options of `serve`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ApiOptions, HandingOut, NatsAccess, NatsPromise, NatsStreams};
use crate::settings::span::{Size, Span};

/// Receive deliveries: verify, keep, answer, and hand out until your code says done
///
/// Answers HeyGen's probe at once, whether there is a secret or not. A delivery is checked against every secret, kept in
/// the inbox file, and only then answered 200; then it is printed, forwarded to an application or given to a program, again
/// and again until that says done. Without a secret deliveries are answered 503, so that
/// HeyGen sends them again while you configure one.
///
/// Secrets come from HEYGEN_WEBHOOK_SECRET (several separated by commas) and from files, which are read again on SIGHUP, as
/// is the certificate. Ends on SIGTERM and Ctrl-C after what is under way has been kept and answered.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks serve
  HEYGEN_WEBHOOK_SECRET=whsec_… heygen-webhooks serve --listen 0.0.0.0:8080
  heygen-webhooks serve --secret-file /run/secrets/heygen --inbox /var/lib/heygen/inbox.db --json
  heygen-webhooks serve --forward http://localhost:3000/heygen --keep 30d
  heygen-webhooks serve --on '*.fail=exec:/usr/local/bin/notify' --on '*=forward:http://localhost:3000/heygen'
  heygen-webhooks serve --exec ./handle-event --verbose
  HEYGEN_API_KEY=… heygen-webhooks serve --secret-file /run/secrets/heygen --backfill
  heygen-webhooks serve --sandbox
  HEYGEN_API_KEY=… heygen-webhooks serve --public-url https://hooks.example.com
  heygen-webhooks serve --listen 0.0.0.0:443 --tls-cert fullchain.pem --tls-key privkey.pem
  heygen-webhooks serve --config heygen-webhooks.toml
  heygen-webhooks serve --no-work --inbox nats://a,b,c/HEYGEN --nats-creds receiver.creds

A configuration file holds the long names of the options, all but --sandbox, --no-work,
--rotate-secret, --deregister-on-exit and --config. A flag comes before the environment, and the
environment before the file, which the other commands read too:
  listen = \"0.0.0.0:8080\"
  inbox = \"/var/lib/heygen/inbox.db\"
  secret-file = [\"/run/secrets/heygen\"]
  public-url = \"https://hooks.example.com\"
  events = [\"avatar_video.success\", \"avatar_video.fail\"]
  max-body-bytes = 1048576
  forward = \"http://localhost:3000/heygen\"
  keep = \"30d\"
  [[on]]
  event = \"*.fail\"
  exec = [\"/usr/local/bin/notify\", \"--loud\"]")]
pub(crate) struct Serve {
    /// Address and port to listen on; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", env = "HEYGEN_WEBHOOKS_LISTEN")]
    pub(crate) listen: Option<String>,
    /// Path that deliveries come to [default: /webhooks/heygen]
    #[arg(long, value_name = "PATH", env = "HEYGEN_WEBHOOKS_PATH")]
    pub(crate) path: Option<String>,
    /// File that keeps the deliveries, made when there is none; or nats://HOST:4222[,HOST:4222...]/STREAM for more than one
    /// machine, for which --help shows more options [env: HEYGEN_WEBHOOKS_INBOX] [default: ./heygen-inbox.db]
    #[arg(long, value_name = "FILE|URL")]
    pub(crate) inbox: Option<PathBuf>,
    /// File with a signing secret a line; may be given several times
    #[arg(
        long,
        value_name = "FILE",
        env = "HEYGEN_WEBHOOKS_SECRET_FILE",
        value_delimiter = ','
    )]
    pub(crate) secret_file: Vec<PathBuf>,
    /// File with a token a line: posts to PATH/callbacks/TOKEN are taken without a signature, for `callback_url`
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_CALLBACK_TOKEN_FILE")]
    pub(crate) callback_token_file: Option<PathBuf>,
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
    /// Configuration file [default: ./heygen-webhooks.toml where it exists]
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Take in from HeyGen's log of events what the inbox lacks: at the start, and then at intervals; needs an API key
    #[arg(long)]
    pub(crate) backfill: bool,
    /// Seconds between two looks at that log [default: 3600]
    #[arg(
        long,
        value_name = "SECONDS",
        env = "HEYGEN_WEBHOOKS_BACKFILL_INTERVAL"
    )]
    pub(crate) backfill_interval: Option<f64>,
    /// Receive only; `work` hands out, here or on other machines. Only with an inbox on NATS
    #[arg(long, conflicts_with_all = ["forward", "exec", "print", "on", "ordered", "sandbox"])]
    pub(crate) no_work: bool,
    #[command(flatten)]
    pub(crate) tls: TlsOptions,
    #[command(flatten)]
    pub(crate) handing_out: HandingOut,
    #[command(flatten)]
    pub(crate) keeping: Keeping,
    #[command(flatten)]
    pub(crate) registration: RegistrationOptions,
    #[command(flatten)]
    pub(crate) limits: LimitOptions,
    #[command(flatten)]
    pub(crate) api: ApiOptions,
    #[command(flatten)]
    pub(crate) nats_access: NatsAccess,
    #[command(flatten)]
    pub(crate) nats_streams: NatsStreams,
    #[command(flatten)]
    pub(crate) nats_promise: NatsPromise,
}

/// What encrypts connections, where no reverse proxy does.
#[derive(Args, Debug)]
#[command(next_help_heading = "TLS")]
pub(crate) struct TlsOptions {
    /// Serve https with the certificates of this PEM file, the server's own first; read again on SIGHUP [default: plain http]
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_TLS_CERT")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// PEM file with the key of that certificate
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_TLS_KEY")]
    pub(crate) tls_key: Option<PathBuf>,
}

/// How long what is finished is kept, and how much of what was turned away.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Keeping")]
pub(crate) struct Keeping {
    /// Delete what is finished and older than this, such as 30d; what waits is never deleted [default: keep everything]
    #[arg(long, value_name = "SPAN", env = "HEYGEN_WEBHOOKS_KEEP")]
    pub(crate) keep: Option<Span>,
    /// Delete the oldest of what is finished while the inbox holds more than this, such as 10GiB [default: no limit]
    #[arg(long, value_name = "SIZE", env = "HEYGEN_WEBHOOKS_KEEP_BYTES")]
    pub(crate) keep_bytes: Option<Size>,
    /// Keep so many of the posts that were turned away, for `inbox rejected`; 0 for none [default: 1000]
    #[arg(long, value_name = "COUNT", env = "HEYGEN_WEBHOOKS_REJECTED_COUNT")]
    pub(crate) rejected_count: Option<usize>,
    /// Keep at most so much of them; 0 for none [default: 64MiB]
    #[arg(long, value_name = "SIZE", env = "HEYGEN_WEBHOOKS_REJECTED_BYTES")]
    pub(crate) rejected_bytes: Option<Size>,
}

/// How HeyGen is told where to send.
#[derive(Args, Debug)]
#[command(next_help_heading = "Registration at HeyGen")]
pub(crate) struct RegistrationOptions {
    /// Register this address at HeyGen, or find it there, and keep its secret beside the inbox; a path is added when it has none
    #[arg(long, value_name = "URL", env = "HEYGEN_WEBHOOKS_PUBLIC_URL")]
    pub(crate) public_url: Option<String>,
    /// Subscribe to these events, separated by commas, `*` for any letters in a known name, or to `all` [default: all; a found endpoint keeps what it has]
    #[arg(long, value_name = "EVENT_TYPES", value_delimiter = ',')]
    pub(crate) events: Option<Vec<String>>,
    /// Replace the secret when the endpoint is there and its secret is not known here
    #[arg(long)]
    pub(crate) rotate_secret: bool,
    /// Delete the endpoint at the end, for an address behind a tunnel
    #[arg(long)]
    pub(crate) deregister_on_exit: bool,
    /// Show everything offline: play HeyGen too, register there, receive one signed sample of every event; keeps them in
    /// ./heygen-sandbox.db unless --inbox itself says otherwise
    #[arg(long, conflicts_with_all = ["public_url", "tls_cert", "tls_key"])]
    pub(crate) sandbox: bool,
}

/// How much the receiver takes on.
#[derive(Args, Debug)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitOptions {
    /// Longest body taken [default: 1048576]
    #[arg(long, value_name = "BYTES", env = "HEYGEN_WEBHOOKS_MAX_BODY_BYTES")]
    pub(crate) max_body_bytes: Option<usize>,
    /// Most connections served at a time [default: 10000]
    #[arg(long, value_name = "COUNT", env = "HEYGEN_WEBHOOKS_MAX_CONNECTIONS")]
    pub(crate) max_connections: Option<usize>,
    /// Seconds a client may take for a request's header [default: 5]
    #[arg(long, value_name = "SECONDS", env = "HEYGEN_WEBHOOKS_HEADER_TIME")]
    pub(crate) header_time: Option<u64>,
    /// Seconds a client may take for a request's body [default: 10]
    #[arg(long, value_name = "SECONDS", env = "HEYGEN_WEBHOOKS_BODY_TIME")]
    pub(crate) body_time: Option<u64>,
    /// Seconds a connection may stay open without a request; longer than a load balancer before it keeps its own [default: 75]
    #[arg(long, value_name = "SECONDS", env = "HEYGEN_WEBHOOKS_KEEP_ALIVE")]
    pub(crate) keep_alive: Option<u64>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}
