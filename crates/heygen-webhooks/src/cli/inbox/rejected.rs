//! The options of `inbox rejected`.

use crate::settings::location::InboxFile;
use crate::settings::options::Options;
use crate::settings::secrets::SecretFiles;
use clap::{Args, Subcommand};

/// Look at the posts that `serve` turned away lately, and take in those that verify now
///
/// They stand in a file beside the inbox, INBOX.rejected, bounded by `serve --rejected-count` and `--rejected-bytes`. The
/// oldest make room for new ones; posts without a signature never displace those that have one.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  heygen-webhooks inbox rejected list
  heygen-webhooks inbox rejected show 7
  heygen-webhooks inbox rejected reverify --dry-run")]
pub(crate) enum Rejected {
    List(ListRejected),
    Show(ShowRejected),
    Reverify(Reverify),
}

/// List the posts that were turned away, what came last first, and what the reasons mean
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks inbox rejected list
  heygen-webhooks inbox rejected list --json --limit 0 | jq '.[] | select(.signed)'")]
pub(crate) struct ListRejected {
    #[command(flatten)]
    pub(crate) file: InboxFile,
    /// At most so many; 0 for all
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
    /// Print a JSON array
    #[arg(long)]
    pub(crate) json: bool,
}

/// Show one post that was turned away, and what the present secrets make of it
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks inbox rejected show 7
  heygen-webhooks inbox rejected show 7 --raw > body.json        # the exact bytes received")]
pub(crate) struct ShowRejected {
    /// Number of the post, as `inbox rejected list` prints it
    #[arg(value_name = "ID")]
    pub(crate) id: u64,
    #[command(flatten)]
    pub(crate) file: InboxFile,
    #[command(flatten)]
    pub(crate) secrets: Options<SecretFiles>,
    /// Print one JSON object
    #[arg(long, conflicts_with = "raw")]
    pub(crate) json: bool,
    /// Print the exact bytes received and nothing else
    #[arg(long)]
    pub(crate) raw: bool,
}

/// Check the posts that were turned away against the present secrets, and take in those that verify now
///
/// For after a wrong or missing secret was mended. Knows every secret that `serve` would accept: environment, files, and
/// those kept beside the inbox. What verifies becomes a delivery like any other, at the time it first came; what HeyGen has
/// sent again meanwhile is known as a duplicate. What does not verify stays where it is. Works with and without a running
/// `serve`, which takes notice within a second.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks inbox rejected reverify --dry-run
  heygen-webhooks inbox rejected reverify --secret-file /run/secrets/heygen
  heygen-webhooks inbox rejected reverify 7 9 --json")]
pub(crate) struct Reverify {
    /// Numbers of posts, as `inbox rejected list` prints them [default: all]
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<u64>,
    #[command(flatten)]
    pub(crate) file: InboxFile,
    #[command(flatten)]
    pub(crate) secrets: Options<SecretFiles>,
    /// Only say which would be taken in
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
