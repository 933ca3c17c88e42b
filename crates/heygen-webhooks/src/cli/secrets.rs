//! The options of `secrets`: the secrets stored beside the inbox.

use crate::settings::file::ConfigFile;
use crate::settings::handlers::ForwardSecretFile;
use crate::settings::inbox::InboxOption;
use crate::settings::options::Options;
use clap::{Args, Subcommand};

/// Show the secrets that this program creates
///
/// HeyGen's secrets are not among them: HeyGen shows a secret once, and `endpoints` stores it for
/// `serve`.
#[derive(Debug, Subcommand)]
#[command(before_help = "Examples:
  HEYGEN_WEBHOOK_SECRET=$(heygen-webhooks secrets forward) ./your-application
  heygen-webhooks secrets forward --json")]
pub(crate) enum Secrets {
    Forward(ForwardSecret),
}

/// Print the secret your application verifies forwarded deliveries with
///
/// The first start with --forward creates the secret in a file beside the inbox
/// (INBOX.forward-secret). It does not change when HeyGen's secret is rotated. Only the secret is
/// printed.
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  HEYGEN_WEBHOOK_SECRET=$(heygen-webhooks secrets forward) ./your-application
  heygen-webhooks secrets forward --inbox ./heygen-dev.db
  heygen-webhooks secrets forward --create --json",
    after_help = "To replace the secret, delete the file, restart `serve`, and give the new secret to your application."
)]
#[command(mut_arg("inbox", |arg| arg.value_name("FILE").help(
    "Inbox whose deliveries are forwarded [env: HEYGEN_WEBHOOKS_INBOX] [default: ./heygen-inbox.db]"
)))]
#[command(mut_arg("forward_secret_file", |arg| arg
    .help_heading(None)
    .help("File with the secret that `serve --forward-secret-file` uses instead")))]
pub(crate) struct ForwardSecret {
    #[command(flatten)]
    pub(crate) inbox: Options<InboxOption>,
    #[command(flatten)]
    pub(crate) secret: Options<ForwardSecretFile>,
    /// Create the secret if there is none yet, before `serve` does
    #[arg(long)]
    pub(crate) create: bool,
    /// Print one JSON object: the secret and its file
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
}
