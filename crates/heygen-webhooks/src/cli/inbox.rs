//! The options of `inbox`, a file for each family of commands.

use clap::{Subcommand, ValueEnum};

mod carry;
mod change;
mod keep;
mod look;
mod rejected;
mod selection;

pub(crate) use carry::{Export, Format, Import};
pub(crate) use change::{Prune, Replay};
pub(crate) use keep::{Backup, Check};
pub(crate) use look::{Attempts, Drift, List, Show, Stats, Tail};
pub(crate) use rejected::{ListRejected, Rejected, Reverify, ShowRejected};
pub(crate) use selection::Selection;

/// Look into the inbox and change what is there, also while `serve` runs
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  heygen-webhooks inbox list --since 2h --event-type avatar_video.fail
  heygen-webhooks inbox show 01jd…
  heygen-webhooks inbox replay --state dead --since 2h")]
pub(crate) enum Inbox {
    List(List),
    Show(Show),
    Attempts(Attempts),
    Tail(Tail),
    Stats(Stats),
    Drift(Drift),
    Replay(Replay),
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
    /// Waiting to be handed out
    Pending,
    /// In the hands of a handler
    Claimed,
    /// It was in the hands of a handler when `serve` ended; the next start delivers it again (files
    /// only)
    Interrupted,
    /// Handled
    Acknowledged,
    /// Given up, and kept
    #[value(name = "dead_lettered")]
    DeadLettered,
}
