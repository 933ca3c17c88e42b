//! SIGKILL at random instants under load.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use xtask_harness::audit::Audit;
use xtask_harness::client::Client;
use xtask_harness::listener::Listener;
use xtask_harness::server::Server;

use crate::{Row, Testbed, Trial, random};

pub(super) const WHAT: &str = "SIGKILL at random instants while 24 connections deliver and handlers say done or retry; each time \
the inbox is opened again by a restart and listed, and what had no answer is sent again";

pub(super) fn run(testbed: &Testbed) -> Result<Row> {
    let (files, each) = testbed.size((10, 20), (2, 10));
    let (kills, seed) = (files * each, testbed.options.seed);
    let mut random = random(testbed, "kills");
    let (mut row, mut totals) = (Row::default(), Totals::default());
    for file in 0..files {
        row.add(life(testbed, file, each, &mut random, &mut totals)?);
        let Audit { answered, lost, .. } = row.audit;
        eprintln!(
            "kills: {} of {kills}, {answered} answered, {lost} lost",
            row.kills
        );
    }
    let notes = [
        format!("seed {seed}; {files} inbox files, {each} kills each"),
        format!(
            "{} posts had no answer when the process died and were sent again, {} of their events had been kept",
            totals.unanswered, totals.kept_unanswered
        ),
        format!(
            "handlers put off {} deliveries; every event was dispatched until done",
            totals.put_off
        ),
        format!(
            "from the start to listening again at most {} ms",
            totals.longest_start.as_millis()
        ),
        format!("resident memory at most {} MiB", totals.peak_kib / 1024),
    ];
    row.report.notes.extend(notes);
    Ok(row)
}

/// What is noted beside the numbers.
#[derive(Debug, Default)]
struct Totals {
    unanswered: u64,
    kept_unanswered: u64,
    put_off: u64,
    longest_start: Duration,
    peak_kib: u64,
}

/// The life of one inbox file.
fn life(
    testbed: &Testbed,
    file: u64,
    kills: u64,
    random: &mut fastrand::Rng,
    totals: &mut Totals,
) -> Result<Row> {
    let name = format!("kills-{file}");
    let (mut trial, sink) = (Trial::new(testbed, &name)?, Listener::of_halves()?);
    let mut reached = Vec::new();
    let mut server = start(&mut trial, &sink, totals)?;
    for kill in 1..=kills {
        let load = trial.load(&server, CONNECTIONS);
        thread::sleep(Duration::from_micros(random.u64(..LONGEST_LOAD_MICROS)));
        let peak = server.memory().map_or(0, |memory| memory.peak);
        totals.peak_kib = totals.peak_kib.max(peak);
        reached.extend(server.kill()?);
        trial.ledger.add(load.stop()?);
        server = start(&mut trial, &sink, totals)?;
        let audit = trial.audit()?;
        totals.unanswered += trial.ledger.unanswered().len() as u64;
        // Without a loss, whatever is kept beyond what was answered had no answer.
        totals.kept_unanswered += (audit.kept + audit.lost).saturating_sub(audit.answered);
        if !audit.is_sound() {
            trial.report.wrong(format!("after kill {kill}: {audit:?}"));
        }
    }
    let mut row = trial.settle(server, || [reached, sink.subjects()].concat())?;
    row.kills = kills;
    totals.put_off += sink.seen().refused;
    Ok(row.at(&name))
}

fn start(trial: &mut Trial, sink: &Listener, totals: &mut Totals) -> Result<Server> {
    let started = Instant::now();
    let server = sink.serve(&trial.home, trial.home.command())?;
    totals.longest_start = totals.longest_start.max(started.elapsed());
    let probe = Client::new(server.address).probe();
    if !matches!(probe, Ok(200..=299)) {
        trial
            .report
            .wrong(format!("the probe got {probe:?} after a start"));
    }
    Ok(server)
}

const CONNECTIONS: usize = 24;

/// Long enough for many commits, short enough that starting and stopping falls into it too.
const LONGEST_LOAD_MICROS: u64 = 300_000;
