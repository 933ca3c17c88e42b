//! The options of `secrets`: what is kept beside the inbox.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ConfigFile;

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
pub(crate) struct ForwardSecret {
    /// The inbox that is forwarded from [env: HEYGEN_WEBHOOKS_INBOX] [default: ./heygen-inbox.db]
    #[arg(long, value_name = "FILE")]
    pub(crate) inbox: Option<PathBuf>,
    /// File that deliveries are signed from instead
    #[arg(long, value_name = "FILE", env = "HEYGEN_WEBHOOKS_FORWARD_SECRET_FILE")]
    pub(crate) forward_secret_file: Option<PathBuf>,
    /// Make it where there is none yet, before `serve` does
    #[arg(long)]
    pub(crate) create: bool,
    /// Print one JSON object: the secret, and the file it stands in
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
}
