//! The table of servers: each under the same requests, over 1, 8, 64 and 256 connections.

use std::time::Duration;

use anyhow::{Result, bail};
use xtask_harness::process::{Cpu, cpu, memory_of_family};
use xtask_harness::report::Report;
use xtask_harness::server::free_address;

use crate::includes;
use crate::rounds::{self, Column, Measured, Rows, WRONG};
use crate::servers::{self, SERVERS};
use crate::testbed::{Testbed, load};
use crate::viewers::Viewers;
use crate::wrk::{P50, P99};

pub(super) const WHAT: &str = "requests/s, latency, memory and CPU time of the receiver, of bare hyper and of what people use today, by \
connections";

pub(super) fn run(testbed: &Testbed) -> Result<Report> {
    // Made before anything is measured.
    load(testbed)?;
    let names = SERVERS.map(|(name, _)| name).into_iter();
    let names: Vec<&str> = names
        .filter(|name| includes(&testbed.options.server, name))
        .collect();
    let mut rows = Rows::new(1, &["server", "connections"], &COLUMNS);
    for connections in CONNECTIONS {
        for &name in &names {
            rows.add(&[name, &connections.to_string()], move || {
                measure(testbed, name, connections, RATE)
            });
        }
    }
    let mut tables = [rows];
    let mut report = rounds::report(testbed.options.rounds, &mut tables);
    for connections in CONNECTIONS.map(|connections| connections.to_string()) {
        for name in &names {
            let of = |figure| tables[0].median(&[name, &connections], figure);
            let cpu = of(USER).zip(of(SYSTEM)).map(|(user, system)| user + system);
            report.figure(&format!("{name} CPU µs@{connections}"), cpu);
        }
        for (one, other) in COMPARED {
            let ratio = tables[0].ratio(&[one, &connections], &[other, &connections], RATE);
            report.figure(&format!("{one}/{other}@{connections}"), ratio);
        }
    }
    report.note(format!(
        "peers: {}",
        servers::versions(&names, &testbed.home("peers")?)
    ));
    report.note("user and system: CPU time of the server's process, by what it answered; of ours alone, whose process is one");
    Ok(report)
}

/// One server under load; its requests/s are called `rate`.
pub(super) fn measure(
    testbed: &Testbed,
    name: &str,
    connections: usize,
    rate: &'static str,
) -> Measured {
    let home = testbed.home(name)?;
    let admin = free_address()?;
    let server = servers::start(name, &home, admin)?;
    let mut load = load(testbed)?.clone();
    load.is_endless = name == "limit";
    let to = [server.address];
    let viewers = (name == "watched").then(|| Viewers::start(admin, VIEWERS));
    let warming = load.warm_up(&to, connections);
    let before = cpu(server.id());
    let measured = load.measure(&to, connections);
    let (after, resident) = (cpu(server.id()), memory_of_family(server.id()));
    if let Some(viewers) = viewers {
        eprintln!("{} pages of the dashboard were fetched", viewers.stop()?);
    }
    drop(server);
    let (warming, measured) = (warming?, measured?);
    if servers::keeps(name) {
        let kept = servers::kept(name, &home)?;
        let answered = warming.requests + measured.requests;
        audit(kept, TRIALS, answered, 2 * connections)?;
    }
    let mut figures = measured.figures(rate);
    figures.extend(resident.map(|kib| (RESIDENT, kib as f64 / 1024.0)));
    if let (true, Some(before), Some(after)) = (servers::is_ours(name), before, after) {
        let each = |of: fn(&Cpu) -> Duration| {
            (of(&after) - of(&before)).as_secs_f64() * 1e6 / measured.requests as f64
        };
        figures.extend([
            (USER, each(|cpu| cpu.user)),
            (SYSTEM, each(|cpu| cpu.system)),
        ]);
    }
    Ok(figures)
}

/// Every 2xx is in the inbox beside what was there before, and nothing else but what was under way when `wrk` stopped waiting for
/// answers.
pub(super) fn audit(kept: u64, before: u64, answered: u64, under_way: usize) -> Result<()> {
    let Some(kept) = kept.checked_sub(before) else {
        bail!("{WRONG}: {before} were kept before, and {kept} are now");
    };
    if kept < answered {
        bail!("{WRONG}: {answered} requests were answered 2xx and {kept} are kept");
    }
    if kept > answered + under_way as u64 {
        bail!("{WRONG}: {kept} are kept, and only {answered} requests were answered 2xx");
    }
    Ok(())
}

const RATE: &str = "requests/s";
const RESIDENT: &str = "resident MiB";
const USER: &str = "user µs a request";
const SYSTEM: &str = "system µs a request";

const COLUMNS: [Column; 7] = [
    Column::Median(RATE, 0),
    Column::Median(P50, 2),
    Column::Median(P99, 2),
    Column::Median(RESIDENT, 0),
    Column::Share("of the limit", RATE, &["limit", "*"]),
    Column::Median(USER, 1),
    Column::Median(SYSTEM, 1),
];

/// Whose ratios the marks are about.
const COMPARED: [(&str, &str); 5] = [
    ("durable", "limit"),
    ("verified", "limit"),
    ("durable", "flask-durable"),
    ("durable", "node"),
    ("watched", "durable"),
];

/// Pages of the dashboard that are open.
const VIEWERS: usize = 10;

const CONNECTIONS: [usize; 4] = [1, 8, 64, 256];

/// Rightly signed requests sent before the load.
const TRIALS: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_audit(kept: u64, expected: &str) {
        let audited = audit(kept, TRIALS, 1100, 16);
        let found = audited.err().map(|error| error.to_string());
        assert_eq!(found.unwrap_or_default(), expected);
    }

    #[test]
    fn an_audit_knows_what_was_lost_and_what_no_one_sent() {
        check_audit(1101, "");
        check_audit(1117, "");
        check_audit(
            1100,
            "WRONG: 1100 requests were answered 2xx and 1099 are kept",
        );
        check_audit(0, "WRONG: 1 were kept before, and 0 are now");
        check_audit(
            1118,
            "WRONG: 1117 are kept, and only 1100 requests were answered 2xx",
        );
    }
}
