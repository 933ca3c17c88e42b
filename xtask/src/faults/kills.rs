//! SIGKILL at random instants under load.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::audit::{Audit, count};
use super::event::Events;
use super::ground::{Ground, Home};
use super::load::{Ledger, Load, deliver_all};
use super::random::Random;
use super::server::Server;
use super::sink::Sink;
use super::table::Row;
use crate::client::Client;

pub(super) const WHAT: &str = "SIGKILL at random instants while 24 connections deliver and handlers say done or retry; each time \
the inbox is opened again by a restart and listed, and what had no answer is sent again";

pub(super) fn run(ground: &Ground) -> Result<Row> {
    let kills = ground.size(200, 20);
    let files = ground.size(10, 2);
    let mut random = ground.random("kills");
    let mut total = Audit::default();
    let mut told = Told::default();
    for file in 0..files {
        let round = Round::new(ground, file)?;
        let audit = round.run(kills / files, &mut random, &mut told)?;
        total.add(&audit);
        let done = (file + 1) * (kills / files);
        eprintln!(
            "kills: {done} of {kills}, {} answered, {} lost",
            total.answered, total.lost
        );
    }
    let mut row = Row::new("kills", kills, total);
    row.note(format!(
        "seed {}; {files} inbox files, {} kills each",
        ground.seed(),
        kills / files
    ));
    row.note(format!(
        "{} posts had no answer when the process died and were sent again, {} of their events had been kept",
        told.unanswered, told.kept_unanswered
    ));
    row.note(format!(
        "handlers put off {} deliveries; every event was handed out until done",
        told.put_off
    ));
    let longest = told.longest_start.as_millis();
    row.note(format!(
        "from the start to listening again at most {longest} ms"
    ));
    if let Some(peak) = told.peak {
        row.note(format!("resident memory at most {} MiB", peak / 1024));
    }
    for wrong in told.wrong {
        row.wrong(wrong);
    }
    Ok(row)
}

/// What is told beside the numbers.
#[derive(Debug, Default)]
struct Told {
    unanswered: u64,
    kept_unanswered: u64,
    put_off: u64,
    longest_start: Duration,
    /// Of resident memory, in KiB.
    peak: Option<u64>,
    wrong: Vec<String>,
}

/// The life of one inbox file.
struct Round {
    home: Home,
    events: Events,
    sink: Sink,
    name: String,
}

impl Round {
    fn new(ground: &Ground, file: u64) -> Result<Self> {
        let name = format!("kills-{}-{file}", ground.seed());
        Ok(Self {
            home: ground.home(&name)?,
            events: Events::new(&name)?,
            sink: Sink::start()?,
            name,
        })
    }

    fn run(&self, kills: u64, random: &mut Random, told: &mut Told) -> Result<Audit> {
        let next = Arc::new(AtomicU64::new(0));
        let mut ledger = Ledger::default();
        let mut handed_out = BTreeSet::new();
        let mut server = self.serve(told)?;
        for kill in 1..=kills {
            let again = ledger.unanswered();
            let load = Load::start(server.address, CONNECTIONS, &self.events, &next, again);
            thread::sleep(Duration::from_micros(random.below(LONGEST_LOAD_MICROS)));
            let peak = server.memory().map(|memory| memory.peak);
            told.peak = told.peak.max(peak);
            handed_out.extend(server.kill()?);
            ledger.add(load.stop()?);

            server = self.serve(told)?;
            let audit = self.home.audit(&ledger, &self.events)?;
            let unanswered = count(ledger.unanswered().len());
            told.unanswered += unanswered;
            // Without a loss, whatever is kept beyond what was answered had no answer.
            told.kept_unanswered += (audit.kept + audit.lost).saturating_sub(audit.answered);
            if !audit.is_sound() {
                told.wrong
                    .push(format!("{} after kill {kill}: {audit:?}", self.name));
            }
        }
        let again = ledger.unanswered();
        let request = |number| self.events.request(number);
        ledger.add(deliver_all(server.address, &again, request));
        let left = self.home.left_to_hand_out()?;
        handed_out.extend(server.stop()?);
        handed_out.extend(self.sink.taken());
        self.look(&ledger, left, &handed_out, told)?;
        self.home.audit(&ledger, &self.events)
    }

    fn serve(&self, told: &mut Told) -> Result<Server> {
        let started = Instant::now();
        let server = self.sink.serve(&self.home, self.home.command())?;
        told.longest_start = told.longest_start.max(started.elapsed());
        let probe = Client::new(server.address).probe();
        if !matches!(probe, Ok(200..=299)) {
            let name = &self.name;
            told.wrong
                .push(format!("{name}: the probe got {probe:?} after a start"));
        }
        Ok(server)
    }

    /// What must hold in the end, beside that everything is there once.
    fn look(
        &self,
        ledger: &Ledger,
        left: usize,
        handed_out: &BTreeSet<String>,
        told: &mut Told,
    ) -> Result<()> {
        let name = &self.name;
        told.put_off += self.sink.put_off();
        if left > 0 {
            told.wrong
                .push(format!("{name}: {left} were not handed out until done"));
        }
        let unanswered = ledger.unanswered().len();
        if unanswered > 0 {
            told.wrong
                .push(format!("{name}: {unanswered} events were never taken"));
        }
        let handed_out: BTreeSet<u64> = handed_out
            .iter()
            .filter_map(|subject| self.events.number(subject))
            .collect();
        let missing: Vec<u64> = ledger.answered.difference(&handed_out).copied().collect();
        if let Some(first) = missing.first() {
            let count = missing.len();
            let subject = format!("{name}-{first}");
            let record = self.home.record(&subject)?;
            told.wrong.push(format!(
                "{name}: {count} events reached no handler; the first is {record}"
            ));
        }
        told.wrong
            .extend(ledger.unexpected().map(|what| format!("{name}: {what}")));
        let flaws = self.home.flaws()?;
        told.wrong
            .extend(flaws.map(|flaws| format!("{name}: inbox check: {flaws}")));
        Ok(())
    }
}

const CONNECTIONS: usize = 24;

/// Long enough for many commits, short enough that starting and stopping falls into it too.
const LONGEST_LOAD_MICROS: u64 = 300_000;
