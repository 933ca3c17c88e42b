//! The store by itself: appends/s by how many are under way at a time, and by how many rows the file has already.

use std::path::Path;

use anyhow::Result;
use xtask_harness::report::{Report, Table, cell};

use crate::backlog::{self, FIRST};
use crate::found::{Found, Measured};
use crate::ground::Ground;

pub(super) const WHAT: &str = "appends/s of the inbox file by batch size and by the rows already there; time to open, memory, bytes on disk";

pub(super) fn run(ground: &Ground) -> Result<Report> {
    let mut report = Report::default();
    let mut found = Found::default();
    let sizes = ground.size([0, MILLION, 10 * MILLION], [0, 50_000, 200_000]);
    for rows in sizes.into_iter().filter(|rows| *rows > 0) {
        // Before anything is appended: a larger file begins as a copy of a smaller. Why one cannot be made, its row tells.
        let _ = backlog::filled(ground, rows);
    }
    for round in 1..=ground.options.rounds() {
        for batch in BATCHES {
            found.measure(&format!("{batch} at a time"), || {
                append(ground, &ground.home("store")?.inbox(), batch, FIRST)
            });
        }
        for rows in sizes {
            found.measure(&rows_told(rows), || {
                let empty = ground.home("store")?;
                let file = match rows {
                    0 => empty.inbox(),
                    rows => backlog::filled(ground, rows)?,
                };
                // Events that no earlier round has appended.
                append(ground, &file, "256", FIRST + round * 100 * MILLION)
            });
        }
    }
    let mut table = Table::new(0, &["appends at a time", RATE, "resident MiB"]);
    for batch in BATCHES {
        let row = format!("{batch} at a time");
        let resident = found.median(&row, "resident_kib").map(|kib| kib / 1024.0);
        let rate = found.cell(&row, RATE, 0);
        table.row([batch.to_owned(), rate, cell(resident, 0)]);
    }
    report.table(&table);
    report.table(&rows_table(&found, &sizes));
    found.tell_failures(&mut report);
    let empty = rows_told(0);
    let most = found.ratio(&rows_told(10 * MILLION), &empty, RATE);
    report.figure("appends 10M/empty", most);
    report.figure(
        "open 1M s",
        found.median(&rows_told(MILLION), "open_seconds"),
    );
    report.note(
        "appends: made before the clock starts; so many wait for their commit at a time, and whatever waits shares one; \
         WAL, synchronous FULL, a new file each time",
    );
    report.note(
        "rows: all pending, appended by the store itself; 256 appends at a time on top of them",
    );
    Ok(report)
}

fn rows_table(found: &Found, sizes: &[u64]) -> Table {
    let mut table = Table::new(
        0,
        &[
            "rows already there",
            RATE,
            "of an empty file",
            "open s",
            "resident MiB after opening",
            "GB on disk",
            "bytes an event",
        ],
    );
    for &rows in sizes {
        let row = rows_told(rows);
        let resident = found.median(&row, "resident_after_open_kib");
        // Before the first round the file holds these rows and nothing else.
        let bytes = found.first(&row, "bytes_before").filter(|_| rows > 0);
        table.row([
            rows.to_string(),
            found.cell(&row, RATE, 0),
            found.share(&row, &rows_told(0), RATE),
            found.cell(&row, "open_seconds", 3),
            cell(resident.map(|kib| kib / 1024.0), 0),
            cell(bytes.map(|bytes| bytes / 1e9), 2),
            cell(bytes.map(|bytes| bytes / rows as f64), 0),
        ]);
    }
    table
}

fn append(ground: &Ground, file: &Path, batch: &str, first: u64) -> Measured {
    let (file, first) = (file.to_string_lossy(), first.to_string());
    let measured = ground.measure(&["append", &file, batch, ground.size("2", "0.3"), &first])?;
    // Not a number when it is missing, which then shows.
    let figure = |name: &'static str| measured[name].as_f64().unwrap_or(f64::NAN);
    let mut figures = vec![(RATE, figure("appends_per_second"))];
    figures.extend(FIGURES.map(|name| (name, figure(name))));
    Ok(figures)
}

fn rows_told(rows: u64) -> String {
    format!("{rows} rows already there")
}

const RATE: &str = "appends/s";
const FIGURES: [&str; 4] = [
    "open_seconds",
    "resident_after_open_kib",
    "resident_kib",
    "bytes_before",
];
const BATCHES: [&str; 5] = ["1", "8", "64", "256", "1024"];
const MILLION: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_already_is_compared_with_the_empty_file_of_the_same_round() {
        let mut found = Found::default();
        let mut measure = |rows, rates: [f64; 3]| {
            for (rate, bytes) in rates.into_iter().zip([2e9, 3e9, 4e9]) {
                let figures = [("open_seconds", 0.5), ("resident_after_open_kib", 2048.0)];
                let more = [(RATE, rate), ("bytes_before", bytes)];
                found.measure(&rows_told(rows), || Ok([figures, more].concat()));
            }
        };
        measure(0, [100.0, 50.0, 10.0]);
        measure(MILLION, [90.0, 50.0, 5.0]);
        let text = rows_table(&found, &[0, MILLION]).render();
        let line = text.lines().last().unwrap();
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let expected = [
            "", "1000000", "50", "0.90", "0.500", "2", "2.00", "2000", "",
        ];
        assert_eq!(cells, expected);
    }
}
