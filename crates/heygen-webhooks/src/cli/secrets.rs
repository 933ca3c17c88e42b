//! The options of `secrets`: what is kept beside the inbox.

use crate::settings::file::ConfigFile;
use crate::settings::handlers::ForwardSecretFile;
use crate::settings::inbox::InboxOption;
use crate::settings::options::Options;
use clap::{Args, Subcommand};

/// Show the secrets that this program makes
///
/// HeyGen's are not among them: HeyGen shows a secret once, and `endpoints` keeps it for `serve`.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  HEYGEN_WEBHOOK_SECRET=$(heygen-webhooks secrets forward) ./your-application
  heygen-webhooks secrets forward --json")]
pub(crate) enum Secrets {
    Forward(ForwardSecret),
}

/// Show the secret that forwarded deliveries are signed with: the one your application verifies with
///
/// It is made at the first start with --forward, stands in a file beside the inbox (INBOX.forward-secret) and does not change when
/// HeyGen's is rotated. Nothing but the secret is printed.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  HEYGEN_WEBHOOK_SECRET=$(heygen-webhooks secrets forward) ./your-application
  heygen-webhooks secrets forward --inbox ./heygen-dev.db
  heygen-webhooks secrets forward --create --json

To replace it, delete the file, start `serve` again, and give the new one to the application.")]
#[command(mut_arg("inbox", |arg| arg.value_name("FILE").help(
    "The inbox that is forwarded from [env: HEYGEN_WEBHOOKS_INBOX] [default: \
        ./heygen-inbox.db]"
)))]
#[command(mut_arg("forward_secret_file", |arg| arg
    .help_heading(None)
    .help("File that deliveries are signed from instead")))]
pub(crate) struct ForwardSecret {
    #[command(flatten)]
    pub(crate) inbox: Options<InboxOption>,
    #[command(flatten)]
    pub(crate) secret: Options<ForwardSecretFile>,
    /// Make it where there is none yet, before `serve` does
    #[arg(long)]
    pub(crate) create: bool,
    /// Print one JSON object: the secret, and the file it stands in
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
}
