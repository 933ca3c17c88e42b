//! The options of the `inbox` commands that carry deliveries out and in.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Selection;
use crate::settings::location::InboxFile;

/// Write deliveries out, oldest first, as JSON lines or as CSV
///
/// A line of JSON holds everything that `inbox import` needs, to the byte: body is the text received, and body_base64
/// stands in its place where it is not UTF-8. CSV holds the columns of `inbox list` and the body, for a spreadsheet: every
/// field is quoted, and a ' stands before = + - @ (full width too) where a cell could begin, also behind ; and tabs, so that no
/// spreadsheet takes what somebody sent for a formula. It is not what was received to the byte, and cannot be imported.
///
/// A delivery that is damaged is told and passed over, and the exit status is 1.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks inbox export > deliveries.jsonl
  heygen-webhooks inbox export --since 30d --event-type avatar_video.fail --format csv --output failures.csv
  heygen-webhooks inbox export --state dead | heygen-webhooks inbox import - --trust --inbox other.db")]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) file: InboxFile,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// How to write it
    #[arg(long, value_name = "FORMAT", default_value = "jsonl")]
    pub(crate) format: Format,
    /// Write to this file, readable by you alone, whole or not at all; what is there is replaced
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Print one JSON object that says how many were written to the file
    #[arg(long, requires = "output")]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// A JSON object a line
    Jsonl,
    /// A table for spreadsheets
    Csv,
}

/// Take in what `inbox export` wrote; what is here already stays as it is
///
/// Each comes with its state and its attempts; what was in a handler's hands is pending. The inbox is made when there is
/// none. A line that cannot be read is told with its number, the others are taken in, and the exit status is 1. Importing
/// the same once more changes nothing.
///
/// A file can state anything: unless --trust is given, each delivery has the source import, whatever its line states, its
/// authenticity is import, and it never stands in the way of the same event from HeyGen.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks inbox import deliveries.jsonl
  heygen-webhooks inbox import deliveries.jsonl --trust        # exported from an inbox of my own
  heygen-webhooks inbox import deliveries.jsonl --replay       # and hand all that is new out again
  zcat deliveries.jsonl.gz | heygen-webhooks inbox import - --strict")]
pub(crate) struct Import {
    /// File to read; - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) from: PathBuf,
    #[command(flatten)]
    pub(crate) file: InboxFile,
    /// The file comes from an inbox of my own: keep each delivery's source as it is, so that what HeyGen signed counts as signed
    #[arg(long)]
    pub(crate) trust: bool,
    /// Hand out again all that is new here, whatever became of it there
    #[arg(long)]
    pub(crate) replay: bool,
    /// Stop at the first line that cannot be read; what stands before it is kept
    #[arg(long)]
    pub(crate) strict: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
