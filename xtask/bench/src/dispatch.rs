//! Dispatching: how fast a backlog is given to the default handler of `serve`, which prints.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use xtask_harness::report::Report;
use xtask_harness::server::Output;

use crate::backlog;
use crate::rounds::{self, Column, Measured, Rows};
use crate::testbed::Testbed;

pub(super) const WHAT: &str = "deliveries dispatched of a backlog and recorded as done";

pub(super) fn run(testbed: &Testbed) -> Result<Report> {
    let filled = backlog::filled(testbed, testbed.size(1_000_000, 200_000))?;
    let mut rows = Rows::new(1, &["handler", "at a time"], &[Column::Median(DONE, 0)]);
    rows.add(&["`serve`, printing to a file", "16"], || {
        print_all(testbed, &filled)
    });
    let mut report = rounds::report(testbed.options.rounds, &mut [rows]);
    report.note("done is what the file says is done; nothing is received meanwhile");
    Ok(report)
}

fn print_all(testbed: &Testbed, filled: &Path) -> Measured {
    let home = testbed.home("print")?;
    backlog::copy(filled, &home.inbox())?;
    let serve = ["serve", "--listen"];
    let server = home.begin(home.command(), serve, home.inbox(), &[], Output::Kept)?;
    let clock = Instant::now();
    thread::sleep(testbed.size(Duration::from_secs(3), Duration::from_millis(500)));
    let took = clock.elapsed();
    drop(server);
    if home.kept(home.inbox(), &["pending"])? == 0 {
        bail!("the backlog was too small: it came to its end while it was measured");
    }
    let done = home.kept(home.inbox(), &["acknowledged"])?;
    Ok(vec![(DONE, done as f64 / took.as_secs_f64())])
}

const DONE: &str = "done/s";
