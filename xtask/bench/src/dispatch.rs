//! Dispatching: how fast a backlog is given to a handler that does nothing, and to the default one of `serve`, which prints.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use xtask_harness::report::{Report, Table};
use xtask_harness::server::{Output, Server, free_address};

use crate::backlog;
use crate::found::{Found, Measured};
use crate::ground::Ground;

pub(super) const WHAT: &str =
    "deliveries dispatched of a backlog and recorded as done, by how many are dispatched at a time";

pub(super) fn run(ground: &Ground) -> Result<Report> {
    let filled = backlog::filled(ground, ground.size(1_000_000, 200_000))?;
    let mut found = Found::default();
    for _ in 0..ground.options.rounds() {
        let home = ground.home("dispatch")?;
        backlog::copy(&filled, &home.inbox())?;
        for concurrency in CONCURRENCIES {
            found.measure(&format!("{concurrency} at a time"), || {
                let file = home.inbox();
                let seconds = ground.size("2", "0.5");
                let words = ["dispatch", &file.to_string_lossy(), concurrency, seconds];
                let rate = ground.measure(&words)?["done_per_second"].as_f64();
                Ok(vec![(DONE, rate.context("no rate")?)])
            });
        }
        found.measure(PRINTING, || print_all(ground, &filled));
    }
    let mut table = Table::new(1, &["handler", "at a time", DONE]);
    for concurrency in CONCURRENCIES {
        let rate = found.cell(&format!("{concurrency} at a time"), DONE, 0);
        table.row(["does nothing".to_owned(), concurrency.to_owned(), rate]);
    }
    let rate = found.cell(PRINTING, DONE, 0);
    table.row([PRINTING.to_owned(), "16".to_owned(), rate]);
    let mut report = Report::default();
    report.table(&table);
    found.tell_failures(&mut report);
    report.note("done is what the file says is done; nothing is received meanwhile");
    Ok(report)
}

/// `serve` on a backlog, with its default handler.
fn print_all(ground: &Ground, filled: &Path) -> Measured {
    let home = ground.home("print")?;
    backlog::copy(filled, &home.inbox())?;
    let address = free_address()?;
    let command = ground.serve(&home, &address.to_string());
    let server = Server::start(command, address, home.folder(), Output::Kept)?;
    let clock = Instant::now();
    thread::sleep(ground.size(Duration::from_secs(3), Duration::from_millis(500)));
    let took = clock.elapsed();
    server.end()?;
    if ground.kept(&home, &["pending"])? == 0 {
        bail!("the backlog was too small: it came to its end while it was measured");
    }
    let done = ground.kept(&home, &["acknowledged"])?;
    Ok(vec![(DONE, done as f64 / took.as_secs_f64())])
}

const CONCURRENCIES: [&str; 4] = ["1", "16", "64", "256"];
const PRINTING: &str = "`serve`, printing to a file";
const DONE: &str = "done/s";
