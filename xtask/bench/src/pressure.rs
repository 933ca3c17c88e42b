//! Everything at once: a million pending, every handler hanging, 256 connections that deliver. What memory that takes, and
//! how long HeyGen's probe waits.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use xtask_harness::probes::{Connection, Prober};
use xtask_harness::process::Memory;
use xtask_harness::report::{Report, Table, cell, median};
use xtask_harness::server::{Output, Server, free_address};

use crate::backlog;
use crate::ground::Ground;
use crate::serving::audit;

pub(super) const WHAT: &str = "OPTIONS and resident memory of `serve` with a million pending, every handler hanging, and 256 connections under load";

pub(super) fn run(ground: &Ground) -> Result<Report> {
    let rows = ground.size(MILLION, 50_000);
    let mut runs = Vec::new();
    for round in 1..=ground.options.rounds() {
        let run = run_one(ground, rows)?;
        let Run { p99, memory, .. } = &run;
        eprintln!(
            "round {round}: OPTIONS p99 {:.1} ms, resident memory {memory}",
            milliseconds(*p99)
        );
        runs.push(run);
    }
    let middle = |figure: fn(&Run) -> f64| median(runs.iter().map(figure));
    let p99 = middle(|run| milliseconds(run.p99));
    let resident = middle(|run| run.memory.peak as f64 / 1024.0);
    let longest = runs
        .iter()
        .map(|run| milliseconds(run.longest))
        .fold(0.0, f64::max);
    let mut table = Table::new(
        0,
        &[
            "pending before",
            "requests/s",
            "OPTIONS",
            "p99 ms",
            "longest ms",
            "resident MiB",
            "at most MiB",
        ],
    );
    table.row([
        rows.to_string(),
        cell(middle(|run| run.rate), 0),
        runs.iter().map(|run| run.probes).sum::<usize>().to_string(),
        cell(p99, 1),
        cell(Some(longest), 1),
        cell(middle(|run| run.memory.now as f64 / 1024.0), 0),
        cell(resident, 0),
    ]);
    let mut report = Report::default();
    report.table(&table);
    report.note(
        "`serve --exec sleep`: 16 handlers, the default, none of which ends; each OPTIONS on a new connection, every 5 ms; \
         medians of the rounds, but for the longest, which is of all",
    );
    for wrong in runs.iter().filter_map(|run| run.wrong.as_ref()) {
        report.wrong(wrong);
    }
    report.figure("probe p99 ms", p99);
    if rows == MILLION {
        report.figure("resident MiB", resident);
    }
    Ok(report)
}

struct Run {
    /// What is wrong with the probes, if anything.
    wrong: Option<String>,
    rate: f64,
    probes: usize,
    p99: Duration,
    longest: Duration,
    memory: Memory,
}

fn run_one(ground: &Ground, rows: u64) -> Result<Run> {
    let filled = backlog::filled(ground, rows)?;
    let load = ground.load()?;
    let home = ground.home("pressure")?;
    backlog::copy(&filled, &home.inbox())?;
    let before = ground.kept(&home, &[])?;
    let address = free_address()?;
    let seconds = ground.options.seconds();
    let mut command = ground.serve(&home, &address.to_string());
    // Longer than the load, and not for ever: whatever happens to `serve`, nothing stays for long.
    command.args(["--exec", "sleep", &(seconds + 40).to_string()]);
    let running = Server::start(command, address, home.folder(), Output::Null)?;
    let prober = Prober::start(address, Connection::New);
    let measured = load.send(address, CONNECTIONS, seconds, load.measured());
    let probes = prober.stop()?;
    let measured = measured?;
    let memory = running.memory().context("the system tells no memory")?;
    running.end()?;
    if let Some(wrong) = measured.wrong() {
        bail!("{wrong}");
    }
    audit(ground.kept(&home, &[])?, before, &[&measured], CONNECTIONS)?;
    let [p99, longest] = probes.times();
    Ok(Run {
        wrong: probes.wrong(),
        rate: measured.per_second(),
        probes: probes.len(),
        p99,
        longest,
        memory,
    })
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

const MILLION: u64 = 1_000_000;
const CONNECTIONS: usize = 256;
