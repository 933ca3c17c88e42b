//! The options of `inspect` and `verify`: what looks at one body.

use std::path::PathBuf;

use crate::settings::file::ConfigFile;
use crate::settings::options::Options;
use crate::settings::secrets::SecretFiles;
use clap::Args;

/// Parse an event body and show its fields
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  heygen-webhooks inspect delivery.json
  heygen-webhooks inbox show last --raw | heygen-webhooks inspect --json",
    after_help = "Exit status: 0 when the body is an event, also an unknown or malformed one; 1 when it is not."
)]
pub(crate) struct Inspect {
    /// File with the body; `-` for standard input
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Print whole links; by default their query strings, which grant access, are hidden
    #[arg(long, conflicts_with = "json")]
    pub(crate) full: bool,
}

/// Verify the signature of a body, and explain a mismatch
///
/// The body must be the exact bytes received: a body that was parsed and written again no longer
/// verifies.
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  heygen-webhooks verify --signature 8d8bcd… --secret-file secret.txt body.json
  HEYGEN_WEBHOOK_SECRET=whsec_… \\
    heygen-webhooks verify --signature 8d8bcd… < body.json",
    after_help = "Exit status: 0 when the signature verifies; 1 when it does not."
)]
pub(crate) struct Verify {
    /// Value of the `Signature` header: 64 hexadecimal digits
    #[arg(long, value_name = "HEX")]
    pub(crate) signature: String,
    /// File with the body; `-` for standard input
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) secrets: Options<SecretFiles>,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
