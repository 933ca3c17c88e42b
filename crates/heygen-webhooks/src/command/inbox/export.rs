//! `inbox export`: writes deliveries out, a few at a time.

use std::io::{self, BufWriter, Write};

use heygen_inbox::Kept;
use heygen_inbox::sqlite::SqliteReader;
use serde_json::json;

use super::chunks::Chunks;
use super::{is_same_file, path, progress, reader, size};
use crate::cli::{Export, Format};
use crate::failure::Failure;
use crate::new_file::NewFile;
use crate::output;

mod csv;
mod jsonl;

pub(super) fn run(options: &Export) -> Result<(), Failure> {
    let path = &path(&options.file)?;
    let reader = reader(path)?;
    let Some(output) = &options.output else {
        write(&reader, options, io::stdout().lock(), &mut || {})?;
        return Ok(());
    };
    if is_same_file(path, output) {
        return Err(Failure::usage("--output would replace the inbox itself"));
    }
    let file = NewFile::create(output)?;
    let progress = progress::deliveries(reader.count(&options.selection.query())?)?;
    let written = write(&reader, options, file.file(), &mut || progress.inc(1));
    progress.finish_and_clear();
    let written = written?;
    file.keep()?;
    match options.json {
        true => output::json(&json!({"exported": written, "file": output}))?,
        false => output::write(format!(
            "{} written to {}\n",
            size::deliveries(written),
            output.display()
        ))?,
    }
    Ok(())
}

/// Gives how many were written.
fn write(
    reader: &SqliteReader,
    options: &Export,
    to: impl Write,
    each: &mut dyn FnMut(),
) -> Result<u64, Failure> {
    let mut to = BufWriter::with_capacity(BUFFER, to);
    if options.format == Format::Csv {
        to.write_all(csv::head().as_bytes())?;
    }
    let mut written = 0;
    for chunk in Chunks::new(reader, options.selection.query())? {
        for summary in chunk? {
            // One that was pruned meanwhile is not there any more.
            let Some(kept) = reader.get(summary.id)? else {
                continue;
            };
            to.write_all(line(options.format, &kept).as_bytes())?;
            written += 1;
            each();
        }
    }
    to.flush()?;
    Ok(written)
}

fn line(format: Format, kept: &Kept) -> String {
    match format {
        Format::Jsonl => jsonl::line(kept),
        Format::Csv => csv::line(kept),
    }
}

const BUFFER: usize = 1 << 16;
