//! The options of `serve`.

use crate::settings::admin::{AdminHosts, AdminListener};
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
  heygen-webhooks serve --config heygen-webhooks.toml --check
  heygen-webhooks serve --receive-only --inbox nats://a,b,c/HEYGEN --nats-creds receiver.creds

A configuration file holds the long names of the options, all but --sandbox, --receive-only,
--check, --rotate-secret, --deregister-on-exit and --config. A flag comes before the environment, and
the environment before the file, which the other commands read too; `config show` tells which is in force:
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
#[command(mut_arg("inbox", |arg| arg.help(
    "File that keeps the deliveries, made when there is none; or \
        nats://HOST:4222[,HOST:4222...]/STREAM for more than one machine, for which \
        --help shows more options [env: HEYGEN_WEBHOOKS_INBOX] [default: \
        ./heygen-inbox.db]"
)))]
#[command(mut_arg("config", |arg| arg.help(
    "Configuration file [default: ./heygen-webhooks.toml where it exists]"
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
    pub(crate) printing: Options<Printing>,
    #[command(flatten)]
    pub(crate) log: Options<Log>,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    #[command(flatten)]
    pub(crate) backfill: Options<BackfillOptions>,
    /// Receive only; `work` hands out, here or on other machines. Only with an inbox on NATS
    #[arg(long, conflicts_with_all = ["forward", "exec", "print", "on", "ordered", "sandbox"])]
    pub(crate) receive_only: bool,
    /// Check everything that a start needs, start nothing, and change nothing: configuration, addresses, files, programs, inbox
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
    /// Replace the secret when the endpoint is there and its secret is not known here
    #[arg(long, help_heading = REGISTRATION)]
    pub(crate) rotate_secret: bool,
    /// Delete the endpoint at the end, for an address behind a tunnel
    #[arg(long, help_heading = REGISTRATION)]
    pub(crate) deregister_on_exit: bool,
    /// Show everything offline: play HeyGen too, register there, receive one signed sample of every event; keeps them in
    /// ./heygen-sandbox.db unless --inbox itself says otherwise
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
