//! The options of `work`.

use crate::settings::admin::{AdminHosts, AdminListener, DashboardAccess};
use crate::settings::file::ConfigFile;
use crate::settings::handlers::{ForwardSecretFile, Handlers};
use crate::settings::inbox::InboxOption;
use crate::settings::nats::{NatsAccess, NatsPromise, NatsStreams};
use crate::settings::options::Options;
use crate::settings::output::{Log, Printing};
use crate::settings::secrets::SecretFiles;
use clap::Args;

/// Process deliveries from a shared NATS inbox
///
/// Run as many workers as you like, on as many machines. Each delivery is with one worker at a time until its handler acknowledges it. If a worker dies
/// during an attempt, another one gets the delivery after the ack wait; a running handler extends
/// that wait. Handlers, rules, retries and dead letters work as in `serve`, which dispatches too
/// unless you start it with --receive-only.
///
/// SIGTERM and Ctrl-C stop the worker after running handlers end, or after 10 seconds.
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  heygen-webhooks work --inbox nats://a,b,c/HEYGEN \\
    --forward http://localhost:3000/heygen --forward-secret-file forward-secret
  heygen-webhooks work --inbox nats://a,b,c/HEYGEN --nats-creds worker.creds \\
    --exec ./handle-event
  heygen-webhooks work --inbox nats://127.0.0.1:4222/HEYGEN",
    after_help = "Forwarded deliveries are signed with --forward-secret-file, which all workers share. If that secret is \
            also one of HEYGEN_WEBHOOK_SECRET or --secret-file, only deliveries that HeyGen signed are signed.

The configuration file is that of `serve`. `heygen-webhooks help nats` shows how to log in, and more."
)]
#[command(mut_arg("inbox", |arg| arg.value_name("URL").help(
    "Shared inbox: nats://HOST:4222[,HOST:4222...]/STREAM; see `help nats` [env: HEYGEN_WEBHOOKS_INBOX]"
)))]
#[command(mut_arg("secret_file", |arg| arg.help(
    "File with one signing secret per line, as for `serve`"
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
    pub(crate) dashboard: Options<DashboardAccess>,
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
