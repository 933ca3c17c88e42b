//! The table of servers: each under the same requests, over 1, 8, 64 and 256 connections.
//!
//! They take turns, so that whatever else goes on with the machine meets all of them; the ratio to the limit is of the same
//! round, and what is told of each figure is the median over the rounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use super::figures::{Figures, Run, WRONG};
use super::ground::Ground;
use super::peers::Peers;
use super::report::Report;
use super::servers::{SERVERS, Server};
use super::wrk::{Load, Measured};
use crate::process::memory_of_family;

pub(super) const WHAT: &str = "requests/s, latency and memory of the receiver, of bare hyper and of what people use today, by connections";

pub(super) fn run(ground: &Ground) -> Result<Report> {
    let peers = Peers::install(&ground.peers)?;
    let load = ground.load()?;
    let mut figures = Figures::default();
    let servers: Vec<&Server> = SERVERS
        .iter()
        .filter(|server| ground.options.includes_server(server.name))
        .collect();
    let rounds = ground.options.rounds;
    for round in 1..=rounds {
        for connections in CONNECTIONS {
            for server in &servers {
                let name = server.name;
                if figures.has_failed(name, connections) {
                    continue;
                }
                let told = match run_one(ground, &peers, load, server, connections) {
                    Ok(run) => {
                        let told = format!("{:.0} requests/s", run.measured.per_second());
                        figures.add(name, connections, run);
                        told
                    }
                    // It may be missing, or not do what it is asked; the others go on.
                    Err(error) => {
                        let reason = format!("{error:#}");
                        figures.fail(name, connections, reason.clone());
                        reason
                    }
                };
                eprintln!("round {round} of {rounds}, {connections} connections, {name}: {told}");
            }
        }
    }
    let names: Vec<&str> = servers.iter().map(|server| server.name).collect();
    let mut report = figures.report(&names, &CONNECTIONS);
    report.note(format!("peers: {}", peers.versions()));
    Ok(report)
}

fn run_one(
    ground: &Ground,
    peers: &Peers,
    load: &Load,
    server: &Server,
    connections: usize,
) -> Result<Run> {
    let home = ground.home(server.name)?;
    let running = server.start(ground, peers, &home)?;
    let address = running.address;
    let send = |seconds, part| match server.looks_at_requests() {
        true => load.send(address, connections, seconds, part),
        false => load.send_over_again(address, connections, seconds, part),
    };
    let warming = send(1, load.warm_up())?;
    let watch = Watch::start(running.id());
    let measured = send(ground.options.seconds, load.measured());
    let resident_kib = watch.stop()?;
    let measured = measured?;
    running.stop().context("after the load")?;
    if let Some(wrong) = warming.wrong().or_else(|| measured.wrong()) {
        bail!("{wrong}");
    }
    if server.keeps() {
        let kept = server.kept(ground, peers, &home)?;
        audit(kept, TRIALS, &[&warming, &measured], connections)?;
    }
    Ok(Run {
        measured,
        resident_kib,
    })
}

/// Every 2xx is in the file beside what was there before, and nothing else but what was under way when `wrk` stopped
/// waiting for answers.
pub(super) fn audit(kept: u64, before: u64, loads: &[&Measured], connections: usize) -> Result<()> {
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
        self.thread
            .join()
            .map_err(|_| anyhow!("looking at memory panicked"))
    }
}

const CONNECTIONS: [usize; 4] = [1, 8, 64, 256];

/// Rightly signed requests sent before the load.
const TRIALS: u64 = 1;

const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    fn load(requests: u64) -> Measured {
        Measured {
            requests,
            seconds: 1.0,
            ..Measured::default()
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
