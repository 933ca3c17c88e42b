//! `inbox export`: writes deliveries to a file, a few at a time.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use heygen_inbox::sqlite::is_damaged;
use heygen_inbox::transfer::to_record;
use heygen_inbox::{BoxInbox, InboxAdmin as _, StoredDelivery};
use indicatif::ProgressBar;
use serde_json::json;

use super::chunks::Chunks;
use super::{open_existing, size, to_json};
use crate::cli::{Export, Format};
use crate::commands::management::note;
use crate::commands::progress;
use crate::failure::{Failure, error_chain};
use crate::output;
use crate::secrets::new_file::NewFile;
use crate::store::is_part_of;

pub(super) mod csv;

#[derive(Debug, Default)]
struct Written {
    deliveries: u64,
    damaged: u64,
}

pub(super) async fn run(options: &Export) -> Result<(), Failure> {
    let location = options.file.location()?;
    let inbox = open_existing(&options.file).await?;
    // `-` is standard output, as it is standard input of `inbox import`.
    let output = options.output.as_deref();
    let written = match output.filter(|output| *output != Path::new("-")) {
        None => write(&inbox, options, io::stdout(), &ProgressBar::hidden()).await?,
        Some(output) if is_part_of(&location, output) => {
            return Err(Failure::usage(
                "--output would replace the inbox itself, or a file beside it that belongs to it",
            ));
        }
        Some(output) if !options.force && is_file_with_content(output) => {
            return Err(Failure::usage(format!(
                "{} exists: give --force to replace it",
                output.display()
            )));
        }
        Some(output) => write_file(&inbox, options, output).await?,
    };
    if written.deliveries == 0 && written.damaged == 0 {
        options.selection.found_nothing();
    }
    match written.damaged {
        0 => Ok(()),
        damaged => Err(anyhow::anyhow!(
            "at least {} skipped as damaged: `inbox check` tells more",
            size::deliveries(damaged)
        )
        .into()),
    }
}

/// An empty file, as `mktemp` makes, and what is no file, as `/dev/stdout`, hold nothing to lose.
fn is_file_with_content(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0)
}

async fn write_file(inbox: &BoxInbox, options: &Export, output: &Path) -> Result<Written, Failure> {
    let file = NewFile::create(output)?;
    // A damaged inbox cannot be counted, but may be read in parts.
    let count = inbox.count(options.selection.query()?).await;
    let progress = progress::deliveries(count.unwrap_or_default())?;
    let written = write(inbox, options, file.file(), &progress).await;
    progress.finish_and_clear();
    let written = written?;
    file.keep()?;
    match options.json {
        true => output::json(&json!({
            "exported": written.deliveries,
            "damaged": written.damaged,
            "file": output,
        }))?,
        false => output::write(format!(
            "{} written to {}\n",
            size::deliveries(written.deliveries),
            output.display()
        ))?,
    }
    Ok(written)
}

/// Damaged deliveries are reported and skipped: the others may be all that is left.
async fn write(
    inbox: &BoxInbox,
    options: &Export,
    to: impl Write,
    progress: &ProgressBar,
) -> Result<Written, Failure> {
    let mut chunks = Chunks::new(inbox, options.selection.query()?).await?;
    let mut to = BufWriter::with_capacity(BUFFER, to);
    if options.format == Format::Csv {
        to.write_all(csv::head().as_bytes())?;
    }
    let mut written = Written::default();
    let mut last = None;
    loop {
        let chunk = chunks.next_readable(|error| {
            let after = last.map_or_else(String::new, |last| format!(" after {last}"));
            let damage = format!("deliveries{after}: {}", error_chain(&error));
            progress.suspend(|| note(&damage));
            written.damaged += 1;
        });
        let chunk = chunk.await?;
        if chunk.is_empty() {
            break;
        }
        last = chunk.last().map(|last| last.id);
        for summary in chunk {
            progress.inc(1);
            match inbox.get(summary.id).await {
                Ok(Some(stored)) => {
                    to.write_all(line(options.format, &stored).as_bytes())?;
                    written.deliveries += 1;
                }
                // Pruned meanwhile.
                Ok(None) => {}
                Err(error) if is_damaged(&error) => {
                    let damage = format!("{}: {}", summary.id, error_chain(&error));
                    progress.suspend(|| note(&damage));
                    written.damaged += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    to.flush()?;
    Ok(written)
}

fn line(format: Format, stored: &StoredDelivery) -> String {
    match format {
        Format::Jsonl => output::json_line(&to_json(to_record(stored))),
        Format::Csv => csv::line(stored),
    }
}

const BUFFER: usize = 1 << 16;
