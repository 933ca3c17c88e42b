//! The options of the `inbox` commands that change what is there.

use clap::Args;

use super::Selection;
use crate::settings::location::InboxFile;
use crate::settings::span::Rate;
use crate::settings::when::When;

/// Hand deliveries out again, whatever became of them before
///
/// They keep their attempts and get as much time, and as many new attempts, as a new delivery has. A running `serve` takes notice within a
/// second, and dispatches what comes in meanwhile first. What is in a handler's hands stays there. More than 100 are asked about first.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks inbox replay 01jd…
  heygen-webhooks inbox replay --state dead --since 2h --dry-run
  heygen-webhooks inbox replay --state dead --rate 10/s --yes
  heygen-webhooks inbox replay --event-type avatar_video.success --since 2026-11-01 --until 2026-11-02 --yes")]
pub(crate) struct Replay {
    /// Ids of deliveries, as `inbox list` prints them
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,
    #[command(flatten)]
    pub(crate) file: InboxFile,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Everything in the inbox
    #[arg(long)]
    pub(crate) all: bool,
    /// Only say which would be handed out again
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Replay no faster than this: 10/s, 30/m, 100/h. Ctrl-C stops it; what was replayed by then stays so
    #[arg(long, value_name = "RATE")]
    pub(crate) rate: Option<Rate>,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Delete old deliveries that are finished (done or given up)
///
/// What is pending or being handled stays, however old. What is deleted is no longer known as a duplicate: should HeyGen
/// send it again, it is handed out again. Runs in small steps, so that a running `serve` does not wait. The file does not
/// shrink: the room is used again for what comes.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks inbox prune --older-than 30d --dry-run
  heygen-webhooks inbox prune --older-than 30d --yes")]
pub(crate) struct Prune {
    #[command(flatten)]
    pub(crate) file: InboxFile,
    /// What was kept longer ago than this (30d, 12h), or before this time (2026-11-01)
    #[arg(long, value_name = "WHEN")]
    pub(crate) older_than: When,
    /// Only say how many would be deleted
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
