//! The options of `inbox list` and `inbox show`.

use clap::Args;

use super::{InboxFile, StateOption};
use crate::when::When;

/// List deliveries, newest first
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks inbox list
  heygen-webhooks inbox list --state pending --since 2026-11-01
  heygen-webhooks inbox list --json --limit 1000 | jq -r '.[].subject_id'")]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) file: InboxFile,
    /// Only this event
    #[arg(long, value_name = "EVENT_TYPE")]
    pub(crate) event_type: Option<String>,
    /// Only this state
    #[arg(long, value_name = "STATE")]
    pub(crate) state: Option<StateOption>,
    /// Only what came in since: a time (2026-11-01, 2026-11-01T12:00:00Z) or how long ago (90s, 30m, 2h, 7d)
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<When>,
    /// At most so many; 0 for all
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
    /// Print a JSON array
    #[arg(long)]
    pub(crate) json: bool,
}

/// Show one delivery: what it says, how it came, and every attempt to hand it out
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks inbox show 01jd…
  heygen-webhooks inbox show 01jd… --raw > body.json        # the exact bytes received")]
pub(crate) struct Show {
    /// Id of the delivery, as `inbox list` prints it
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) file: InboxFile,
    /// Print one JSON object
    #[arg(long, conflicts_with = "raw")]
    pub(crate) json: bool,
    /// Print the exact bytes received and nothing else
    #[arg(long)]
    pub(crate) raw: bool,
    /// Print links whole; otherwise their query strings, which give access, are cut off
    #[arg(long, conflicts_with_all = ["json", "raw"])]
    pub(crate) full: bool,
}
