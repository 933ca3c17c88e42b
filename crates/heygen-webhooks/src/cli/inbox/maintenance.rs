//! The options of the `inbox` commands that care for the file itself.

use std::path::PathBuf;

use crate::settings::location::InboxFile;
use clap::Args;

/// Check the inbox for damage, and change nothing
///
/// Reads the whole file and checks that every page and row is sound, that every delivery has its
/// body, and that the records are consistent.
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  heygen-webhooks inbox check
  heygen-webhooks inbox check --full --inbox backup.db",
    after_help = "Exit status: 0 when the inbox is sound; 1 when something is damaged."
)]
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
/// The copy holds everything that was acknowledged to HeyGen before the command began. It is
/// checked before it gets its name, and only you can read it. It holds no secrets.
///
/// To restore it: stop `serve`, move the inbox and its -wal file away, move the copy into place,
/// and start `serve`.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  heygen-webhooks inbox backup /backups/inbox-2026-11-24.db
  heygen-webhooks inbox backup --force /backups/inbox.db \\
    --inbox /var/lib/heygen/inbox.db")]
pub(crate) struct Backup {
    /// File to write
    #[arg(value_name = "FILE")]
    pub(crate) to: PathBuf,
    #[command(flatten)]
    pub(crate) file: InboxFile,
    /// Replace FILE if it exists
    #[arg(long)]
    pub(crate) force: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
