//! The store by itself: appends/s by how many are under way at a time, and by how many rows the file has already.

use std::path::Path;

use anyhow::{Context, Result};
use xtask_harness::report::Report;
use xtask_harness::testbed::succeed;

use crate::backlog::{self, FIRST};
use crate::measured::FIGURES;
use crate::rounds::{self, Column, Measured, Rows};
use crate::testbed::{Testbed, measured};

pub(super) const WHAT: &str = "appends/s of the inbox file by batch size and by the rows already there; time to open, memory, bytes on disk";

pub(super) fn run(testbed: &Testbed) -> Result<Report> {
    let mut batches = Rows::new(0, &["appends at a time"], &BATCH_COLUMNS);
    for batch in ["1", "8", "64", "256", "1024"] {
        batches.add(&[batch], move || {
            append(testbed, &testbed.home("store")?.inbox(), batch, FIRST)
        });
    }
    let mut filled = Rows::new(0, &["rows already there"], &ROWS_COLUMNS);
    for rows in testbed.size([0, MILLION, 10 * MILLION], [0, 50_000, 200_000]) {
        let mut round = 0;
        filled.add(&[&rows.to_string()], move || {
            let empty = testbed.home("store")?;
            let file = match rows {
                0 => empty.inbox(),
                rows => backlog::filled(testbed, rows)?,
            };
            round += 1;
            // Events that no earlier round has appended.
            let mut figures = append(testbed, &file, "256", FIRST + round * 100 * MILLION)?;
            // Before the first round the file holds these rows and nothing else.
            if let (Some((_, gigabytes)), 1, 1..) = (figures.pop(), round, rows) {
                let each = gigabytes * 1e9 / rows as f64;
                figures.extend([(ON_DISK, gigabytes), (EACH, each)]);
            }
            Ok(figures)
        });
    }
    let mut tables = [batches, filled];
    let mut report = rounds::report(testbed.options.rounds, &mut tables);
    let ten_millions = (10 * MILLION).to_string();
    let ratio = tables[1].ratio(&[&ten_millions], &["0"], RATE);
    report.figure("appends-10M/empty", ratio);
    let open = tables[1].median(&[&MILLION.to_string()], OPEN);
    report.figure("open-1M-s", open);
    report.note(
        "appends: made before the clock starts; so many wait for their commit at a time, and whatever waits shares one; \
         WAL, synchronous FULL, a new file each time",
    );
    report.note(
        "rows: all pending, appended by the store itself; 256 appends at a time on top of them",
    );
    Ok(report)
}

fn append(testbed: &Testbed, file: &Path, batch: &str, first: u64) -> Measured {
    let (file, first) = (file.to_string_lossy(), first.to_string());
    let figures = succeed(&mut measured(&[
        "append",
        &file,
        batch,
        testbed.size("2", "0.3"),
        &first,
    ]))?;
    let figures: [f64; 5] = serde_json::from_slice(&figures).context("read what was measured")?;
    Ok(FIGURES.into_iter().zip(figures).collect())
}

const RATE: &str = FIGURES[0];
const OPEN: &str = FIGURES[1];
const ON_DISK: &str = FIGURES[4];
const EACH: &str = "bytes an event";

const BATCH_COLUMNS: [Column; 2] = [Column::Median(RATE, 0), Column::Median(FIGURES[3], 0)];

const ROWS_COLUMNS: [Column; 6] = [
    Column::Median(RATE, 0),
    Column::Share("of an empty file", RATE, &["0"]),
    Column::Median(OPEN, 3),
    Column::Median(FIGURES[2], 0),
    Column::Median(ON_DISK, 2),
    Column::Median(EACH, 0),
];

const MILLION: u64 = 1_000_000;
