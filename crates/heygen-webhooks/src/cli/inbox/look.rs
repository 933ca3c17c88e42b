//! The options of the `inbox` commands that look and change nothing.

use clap::Args;

use super::Selection;
use crate::settings::location::InboxFile;

/// List deliveries, newest first
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks inbox list
  heygen-webhooks inbox list --state pending --since 2026-11-01
  heygen-webhooks inbox list --json --limit 1000 | jq -r '.[].subject_id'")]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) file: InboxFile,
    #[command(flatten)]
    pub(crate) selection: Selection,
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

/// Show every time a delivery was handed out, how that ended, and when it is due next
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks inbox attempts 01jd…
  heygen-webhooks inbox attempts 01jd… --json | jq -r '.attempt_list[].detail'")]
pub(crate) struct Attempts {
    /// Id of the delivery, as `inbox list` prints it
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) file: InboxFile,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Show in what events differ from what this version knows: new names, new fields, data that does not fit
///
/// Such deliveries are kept and handed out like any other. What differs is counted as they come in; the delivery named
/// with each is the first of its kind.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks inbox drift
  heygen-webhooks inbox drift --json | jq -r '.[] | select(.kind == \"unknown_event\") | .event_type'")]
pub(crate) struct Drift {
    #[command(flatten)]
    pub(crate) file: InboxFile,
    /// Print a JSON array
    #[arg(long)]
    pub(crate) json: bool,
}

/// Count what is in the inbox: by state, event and source, what came in lately, how handing out went
///
/// Also shows how long the oldest pending delivery has waited, and how much room the inbox takes. A million deliveries
/// take a second or two.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks inbox stats
  heygen-webhooks inbox stats --all
  heygen-webhooks inbox stats --json | jq .states.dead")]
pub(crate) struct Stats {
    #[command(flatten)]
    pub(crate) file: InboxFile,
    /// Every event name, not only the 20 most frequent
    #[arg(long)]
    pub(crate) all: bool,
    /// Print one JSON object, which always has every event name
    #[arg(long)]
    pub(crate) json: bool,
}

/// Follow what comes in: the newest deliveries, then each new one as it is kept, until Ctrl-C
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks inbox tail
  heygen-webhooks inbox tail --event-type avatar_video.fail
  heygen-webhooks inbox tail --json -n 0 | jq -r .subject_id")]
pub(crate) struct Tail {
    #[command(flatten)]
    pub(crate) file: InboxFile,
    /// Begin with so many of those that are there
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    pub(crate) lines: usize,
    /// Only this event, `*` for any letters
    #[arg(long, value_name = "EVENT_TYPE")]
    pub(crate) event_type: Option<String>,
    /// Only what is about this video, session and so on
    #[arg(long, value_name = "ID")]
    pub(crate) subject: Option<String>,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}
