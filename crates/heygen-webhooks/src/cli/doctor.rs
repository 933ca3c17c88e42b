//! The options of `doctor`.

use crate::settings::admin::AdminListener;
use crate::settings::api::ApiOptions;
use crate::settings::location::InboxFile;
use crate::settings::options::Options;
use crate::settings::receiver::Listen;
use crate::settings::registration::PublicUrl;
use crate::settings::secrets::SecretFiles;
use clap::Args;

/// Say whether deliveries can arrive, and what to do where they cannot
///
/// Asks HeyGen what is registered, tries the public address as HeyGen would, looks whether a receiver listens on this machine,
/// and looks at secrets and inbox. Nothing at
/// HeyGen is changed. Takes less than 15 seconds. Exit status 0 when there is no problem; warnings are none.
///
/// With a public URL, by option, environment or configuration file, it also sends that address two deliveries of an event
/// named `heygen-webhooks.doctor`: one signed with your secret, which the receiver keeps and hands to your handler as any
/// event it does not know; and one unsigned, which it has to refuse, and which its log will tell of. --no-sample leaves both
/// out.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  HEYGEN_API_KEY=… heygen-webhooks doctor --public-url https://hooks.example.com
  heygen-webhooks doctor --public-url https://hooks.example.com/webhooks/heygen --inbox /var/lib/heygen/inbox.db --no-sample
  heygen-webhooks doctor --json | jq '.findings[] | select(.level == \"problem\")'
  HEYGEN_API_KEY=any heygen-webhooks doctor --base-url http://127.0.0.1:8090      # against a sandbox")]
#[command(mut_arg("public_url", |arg| arg.help_heading(None).help(
    "The address HeyGen sends to; a path is added when it has none"
)))]
#[command(mut_arg("listen", |arg| arg.help(
    "Where `serve` listens on this machine [default: 127.0.0.1:8080]"
)))]
#[command(mut_arg("path", |arg| arg.help(
    "Path that is added to an address without one [default: /webhooks/heygen]"
)))]
#[command(mut_arg("admin", |arg| arg.help(
    "Where it tells health and readiness, or `off` [default: 127.0.0.1:9180]"
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
    /// Send no deliveries to the address
    #[arg(long)]
    pub(crate) no_sample: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) api: Options<ApiOptions>,
}
