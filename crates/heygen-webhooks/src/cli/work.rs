//! The options of `work`.

use crate::settings::admin::{AdminHosts, AdminListener};
use crate::settings::file::ConfigFile;
use crate::settings::handlers::{ForwardSecretFile, Handlers};
use crate::settings::inbox::InboxOption;
use crate::settings::nats::{NatsAccess, NatsPromise, NatsStreams};
use crate::settings::options::Options;
use crate::settings::output::{Log, Printing};
use crate::settings::secrets::SecretFiles;
use clap::Args;

/// Hand out what receivers keep on NATS, on this machine too or on this one alone
///
/// Any number of workers share one inbox on streams: each delivery is with one of them at a time, until it says done. When a worker
/// dies in the middle, what it had goes to another after the ack wait; while its handler is at work, that is extended. Handlers, rules,
/// retries and dead letters are those of `serve`, which works too unless it is told not to with --receive-only.
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
#[command(mut_arg("inbox", |arg| arg.value_name("URL").help(
    "The streams: nats://HOST:4222[,HOST:4222...]/STREAM; --help shows how to log \
        in, and more [env: HEYGEN_WEBHOOKS_INBOX]"
)))]
#[command(mut_arg("secret_file", |arg| arg.help(
    "File with a signing secret a line, as for `serve`"
)))]
pub(crate) struct Work {
    #[command(flatten)]
    pub(crate) inbox: Options<InboxOption>,
    #[command(flatten)]
    pub(crate) secrets: Options<SecretFiles>,
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
    pub(crate) handlers: Options<Handlers>,
    #[command(flatten)]
    pub(crate) forward_secret: Options<ForwardSecretFile>,
    #[command(flatten)]
    pub(crate) nats_access: Options<NatsAccess>,
    #[command(flatten)]
    pub(crate) nats_streams: Options<NatsStreams>,
    #[command(flatten)]
    pub(crate) nats_promise: Options<NatsPromise>,
}
