//! The options of the `inbox` commands that look and change nothing.

use clap::Args;

use super::Selection;
use crate::settings::location::InboxFile;

/// List deliveries, newest first
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  heygen-webhooks inbox list
  heygen-webhooks inbox list --state pending --since 2026-11-01
  heygen-webhooks inbox list --json --limit 1000 | jq -r '.[].subject_id'")]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) file: InboxFile,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Show at most N deliveries; 0 for all
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
    /// Print a JSON array
    #[arg(long)]
    pub(crate) json: bool,
}

/// Show one delivery: its fields, how it arrived, and every attempt
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  heygen-webhooks inbox show last
  heygen-webhooks inbox show 1k18yg0bpy3tv0c

  The exact bytes received:
  heygen-webhooks inbox show last --raw > body.json")]
pub(crate) struct Show {
    /// Id of the delivery, from `inbox list`; its beginning is enough, `last` is the newest
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) file: InboxFile,
    /// Print one JSON object
    #[arg(long, conflicts_with = "raw")]
    pub(crate) json: bool,
    /// Print only the exact bytes received
    #[arg(long)]
    pub(crate) raw: bool,
    /// Print whole links; by default their query strings, which grant access, are hidden
    #[arg(long, conflicts_with_all = ["json", "raw"])]
    pub(crate) full: bool,
}

/// Show the attempts of a delivery, their results, and when the next one is due
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  heygen-webhooks inbox attempts 1k18yg0bpy3tv0c
  heygen-webhooks inbox attempts last --json | jq -r '.attempt_list[].detail'")]
pub(crate) struct Attempts {
    /// Id of the delivery, from `inbox list`; its beginning is enough, `last` is the newest
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) file: InboxFile,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Show how events differ from what this version knows: new names, new fields, malformed data
///
/// Such deliveries are stored and dispatched like any other. Differences are counted as deliveries
/// arrive; the delivery shown with each is the first of its kind.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  heygen-webhooks inbox drift
  heygen-webhooks inbox drift --json \\
    | jq -r '.[] | select(.kind == \"unknown_event\") | .event_type'")]
pub(crate) struct Drift {
    #[command(flatten)]
    pub(crate) file: InboxFile,
    /// Print a JSON array
    #[arg(long)]
    pub(crate) json: bool,
}

/// Count deliveries by state, event, source and attempt result
///
/// Also shows recent arrivals, how long the oldest pending delivery has waited, and the size of
/// the inbox. Counting a million deliveries takes a second or two.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  heygen-webhooks inbox stats
  heygen-webhooks inbox stats --all
  heygen-webhooks inbox stats --json | jq .states.dead_lettered")]
pub(crate) struct Stats {
    #[command(flatten)]
    pub(crate) file: InboxFile,
    /// Show every event name, not only the 20 most frequent
    #[arg(long)]
    pub(crate) all: bool,
    /// Print one JSON object, always with every event name
    #[arg(long)]
    pub(crate) json: bool,
}

/// Print the newest deliveries and follow new ones until Ctrl-C
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  heygen-webhooks inbox tail
  heygen-webhooks inbox tail --event-type avatar_video.fail
  heygen-webhooks inbox tail --json -n 0 | jq -r .subject_id")]
pub(crate) struct Tail {
    #[command(flatten)]
    pub(crate) file: InboxFile,
    /// Start with the N newest deliveries
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    pub(crate) lines: usize,
    /// Only events with this name; `*` matches anything
    #[arg(long, value_name = "EVENT_TYPE")]
    pub(crate) event_type: Option<String>,
    /// Only events about this subject (video id, session id, ...)
    #[arg(long, value_name = "ID")]
    pub(crate) subject: Option<String>,
    /// Only events of jobs that were started with this callback id
    #[arg(long, value_name = "ID")]
    pub(crate) callback_id: Option<String>,
    /// Print one JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
}
