//! The options of `doctor`.

use crate::settings::admin::AdminListener;
use crate::settings::api::ApiOptions;
use crate::settings::location::InboxFile;
use crate::settings::options::Options;
use crate::settings::receiver::Listen;
use crate::settings::registration::PublicUrl;
use crate::settings::secrets::SecretFiles;
use clap::Args;

/// Check whether deliveries can arrive, and how to fix what is wrong
///
/// Lists what is registered at HeyGen, calls the public address as HeyGen would, looks for a
/// receiver on this machine, and checks secrets and inbox. It changes nothing at HeyGen and takes
/// less than 15 seconds. Without an API key or a public URL it checks the rest.
///
/// If a public URL is known (by option, environment or configuration file), it also sends that
/// address two deliveries of an event named `heygen-webhooks.doctor`. One is signed with your
/// secret: the receiver stores it and passes it to your handler like any unknown event. The other
/// is unsigned: the receiver must reject it, and logs that. --no-sample sends neither.
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  HEYGEN_API_KEY=… heygen-webhooks doctor \\
    --public-url https://hooks.example.com
  heygen-webhooks doctor --inbox /var/lib/heygen/inbox.db --local
  heygen-webhooks doctor --json | jq '.findings[] | select(.level == \"problem\")'

  Against a sandbox:
  HEYGEN_API_KEY=any heygen-webhooks doctor --base-url http://127.0.0.1:8090",
    after_help = "Exit status: 0 when no problem was found, also when there are warnings; 1 otherwise."
)]
#[command(mut_arg("public_url", |arg| arg.help_heading(None).help(
    "Address that HeyGen sends to; if it has no path, --path is added"
)))]
#[command(mut_arg("listen", |arg| arg.help(
    "Where `serve` listens on this machine [default: 127.0.0.1:8080]"
)))]
#[command(mut_arg("path", |arg| arg.help(
    "Path of the receiver, added to a public URL without one [default: /webhooks/heygen]"
)))]
#[command(mut_arg("admin", |arg| arg.help(
    "Where `serve` reports health and readiness, or `off` [default: 127.0.0.1:9180]"
)))]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) public_url: Options<PublicUrl>,
    #[command(flatten)]
    pub(crate) listen: Options<Listen>,
    #[command(flatten)]
    pub(crate) admin: Options<AdminListener>,
    #[command(flatten)]
    pub(crate) file: InboxFile,
    #[command(flatten)]
    pub(crate) secrets: Options<SecretFiles>,
    /// Check this machine only: receiver, inbox, secrets and rejected requests
    #[arg(long)]
    pub(crate) local: bool,
    /// Send no deliveries to the public address
    #[arg(long)]
    pub(crate) no_sample: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) api: Options<ApiOptions>,
}
