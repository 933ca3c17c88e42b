//! The options of the `inbox` commands that care for the file itself.

use std::path::PathBuf;

use crate::settings::location::InboxFile;
use clap::Args;

/// Look for damage in the inbox, and change nothing
///
/// Reads the whole file: that every page and row is sound, that every delivery has its body, that nothing contradicts
/// itself. The exit status is 1 when something is wrong.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks inbox check
  heygen-webhooks inbox check --full --inbox backup.db")]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) file: InboxFile,
    /// Also compare every index with its table; takes several times as long
    #[arg(long)]
    pub(crate) full: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Copy the inbox to one file, also while `serve` writes to it
///
/// The copy holds everything that was answered before the command began. It is checked before it gets its name, and is
/// readable by you alone. Secrets are not in it.
///
/// To restore it: stop `serve`, put the inbox aside together with its -wal file, move the copy into its place, start
/// `serve`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks inbox backup /backups/inbox-2026-11-24.db
  heygen-webhooks inbox backup --force /backups/inbox.db --inbox /var/lib/heygen/inbox.db")]
pub(crate) struct Backup {
    /// File to write
    #[arg(value_name = "FILE")]
    pub(crate) to: PathBuf,
    #[command(flatten)]
    pub(crate) file: InboxFile,
    /// Replace FILE where it is there already
    #[arg(long)]
    pub(crate) force: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
