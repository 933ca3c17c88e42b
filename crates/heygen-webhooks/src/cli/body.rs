//! The options of `inspect` and `verify`: what looks at one body.

use std::path::PathBuf;

use crate::settings::file::ConfigFile;
use crate::settings::options::Options;
use crate::settings::secrets::SecretFiles;
use clap::Args;

/// Show what a body says: one body in, the typed view out
///
/// Exit status 0 also for an unknown event and for data that does not fit; 1 for a body that is no event.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks inspect delivery.json
  heygen-webhooks inbox show 01jd… --raw | heygen-webhooks inspect --json")]
pub(crate) struct Inspect {
    /// File with the body; `-` for standard input
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Print links whole; otherwise their query strings, which give access, are cut off
    #[arg(long, conflicts_with = "json")]
    pub(crate) full: bool,
}

/// Check a signature over a body, and say why it does not fit
///
/// The body has to be the exact bytes received. Exit status 0 when it verifies, 1 when not.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks verify --signature 8d8bcd… --secret-file secret.txt body.json
  HEYGEN_WEBHOOK_SECRET=whsec_… heygen-webhooks verify --signature 8d8bcd… < body.json")]
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
