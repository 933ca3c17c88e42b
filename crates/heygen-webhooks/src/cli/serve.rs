//! The options of `serve`.

use crate::settings::admin::{AdminHosts, AdminListener, DashboardAccess};
use crate::settings::api::ApiOptions;
use crate::settings::backfill::BackfillOptions;
use crate::settings::file::ConfigFile;
use crate::settings::handlers::{ForwardSecretFile, Handlers};
use crate::settings::inbox::InboxOption;
use crate::settings::nats::{NatsAccess, NatsPromise, NatsStreams};
use crate::settings::options::Options;
use crate::settings::output::{Log, Printing};
use crate::settings::receiver::{Callbacks, Limits, Listen, Tls};
use crate::settings::registration::{PublicUrl, REGISTRATION, Subscription};
use crate::settings::retention::RetentionOptions;
use crate::settings::secrets::SecretFiles;
use clap::Args;

/// Receive, verify and store webhooks, and deliver them to your code
///
/// HeyGen's probes are answered at once, with or without a secret. A delivery is verified against
/// every secret and stored in the inbox; only then it is answered with 200. After that it is
/// dispatched to your code (printed, forwarded to an application, or passed to a program) and
/// retried until your code acknowledges it. Without a secret, deliveries are answered with 503, so
/// that HeyGen sends them again while you configure one.
///
/// Secrets come from HEYGEN_WEBHOOK_SECRET (several separated by commas) and from files. SIGHUP
/// reads the files and the TLS certificate again. SIGTERM and Ctrl-C stop the receiver after running
/// requests are stored and answered.
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  Print what arrives:
  HEYGEN_WEBHOOK_SECRET=whsec_… heygen-webhooks serve --listen 0.0.0.0:8080

  Deliver to an application, or to a program:
  heygen-webhooks serve --forward http://localhost:3000/heygen --keep 30d
  heygen-webhooks serve --exec python3 handle_event.py
  heygen-webhooks serve --on '*.fail=exec:/usr/local/bin/notify' \\
    --on '*=forward:http://localhost:3000/heygen'

  Register at HeyGen, and fetch missed events:
  HEYGEN_API_KEY=… heygen-webhooks serve --backfill \\
    --public-url https://hooks.example.com

  See it work offline:
  heygen-webhooks serve --sandbox

  In production:
  heygen-webhooks serve --secret-file /run/secrets/heygen \\
    --inbox /var/lib/heygen/inbox.db --json
  heygen-webhooks serve --listen 0.0.0.0:443 \\
    --tls-cert fullchain.pem --tls-key privkey.pem
  heygen-webhooks serve --config heygen-webhooks.toml --check",
    after_help = "Configuration file: its keys are the long option names, except --sandbox, --receive-only, --check, \
            --rotate-secret, --deregister-on-exit and --config. A flag wins over the environment, the \
            environment over the file. The other commands read it too; `config show` prints what is in effect.
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
  exec = [\"/usr/local/bin/notify\", \"--loud\"]

More than one machine: `heygen-webhooks help nats`."
)]
#[command(mut_arg("inbox", |arg| arg.help(
    "File that stores the deliveries, created if missing; or nats://HOST:4222[,HOST:4222...]/STREAM for more than one \
     machine, see `help nats` [env: HEYGEN_WEBHOOKS_INBOX] [default: ./heygen-inbox.db]"
)))]
#[command(mut_arg("config", |arg| arg.help(
    "Configuration file [default: ./heygen-webhooks.toml if it exists]"
)))]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) listen: Options<Listen>,
    #[command(flatten)]
    pub(crate) inbox: Options<InboxOption>,
    #[command(flatten)]
    pub(crate) secrets: Options<SecretFiles>,
    #[command(flatten)]
    pub(crate) callbacks: Options<Callbacks>,
    #[command(flatten)]
    pub(crate) admin: Options<AdminListener>,
    #[command(flatten)]
    pub(crate) admin_hosts: Options<AdminHosts>,
    #[command(flatten)]
    pub(crate) dashboard: Options<DashboardAccess>,
    #[command(flatten)]
    pub(crate) printing: Options<Printing>,
    #[command(flatten)]
    pub(crate) log: Options<Log>,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    #[command(flatten)]
    pub(crate) backfill: Options<BackfillOptions>,
    /// Receive and store only; `work` dispatches, here or on other machines. Needs an inbox on NATS
    #[arg(long, conflicts_with_all = ["forward", "exec", "print", "on", "on_dead_letter", "ordered", "sandbox"])]
    pub(crate) receive_only: bool,
    /// Check everything a start needs (configuration, addresses, files, programs, inbox), and change
    /// nothing
    #[arg(long, conflicts_with = "sandbox")]
    pub(crate) check: bool,
    #[command(flatten)]
    pub(crate) tls: Options<Tls>,
    #[command(flatten)]
    pub(crate) handlers: Options<Handlers>,
    #[command(flatten)]
    pub(crate) forward_secret: Options<ForwardSecretFile>,
    #[command(flatten)]
    pub(crate) retention: Options<RetentionOptions>,
    #[command(flatten)]
    pub(crate) public_url: Options<PublicUrl>,
    #[command(flatten)]
    pub(crate) subscription: Options<Subscription>,
    /// Rotate the secret if the endpoint exists and its secret is not known here
    #[arg(long, help_heading = REGISTRATION)]
    pub(crate) rotate_secret: bool,
    /// Delete the endpoint on exit, for an address behind a tunnel
    #[arg(long, help_heading = REGISTRATION)]
    pub(crate) deregister_on_exit: bool,
    /// Demonstrate everything offline: simulate HeyGen, register there, and receive one signed sample
    /// of every event; stored in ./heygen-sandbox.db unless --inbox is given
    #[arg(long, help_heading = REGISTRATION, conflicts_with_all = ["public_url", "tls_cert", "tls_key"])]
    pub(crate) sandbox: bool,
    #[command(flatten)]
    pub(crate) limits: Options<Limits>,
    #[command(flatten)]
    pub(crate) api: Options<ApiOptions>,
    #[command(flatten)]
    pub(crate) nats_access: Options<NatsAccess>,
    #[command(flatten)]
    pub(crate) nats_streams: Options<NatsStreams>,
    #[command(flatten)]
    pub(crate) nats_promise: Options<NatsPromise>,
}
