//! The options of `inbox`, a file for each family of commands.

use clap::{Subcommand, ValueEnum};

mod by_hand;
mod change;
mod maintenance;
mod query;
mod rejected;
mod selection;
mod transfer;

pub(crate) use by_hand::{ChangeByHand, DeadLetter, Delete, Pause, Resume};
pub(crate) use change::{Prune, Replay};
pub(crate) use maintenance::{Backup, Check};
pub(crate) use query::{Attempts, Drift, List, Show, Stats, Tail};
pub(crate) use rejected::{ListRejected, Rejected, RejectedId, Reverify, ShowRejected};
pub(crate) use selection::Selection;
pub(crate) use transfer::{Export, Format, Import};

/// Inspect, replay, pause, export and maintain stored deliveries
///
/// All of these commands also work while `serve` runs.
#[derive(Debug, Subcommand)]
#[command(before_help = "Examples:
  heygen-webhooks inbox list --since 2h --event-type avatar_video.fail
  heygen-webhooks inbox show last
  heygen-webhooks inbox replay --state dead_lettered --since 2h")]
pub(crate) enum Inbox {
    List(List),
    Show(Show),
    Attempts(Attempts),
    Tail(Tail),
    Stats(Stats),
    Drift(Drift),
    Replay(Replay),
    DeadLetter(DeadLetter),
    Delete(Delete),
    Pause(Pause),
    Resume(Resume),
    Export(Export),
    Import(Import),
    Prune(Prune),
    Check(Check),
    Backup(Backup),
    #[command(subcommand)]
    Rejected(Rejected),
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum StateOption {
    /// Waiting for an attempt
    Pending,
    /// A handler is working on it
    Claimed,
    /// `serve` ended during an attempt; the next start delivers it again (files only)
    Interrupted,
    /// Acknowledged by the handler
    Acknowledged,
    /// Dead-lettered: given up, and kept for a replay
    #[value(name = "dead_lettered")]
    DeadLettered,
}
