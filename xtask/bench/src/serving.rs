//! The table of servers: each under the same requests, over 1, 8, 64 and 256 connections.
//!
//! They take turns, so that whatever else goes on with the machine meets all of them; the ratio to the limit is of the same
//! round, and what is told of each figure is the median over the rounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use xtask_harness::process::{Cpu, cpu, memory_of_family};
use xtask_harness::report::{Report, Table};
use xtask_harness::server::free_address;

use crate::found::{Found, Measured, WRONG};
use crate::ground::Ground;
use crate::includes;
use crate::servers::{self, SERVERS};
use crate::viewers::Viewers;
use crate::wrk;

pub(super) const WHAT: &str = "requests/s, latency, memory and CPU time of the receiver, of bare hyper and of what people use today, by \
connections";

pub(super) fn run(ground: &Ground) -> Result<Report> {
    // Made before anything is measured.
    ground.load()?;
    let mut found = Found::default();
    let names = SERVERS.map(|(name, _)| name).into_iter();
    let names: Vec<&str> = names
        .filter(|name| includes(&ground.options.server, name))
        .collect();
    for round in 1..=ground.options.rounds() {
        eprintln!("round {round} of {}", ground.options.rounds());
        for connections in CONNECTIONS {
            for name in &names {
                found.measure(&row(name, connections), || {
                    measure(ground, name, connections)
                });
            }
        }
    }
    let mut report = Report::default();
    let header = [
        "server",
        "connections",
        RATE,
        P50,
        P99,
        RESIDENT,
        "of the limit",
        USER,
        SYSTEM,
    ];
    let mut table = Table::new(1, &header);
    for connections in CONNECTIONS {
        for name in &names {
            let (row, limit) = (row(name, connections), row("limit", connections));
            let figure = |figure, digits| found.cell(&row, figure, digits);
            table.row([
                (*name).to_owned(),
                connections.to_string(),
                figure(RATE, 0),
                figure(P50, 2),
                figure(P99, 2),
                figure(RESIDENT, 0),
                found.share(&row, &limit, RATE),
                figure(USER, 1),
                figure(SYSTEM, 1),
            ]);
            let cpu = found.median(&row, USER).zip(found.median(&row, SYSTEM));
            let cpu = cpu.map(|(user, system)| user + system);
            report.figure(&format!("{name} CPU µs@{connections}"), cpu);
        }
        for (one, other) in COMPARED {
            let ratio = found.ratio(&row(one, connections), &row(other, connections), RATE);
            report.figure(&format!("{one}/{other}@{connections}"), ratio);
        }
    }
    report.table(&table);
    found.tell_failures(&mut report);
    report.note(format!(
        "peers: {}",
        servers::versions(&names, &ground.home("peers")?)
    ));
    report.note("user and system: CPU time of the server's process, by what it answered; of ours alone, whose process is one");
    Ok(report)
}

fn measure(ground: &Ground, name: &str, connections: usize) -> Measured {
    let home = ground.home(name)?;
    let admin = free_address()?;
    let server = servers::start(ground, name, &home, admin)?;
    let viewers = (name == "watched").then(|| Viewers::start(admin, VIEWERS));
    let load = ground.load()?;
    let send = |seconds, part| match name {
        // To it all requests are alike.
        "limit" => load.send_over_again(server.address, connections, seconds, part),
        _ => load.send(server.address, connections, seconds, part),
    };
    let warming = send(1, load.warm_up())?;
    let watch = Watch::start(server.id());
    let before = cpu(server.id());
    let measured = send(ground.options.seconds(), load.measured());
    let after = cpu(server.id());
    let resident = watch.stop()?;
    let fetched = viewers.map(Viewers::stop).transpose()?;
    if let Some(fetched) = fetched {
        eprintln!("{fetched} pages of the dashboard were fetched");
    }
    let measured = measured?;
    server.end().context("after the load")?;
    if let Some(wrong) = warming.wrong().or_else(|| measured.wrong()) {
        bail!("{wrong}");
    }
    if servers::keeps(name) {
        let kept = servers::kept(ground, name, &home)?;
        audit(kept, TRIALS, &[&warming, &measured], connections)?;
    }
    let mut figures = vec![
        (RATE, measured.per_second()),
        (P50, measured.p50.as_secs_f64() * 1000.0),
        (P99, measured.p99.as_secs_f64() * 1000.0),
    ];
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

fn row(name: &str, connections: usize) -> String {
    format!("{name} ({connections})")
}

/// Every 2xx is in the file beside what was there before, and nothing else but what was under way when `wrk` stopped
/// waiting for answers.
pub(super) fn audit(
    kept: u64,
    before: u64,
    loads: &[&wrk::Measured],
    connections: usize,
) -> Result<()> {
    let answered = loads.iter().map(|load| load.answered()).sum::<u64>();
    let under_way = (loads.len() * connections) as u64;
    let Some(kept) = kept.checked_sub(before) else {
        bail!("{WRONG}: {before} were in the file before, and {kept} are there now");
    };
    if kept < answered {
        bail!("{WRONG}: {answered} requests were answered 2xx and {kept} are in the file");
    }
    if kept > answered + under_way {
        bail!("{WRONG}: {kept} are in the file, and only {answered} requests were answered 2xx");
    }
    Ok(())
}

/// Looks at the memory of a process, and of all that it starts, until it is stopped.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<Option<u64>>,
}

impl Watch {
    fn start(id: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut most = memory_of_family(id);
            while !stopping.load(Ordering::Relaxed) {
                thread::sleep(BETWEEN_LOOKS);
                most = most.max(memory_of_family(id));
            }
            most
        });
        Self { stop, thread }
    }

    fn stop(self) -> Result<Option<u64>> {
        self.stop.store(true, Ordering::Relaxed);
        let most = self.thread.join();
        most.map_err(|_| anyhow!("looking at memory panicked"))
    }
}

const RATE: &str = "requests/s";
const P50: &str = "p50 ms";
const P99: &str = "p99 ms";
const RESIDENT: &str = "resident MiB";
const USER: &str = "user µs a request";
const SYSTEM: &str = "system µs a request";

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

const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    fn load(requests: u64) -> wrk::Measured {
        wrk::Measured {
            requests,
            seconds: 1.0,
            ..wrk::Measured::default()
        }
    }

    #[track_caller]
    fn check_audit(kept: u64, expected: Option<&str>) {
        let audited = audit(kept, TRIALS, &[&load(100), &load(1000)], 8);
        let text = audited.err().map(|error| error.to_string());
        assert_eq!(text.is_some(), expected.is_some(), "{text:?}");
        let found = text.unwrap_or_default();
        assert!(found.contains(expected.unwrap_or_default()), "{found}");
    }

    #[test]
    fn an_audit_knows_what_was_lost_and_what_nobody_sent() {
        check_audit(1101, None);
        check_audit(1117, None);
        check_audit(
            1100,
            Some("1100 requests were answered 2xx and 1099 are in the file"),
        );
        check_audit(0, Some("1 were in the file before"));
        check_audit(1118, Some("only 1100"));
    }
}
