//! SIGKILL at random instants under load.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use xtask_harness::audit::{Audit, Ledger, count};
use xtask_harness::client::Client;
use xtask_harness::event::Events;
use xtask_harness::ground::Home;
use xtask_harness::load::Load;
use xtask_harness::report::Report;
use xtask_harness::server::Server;

use crate::sink::Sink;
use crate::{Ground, Row};

pub(super) const WHAT: &str = "SIGKILL at random instants while 24 connections deliver and handlers say done or retry; each time \
the inbox is opened again by a restart and listed, and what had no answer is sent again";

pub(super) fn run(ground: &Ground) -> Result<Row> {
    let (kills, files) = (ground.size(200, 20), ground.size(10, 2));
    let mut random = ground.random("kills");
    let mut audit = Audit::default();
    let mut told = Told::default();
    for file in 0..files {
        audit.add(&life(ground, file, kills / files, &mut random, &mut told)?);
        let done = (file + 1) * (kills / files);
        let Audit { answered, lost, .. } = audit;
        eprintln!("kills: {done} of {kills}, {answered} answered, {lost} lost");
    }
    let mut report = told.report;
    report.note(format!(
        "seed {}; {files} inbox files, {} kills each",
        ground.seed,
        kills / files
    ));
    report.note(format!(
        "{} posts had no answer when the process died and were sent again, {} of their events had been kept",
        told.unanswered, told.kept_unanswered
    ));
    report.note(format!(
        "handlers put off {} deliveries; every event was dispatched until done",
        told.put_off
    ));
    let longest = told.longest_start.as_millis();
    report.note(format!(
        "from the start to listening again at most {longest} ms"
    ));
    report.note(format!(
        "resident memory at most {} MiB",
        told.peak_kib / 1024
    ));
    Ok(Row {
        kills,
        audit,
        report,
    })
}

/// What is told beside the numbers.
#[derive(Debug, Default)]
struct Told {
    unanswered: u64,
    kept_unanswered: u64,
    put_off: u64,
    longest_start: Duration,
    peak_kib: u64,
    report: Report,
}

/// The life of one inbox file.
fn life(
    ground: &Ground,
    file: u64,
    kills: u64,
    random: &mut fastrand::Rng,
    told: &mut Told,
) -> Result<Audit> {
    let name = format!("kills-{}-{file}", ground.seed);
    let (home, events, sink) = (ground.home(&name)?, Events::new(&name)?, Sink::start()?);
    let next = Arc::new(AtomicU64::new(0));
    let mut ledger = Ledger::default();
    let mut reached = Vec::new();
    let mut server = start(&home, &sink, told)?;
    for kill in 1..=kills {
        let again = ledger.unanswered();
        let load = Load::start(server.address, CONNECTIONS, &events, &next, again);
        thread::sleep(Duration::from_micros(random.u64(..LONGEST_LOAD_MICROS)));
        let peak = server.memory().map_or(0, |memory| memory.peak);
        told.peak_kib = told.peak_kib.max(peak);
        reached.extend(server.kill()?);
        ledger.add(load.stop()?);
        server = start(&home, &sink, told)?;
        let audit = home.audit(&ledger, &events)?;
        told.unanswered += count(ledger.unanswered().len());
        // Without a loss, whatever is kept beyond what was answered had no answer.
        told.kept_unanswered += (audit.kept + audit.lost).saturating_sub(audit.answered);
        if !audit.is_sound() {
            told.report
                .wrong(format!("{name} after kill {kill}: {audit:?}"));
        }
    }
    let last = || reached.into_iter().chain(sink.taken()).collect();
    let audit = home.settle(server, &mut ledger, &events, last, &mut told.report)?;
    told.put_off += sink.put_off();
    Ok(audit)
}

fn start(home: &Home, sink: &Sink, told: &mut Told) -> Result<Server> {
    let started = Instant::now();
    let server = sink.serve(home, home.command())?;
    told.longest_start = told.longest_start.max(started.elapsed());
    let probe = Client::new(server.address).probe();
    if !matches!(probe, Ok(200..=299)) {
        told.report
            .wrong(format!("the probe got {probe:?} after a start"));
    }
    Ok(server)
}

const CONNECTIONS: usize = 24;

/// Long enough for many commits, short enough that starting and stopping falls into it too.
const LONGEST_LOAD_MICROS: u64 = 300_000;
