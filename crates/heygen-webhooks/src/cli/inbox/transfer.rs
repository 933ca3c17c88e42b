//! The options of the `inbox` commands that carry deliveries out and in.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Selection;
use crate::settings::location::InboxFile;

/// Export deliveries as JSON lines or CSV, oldest first
///
/// A JSON line holds everything that `inbox import` needs, byte for byte: `body` is the text
/// received; a body that is not UTF-8 is in `body_base64` instead.
///
/// CSV holds the columns of `inbox list` and the body, for spreadsheets. Every field is quoted, and
/// a ' is put before = + - @ (full width too) at the start of a field and after ; and tabs, so that
/// no spreadsheet runs received text as a formula. CSV cannot be imported again.
///
/// Damaged deliveries are reported and skipped.
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  heygen-webhooks inbox export > deliveries.jsonl
  heygen-webhooks inbox export --since 30d --format csv --output failures.csv
  heygen-webhooks inbox export --state dead_lettered \\
    | heygen-webhooks inbox import - --trust --inbox other.db",
    after_help = "Exit status: 0 when every delivery was exported; 1 when one is damaged or the export failed."
)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) file: InboxFile,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "jsonl")]
    pub(crate) format: Format,
    /// Write to this file instead of standard output. It is readable only by you, and gets its name
    /// only once the export is complete
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Replace the file of --output if it exists
    #[arg(long, requires = "output")]
    pub(crate) force: bool,
    /// Print the number of exported deliveries as one JSON object
    #[arg(long, requires = "output")]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// One JSON object per line
    Jsonl,
    /// A table for spreadsheets
    Csv,
}

/// Import deliveries from a file that `inbox export` wrote
///
/// Each delivery keeps its state and its attempts; claimed ones become pending. Deliveries that are
/// already in the inbox stay unchanged, so importing a file twice changes nothing. The inbox is
/// created if missing. Unreadable lines are reported with their number; the others are imported.
///
/// A file can claim anything. Unless you pass --trust, each delivery gets the source and the
/// authenticity `import`, whatever its line claims, and never counts as a duplicate of the same
/// event from HeyGen.
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  heygen-webhooks inbox import deliveries.jsonl
  zcat deliveries.jsonl.gz | heygen-webhooks inbox import - --strict

  Exported from an inbox of your own:
  heygen-webhooks inbox import deliveries.jsonl --trust

  And dispatch all new deliveries again:
  heygen-webhooks inbox import deliveries.jsonl --replay",
    after_help = "Exit status: 0 when every line was imported; 1 when one is unreadable or the import failed."
)]
pub(crate) struct Import {
    /// File to read; - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) from: PathBuf,
    #[command(flatten)]
    pub(crate) file: InboxFile,
    /// The file comes from your own inbox: keep each delivery's source, so that deliveries signed by
    /// HeyGen count as signed
    #[arg(long)]
    pub(crate) trust: bool,
    /// Dispatch every newly imported delivery again, whatever its state in the file
    #[arg(long)]
    pub(crate) replay: bool,
    /// Stop at the first unreadable line; deliveries before it stay imported
    #[arg(long)]
    pub(crate) strict: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
