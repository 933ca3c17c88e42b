//! Handing out: how fast a backlog is given to a handler that does nothing, and to the default one of `serve`, which prints.

use std::collections::BTreeMap;
use std::fs::File;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::backlog;
use super::child::{Running, free_address};
use super::ground::Ground;
use super::median::median;
use super::report::{Report, cell};
use crate::table::Table;

pub(super) const WHAT: &str =
    "deliveries handed out of a backlog and recorded as done, by how many are handed out at a time";

pub(super) fn run(ground: &Ground) -> Result<Report> {
    let filled = backlog::filled(ground, ground.size(1_000_000, 200_000))?;
    let mut found: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    let mut printed = Vec::new();
    for round in 1..=ground.options.rounds {
        let home = ground.home("dispatch")?;
        backlog::copy_into(&home, &filled)?;
        for concurrency in CONCURRENCIES {
            let file = home.inbox();
            let words = [
                "dispatch",
                &file.to_string_lossy(),
                &concurrency.to_string(),
                ground.size("2", "0.5"),
            ];
            let measured = ground.measure(&words)?;
            let rate = measured["done_per_second"].as_f64().context("no rate")?;
            eprintln!("round {round}, {concurrency} at a time: {rate:.0} done/s");
            found.entry(concurrency).or_default().push(rate);
        }
        let rate = print_all(ground, &filled)?;
        eprintln!("round {round}, serve printing: {rate:.0} done/s");
        printed.push(rate);
    }
    let mut table = Table::new(1, &["handler", "at a time", "done/s"]);
    for (concurrency, rates) in found {
        let rate = cell(median(rates.into_iter()), 0);
        table.row(["does nothing".to_owned(), concurrency.to_string(), rate]);
    }
    let rate = cell(median(printed.into_iter()), 0);
    table.row([
        "`serve`, printing to a file".to_owned(),
        "16".to_owned(),
        rate,
    ]);
    let mut report = Report::new("Handing out");
    report.table(table);
    report.note("done is what the file says is done; nothing is received meanwhile");
    Ok(report)
}

/// `serve` on a backlog, with its default handler.
fn print_all(ground: &Ground, filled: &std::path::Path) -> Result<f64> {
    let home = ground.home("print")?;
    backlog::copy_into(&home, filled)?;
    let address = free_address()?;
    let command = ground.serve(&home, &address.to_string());
    let output = File::create(home.folder.join("printed")).context("create a file to print to")?;
    let running = Running::start_into(command, address, &home.log(), Stdio::from(output))?;
    let clock = Instant::now();
    thread::sleep(ground.size(Duration::from_secs(3), Duration::from_millis(500)));
    let took = clock.elapsed();
    running.stop()?;
    if ground.kept(&home, &["pending"])? == 0 {
        bail!("the backlog was too small: it came to its end while it was measured");
    }
    let done = ground.kept(&home, &["done"])?;
    Ok(done as f64 / took.as_secs_f64())
}

const CONCURRENCIES: [usize; 4] = [1, 16, 64, 256];
