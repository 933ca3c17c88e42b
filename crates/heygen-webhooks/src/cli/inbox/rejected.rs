//! The options of `inbox rejected`.

use crate::settings::location::InboxFile;
use crate::settings::options::Options;
use crate::settings::secrets::SecretFiles;
use std::str::FromStr;

use clap::{Args, Subcommand};

/// Inspect requests that `serve` rejected, and accept those that verify now
///
/// Rejected requests are kept in a file beside the inbox, INBOX.rejected, whose size `serve
/// --rejected-count` and `--rejected-bytes` bound. Old ones make room for new ones; requests without
/// a signature never displace signed ones.
#[derive(Debug, Subcommand)]
#[command(before_help = "Examples:
  heygen-webhooks inbox rejected list
  heygen-webhooks inbox rejected show 7
  heygen-webhooks inbox rejected reverify --dry-run")]
pub(crate) enum Rejected {
    List(ListRejected),
    Show(ShowRejected),
    Reverify(Reverify),
}

/// List rejected requests, newest first, and what the reasons mean
///
/// Requests with a wrong signature are diagnosed with the secrets that are known here, since `serve`
/// diagnoses only some of a flood.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  heygen-webhooks inbox rejected list
  heygen-webhooks inbox rejected list --json --limit 0 \\
    | jq '.[] | select(.signed)'")]
pub(crate) struct ListRejected {
    #[command(flatten)]
    pub(crate) file: InboxFile,
    #[command(flatten)]
    pub(crate) secrets: Options<SecretFiles>,
    /// Show at most N requests; 0 for all
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
    /// Print a JSON array
    #[arg(long)]
    pub(crate) json: bool,
}

/// A request that a command is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RejectedId {
    Number(u64),
    /// The one that came last.
    Last,
}

impl FromStr for RejectedId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text, text.parse()) {
            ("last", _) => Ok(Self::Last),
            (_, Ok(number)) => Ok(Self::Number(number)),
            _ => Err("give a number from `inbox rejected list`, or `last`".to_owned()),
        }
    }
}

/// Show one rejected request, and whether it verifies with today's secrets
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  heygen-webhooks inbox rejected show 7

  The exact bytes received:
  heygen-webhooks inbox rejected show 7 --raw > body.json")]
pub(crate) struct ShowRejected {
    /// Number of the request, from `inbox rejected list`, or `last`
    #[arg(value_name = "ID")]
    pub(crate) id: RejectedId,
    #[command(flatten)]
    pub(crate) file: InboxFile,
    #[command(flatten)]
    pub(crate) secrets: Options<SecretFiles>,
    /// Print one JSON object
    #[arg(long, conflicts_with = "raw")]
    pub(crate) json: bool,
    /// Print only the exact bytes received
    #[arg(long)]
    pub(crate) raw: bool,
}

/// Verify rejected requests with today's secrets, and accept those that verify
///
/// Use it after you fixed a wrong or missing secret. It tries every secret that `serve` would
/// accept: from the environment, from files, and those stored beside the inbox. A request that
/// verifies becomes a normal delivery with its original time; if HeyGen has sent it again since, it
/// is recognised as a duplicate. Requests that do not verify stay rejected. `serve` may run or not;
/// a running one notices within a second.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  heygen-webhooks inbox rejected reverify --dry-run
  heygen-webhooks inbox rejected reverify --secret-file /run/secrets/heygen
  heygen-webhooks inbox rejected reverify 7 9 --json")]
pub(crate) struct Reverify {
    /// Numbers of requests, from `inbox rejected list`, or `last` [default: all]
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<RejectedId>,
    #[command(flatten)]
    pub(crate) file: InboxFile,
    #[command(flatten)]
    pub(crate) secrets: Options<SecretFiles>,
    /// List the requests that would be accepted, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
