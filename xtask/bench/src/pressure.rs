//! Everything at once: a million pending, every handler hanging, 256 connections that deliver. What memory that takes, and
//! how long HeyGen's probe waits.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use xtask_harness::probes::Prober;
use xtask_harness::report::Report;
use xtask_harness::server::Output;

use crate::backlog;
use crate::rounds::{self, Column, Measured, Rows, WRONG};
use crate::serving::audit;
use crate::testbed::{Testbed, load};

pub(super) const WHAT: &str = "OPTIONS and resident memory of `serve` with a million pending, every handler hanging, and 256 connections under load";

pub(super) fn run(testbed: &Testbed) -> Result<Report> {
    load(testbed)?;
    let pending = testbed.size(MILLION, 50_000);
    let label = pending.to_string();
    let mut rows = Rows::new(0, &["pending before"], &COLUMNS);
    rows.add(&[&label], || measure(testbed, pending));
    let mut tables = [rows];
    let mut report = rounds::report(testbed.options.rounds, &mut tables);
    report.note(
        "`serve --exec sleep`: 16 handlers, the default, none of which ends; each OPTIONS on a new connection, every 5 ms; \
         medians of the rounds, but for the longest, which is of all",
    );
    report.figure("probe-p99-ms", tables[0].median(&[&label], P99));
    if pending == MILLION {
        report.figure("resident-MiB", tables[0].median(&[&label], MOST));
    }
    Ok(report)
}

fn measure(testbed: &Testbed, pending: u64) -> Measured {
    let filled = backlog::filled(testbed, pending)?;
    let load = load(testbed)?;
    let home = testbed.home("pressure")?;
    backlog::copy(&filled, &home.inbox())?;
    let before = home.kept(home.inbox(), &[])?;
    // Longer than the load, and not for ever: whatever happens to `serve`, nothing stays for long.
    let longer = (testbed.options.seconds + 40).to_string();
    let (serve, sleep) = (["serve", "--listen"], ["--exec", "sleep", &longer]);
    let server = home.begin(home.command(), serve, home.inbox(), &sleep, Output::Null)?;
    let prober = Prober::start(server.address);
    let measured = load.measure(&[server.address], CONNECTIONS);
    let probes = prober.stop()?;
    let measured = measured?;
    let memory = server.memory().context("the system tells no memory")?;
    drop(server);
    let kept = home.kept(home.inbox(), &[])?;
    audit(kept, before, measured.requests, CONNECTIONS)?;
    if let Some(wrong) = probes.wrong() {
        bail!("{WRONG}: {wrong}");
    }
    let [p99, longest] = probes
        .times()
        .map(|time: Duration| time.as_secs_f64() * 1000.0);
    let [now, most] = [memory.now, memory.peak].map(|kib| kib as f64 / 1024.0);
    Ok(vec![
        (RATE, measured.per_second),
        (PROBES, probes.len() as f64),
        (P99, p99),
        (LONGEST, longest),
        (RESIDENT, now),
        (MOST, most),
    ])
}

const RATE: &str = "requests/s";
const PROBES: &str = "OPTIONS";
const P99: &str = "p99 ms";
const LONGEST: &str = "longest ms";
const RESIDENT: &str = "resident MiB";
const MOST: &str = "at most MiB";

const COLUMNS: [Column; 6] = [
    Column::Median(RATE, 0),
    Column::Median(PROBES, 0),
    Column::Median(P99, 1),
    Column::Most(LONGEST, 1),
    Column::Median(RESIDENT, 0),
    Column::Median(MOST, 0),
];

const MILLION: u64 = 1_000_000;
const CONNECTIONS: usize = 256;
