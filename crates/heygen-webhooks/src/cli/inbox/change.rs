//! The options of the `inbox` commands that change what is there.

use clap::Args;

use super::Selection;
use crate::settings::location::InboxFile;
use crate::settings::span::Rate;
use crate::settings::when::When;

/// Dispatch deliveries again, whatever their state
///
/// Replayed deliveries keep their history and get the full number and time of attempts again. A
/// running `serve` notices within a second and dispatches new deliveries first. Claimed deliveries
/// are left alone. Replaying more than 100 asks first.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  heygen-webhooks inbox replay 1k18yg0bpy3tv0c
  heygen-webhooks inbox replay --state dead_lettered --since 2h --dry-run
  heygen-webhooks inbox replay --state dead_lettered --rate 10/s --yes
  heygen-webhooks inbox replay --event-type avatar_video.success \\
    --since 2026-11-01 --until 2026-11-02 --yes")]
pub(crate) struct Replay {
    /// Ids of deliveries, from `inbox list`; their beginnings are enough, `last` is the newest
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,
    #[command(flatten)]
    pub(crate) file: InboxFile,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Replay everything in the inbox
    #[arg(long)]
    pub(crate) all: bool,
    /// List the deliveries that would be replayed, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Replay no faster than this: 10/s, 30/m, 100/h. Ctrl-C stops; deliveries replayed until then
    /// stay replayed
    #[arg(long, value_name = "RATE")]
    pub(crate) rate: Option<Rate>,
    /// Do not ask for confirmation
    #[arg(long)]
    pub(crate) yes: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Delete old deliveries that are finished (acknowledged or dead-lettered)
///
/// Pending and claimed deliveries stay, however old. A deleted delivery is no longer recognised as
/// a duplicate: if HeyGen sends it again, it is dispatched again. Deletes in small steps, so that a
/// running `serve` does not wait. The file does not shrink; the space is reused.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  heygen-webhooks inbox prune --older-than 30d --dry-run
  heygen-webhooks inbox prune --older-than 30d --yes")]
pub(crate) struct Prune {
    #[command(flatten)]
    pub(crate) file: InboxFile,
    /// Delete deliveries older than this age (30d, 12h) or time (2026-11-01)
    #[arg(long, value_name = "WHEN")]
    pub(crate) older_than: When,
    /// Count the deliveries that would be deleted, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask for confirmation
    #[arg(long)]
    pub(crate) yes: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
