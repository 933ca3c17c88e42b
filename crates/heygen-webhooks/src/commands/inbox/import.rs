//! `inbox import`: stores the deliveries that `inbox export` wrote.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use heygen_inbox::transfer::{LONGEST_LINE, Line, Lines};
use heygen_inbox::{Appended, BoxInbox, Imported, InboxAdmin as _};
use indicatif::ProgressBar;
use serde_json::json;

use super::chunks::CHUNK;
use super::export::csv;
use super::{open_beside, size};
use crate::cli::Import;
use crate::commands::management::note;
use crate::commands::progress;
use crate::failure::Failure;
use crate::output;
use crate::store;

#[derive(Debug, Default)]
struct Tally {
    new: u64,
    duplicate: u64,
    bad: u64,
}

pub(super) async fn run(options: &Import) -> Result<(), Failure> {
    let progress;
    let from: Box<dyn BufRead> = if options.from == Path::new("-") {
        progress = ProgressBar::hidden();
        Box::new(BufReader::new(io::stdin()))
    } else {
        let file = File::open(&options.from)
            .with_context(|| format!("cannot read {}", options.from.display()))?;
        progress = progress::bytes(file.metadata()?.len())?;
        Box::new(BufReader::new(file))
    };
    let inbox = open_beside(&options.file).await?;
    let mut tally = Tally::default();
    let imported = tally.import_all(options, &inbox, from, &progress).await;
    // What is written only now and then must not end with this process.
    let closed = store::close(&inbox).await;
    progress.finish_and_clear();
    // What was imported before a failure stays, so report it.
    tally.report(options)?;
    imported?;
    closed?;
    match tally.bad {
        0 => Ok(()),
        _ => Err(Failure::Said),
    }
}

impl Tally {
    async fn import_all(
        &mut self,
        options: &Import,
        inbox: &BoxInbox,
        from: impl BufRead,
        progress: &ProgressBar,
    ) -> Result<(), Failure> {
        let latest = SystemTime::now() + TOLERANCE;
        let mut chunk = Vec::new();
        let mut chunk_bytes = 0;
        for (line, number) in Lines::new(from).zip(1_u64..) {
            let line = line.with_context(|| format!("cannot read {}", options.from.display()))?;
            let read = match &line {
                Line::Whole(bytes) if bytes.trim_ascii().is_empty() => continue,
                Line::Whole(bytes) if number == 1 && csv::is_head(bytes) => {
                    return Err(Failure::usage(format!(
                        "{} is CSV, which cannot be imported: export as JSON lines (`inbox export` without --format csv)",
                        options.from.display()
                    )));
                }
                Line::Whole(bytes) => {
                    let read = match options.trust {
                        true => Imported::from_trusted_line(bytes, latest),
                        false => Imported::from_line(bytes, latest),
                    };
                    read.map_err(|error| error.to_string())
                }
                _ => Err(format!("longer than {}", size::bytes(LONGEST_LINE as u64))),
            };
            match read {
                Ok(imported) => chunk.push(imported),
                Err(error) => {
                    self.bad += 1;
                    progress.suspend(|| note(&format!("line {number}: {}", output::tame(&error))));
                    if options.strict {
                        break;
                    }
                }
            }
            progress.inc(line.len());
            chunk_bytes += line.len();
            if chunk.len() == CHUNK || chunk_bytes > CHUNK_BYTES {
                self.import(options, inbox, &mut chunk).await?;
                chunk_bytes = 0;
            }
        }
        self.import(options, inbox, &mut chunk).await
    }

    async fn import(
        &mut self,
        options: &Import,
        inbox: &BoxInbox,
        chunk: &mut Vec<Imported>,
    ) -> Result<(), Failure> {
        if options.replay {
            chunk.iter_mut().for_each(|one| one.is_replayed = true);
        }
        if chunk.is_empty() {
            return Ok(());
        }
        for appended in inbox.import(std::mem::take(chunk)).await? {
            match appended {
                Appended::New(_) => self.new += 1,
                Appended::Duplicate(_) => self.duplicate += 1,
                _ => {}
            }
        }
        Ok(())
    }

    fn report(&self, options: &Import) -> Result<(), Failure> {
        let Self {
            new,
            duplicate,
            bad,
        } = self;
        match options.json {
            true => output::json(&json!({"new": new, "duplicate": duplicate, "bad": bad}))?,
            false => output::write(format!(
                "{} new, {} already here, {} unreadable\n",
                size::count(*new),
                size::count(*duplicate),
                size::count(*bad)
            ))?,
        }
        Ok(())
    }
}

/// So far ahead of ours may the clock of another machine be; later times are refused.
const TOLERANCE: Duration = Duration::from_secs(10 * 60);

/// Long lines make smaller steps.
const CHUNK_BYTES: u64 = 16 << 20;
