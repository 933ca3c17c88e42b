//! The options of `doctor`.

use std::path::PathBuf;

use clap::Args;

use super::{ApiOptions, InboxFile};

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
pub(crate) struct Doctor {
    /// The address HeyGen sends to; a path is added when it has none
    #[arg(long, value_name = "URL", env = "HEYGEN_WEBHOOKS_PUBLIC_URL")]
    pub(crate) public_url: Option<String>,
    /// Path that is added to an address without one [default: /webhooks/heygen]
    #[arg(long, value_name = "PATH", env = "HEYGEN_WEBHOOKS_PATH")]
    pub(crate) path: Option<String>,
    /// Where `serve` listens on this machine [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", env = "HEYGEN_WEBHOOKS_LISTEN")]
    pub(crate) listen: Option<String>,
    /// Where it tells health and readiness, or `off` [default: 127.0.0.1:9180]
    #[arg(long, value_name = "ADDRESS", env = "HEYGEN_WEBHOOKS_ADMIN")]
    pub(crate) admin: Option<String>,
    #[command(flatten)]
    pub(crate) file: InboxFile,
    /// File with a signing secret a line; may be given several times
    #[arg(
        long,
        value_name = "FILE",
        env = "HEYGEN_WEBHOOKS_SECRET_FILE",
        value_delimiter = ','
    )]
    pub(crate) secret_file: Vec<PathBuf>,
    /// Send no deliveries to the address
    #[arg(long)]
    pub(crate) no_sample: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) api: ApiOptions,
}
