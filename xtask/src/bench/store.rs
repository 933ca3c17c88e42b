//! The store by itself: appends/s by how many are under way at a time, and by how many rows the file has already.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::backlog::{self, FIRST};
use super::ground::{Ground, Home};
use super::median::median;
use super::report::{Report, cell};
use crate::table::Table;

pub(super) const WHAT: &str = "appends/s of the inbox file by batch size and by the rows already there; time to open, memory, bytes on disk";

pub(super) fn run(ground: &Ground) -> Result<Report> {
    let mut report = Report::new("Store");
    report.table(by_batch(ground)?);
    by_rows(ground, &mut report)?;
    report.note(
        "appends: made before the clock starts; so many wait for their commit at a time, and whatever waits shares one; \
         WAL, synchronous FULL, a new file each time",
    );
    report.note(
        "rows: all pending, appended by the store itself; 256 appends at a time on top of them",
    );
    Ok(report)
}

fn by_batch(ground: &Ground) -> Result<Table> {
    let mut found: BTreeMap<usize, Vec<Value>> = BTreeMap::new();
    for round in 1..=ground.options.rounds {
        for batch in BATCHES {
            let home = ground.home("store")?;
            let measured = append(ground, &home.inbox(), batch, FIRST)?;
            eprintln!(
                "round {round}, {batch} appends at a time: {:.0}/s",
                number(&measured, RATE)
            );
            found.entry(batch).or_default().push(measured);
        }
    }
    let mut table = Table::new(0, &["appends at a time", "appends/s", "resident MiB"]);
    for (batch, runs) in found {
        table.row([
            batch.to_string(),
            cell(middle(&runs, RATE), 0),
            cell(middle(&runs, "resident_kib").map(|kib| kib / 1024.0), 0),
        ]);
    }
    Ok(table)
}

fn by_rows(ground: &Ground, report: &mut Report) -> Result<()> {
    let sizes = ground.size([0, MILLION, 10 * MILLION], [0, 50_000, 200_000]);
    let mut files = BTreeMap::new();
    for rows in sizes.into_iter().filter(|&rows| rows > 0) {
        match backlog::filled(ground, rows) {
            Ok(file) => {
                files.insert(rows, file);
            }
            Err(error) => report.note(format!("{rows} rows: not measured: {error:#}")),
        }
    }
    let mut found: BTreeMap<u64, Vec<Value>> = BTreeMap::new();
    for round in 1..=ground.options.rounds {
        for rows in sizes
            .into_iter()
            .filter(|rows| *rows == 0 || files.contains_key(rows))
        {
            let empty: Option<Home> = match rows {
                0 => Some(ground.home("store")?),
                _ => None,
            };
            let file = match (&empty, files.get(&rows)) {
                (None, Some(file)) => file.clone(),
                (Some(home), _) => home.inbox(),
                (None, None) => continue,
            };
            // Events that no earlier round has appended.
            let first = FIRST + round as u64 * 100 * MILLION;
            let measured = append(ground, &file, 256, first)?;
            eprintln!(
                "round {round}, {rows} rows already there: {:.0}/s",
                number(&measured, RATE)
            );
            found.entry(rows).or_default().push(measured);
        }
    }
    report.table(rows_table(&found));
    if let Some(large) = found.get(&(10 * MILLION)) {
        report.figure("appends 10M/empty", of_empty(&found, large));
    }
    if let Some(million) = found.get(&MILLION) {
        report.figure("open 1M s", middle(million, "open_seconds"));
    }
    Ok(())
}

fn rows_table(found: &BTreeMap<u64, Vec<Value>>) -> Table {
    let mut table = Table::new(
        0,
        &[
            "rows already there",
            "appends/s",
            "of an empty file",
            "open s",
            "resident MiB after opening",
            "GB on disk",
            "bytes an event",
        ],
    );
    for (&rows, runs) in found {
        let megabytes = |name| middle(runs, name).map(|kib| kib / 1024.0);
        // Before the first round the file holds these rows and nothing else.
        let bytes = runs
            .first()
            .map(|run| number(run, "bytes_before"))
            .filter(|_| rows > 0);
        table.row([
            rows.to_string(),
            cell(middle(runs, RATE), 0),
            cell(of_empty(found, runs), 2),
            cell(middle(runs, "open_seconds"), 3),
            cell(megabytes("resident_after_open_kib"), 0),
            cell(bytes.map(|bytes| bytes / 1e9), 2),
            cell(bytes.map(|bytes| bytes / rows as f64), 0),
        ]);
    }
    table
}

/// The median, over the rounds, of what `runs` reach of the empty file's rate in the same round.
fn of_empty(found: &BTreeMap<u64, Vec<Value>>, runs: &[Value]) -> Option<f64> {
    let empty = found.get(&0)?;
    median(
        runs.iter()
            .zip(empty)
            .map(|(run, empty)| number(run, RATE) / number(empty, RATE)),
    )
}

fn append(ground: &Ground, file: &Path, batch: usize, first: u64) -> Result<Value> {
    let seconds = ground.size("2", "0.3");
    let file = file.to_string_lossy();
    ground.measure(&[
        "append",
        &file,
        &batch.to_string(),
        seconds,
        &first.to_string(),
    ])
}

fn middle(runs: &[Value], name: &str) -> Option<f64> {
    median(runs.iter().map(|run| number(run, name)))
}

/// Not a number when it is missing, which then shows.
fn number(run: &Value, name: &str) -> f64 {
    run[name].as_f64().unwrap_or(f64::NAN)
}

const RATE: &str = "appends_per_second";
const BATCHES: [usize; 5] = [1, 8, 64, 256, 1024];
const MILLION: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_there_already_is_compared_with_the_empty_file_of_the_same_round() {
        let run = |rate: f64| {
            json!({
                "appends_per_second": rate, "open_seconds": 0.5, "resident_after_open_kib": 2048, "bytes_before": 2_000_000_000,
            })
        };
        let runs = |rates: [f64; 3]| rates.map(run).to_vec();
        let found = BTreeMap::from([
            (0, runs([100.0, 50.0, 10.0])),
            (MILLION, runs([90.0, 50.0, 5.0])),
        ]);
        assert_eq!(of_empty(&found, &found[&MILLION]), Some(0.9));
        let text = rows_table(&found).render();
        let line = text.lines().last().unwrap();
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        assert_eq!(
            cells,
            [
                "", "1000000", "50", "0.90", "0.500", "2", "2.00", "2000", ""
            ]
        );
    }
}
