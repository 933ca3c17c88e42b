//! A cluster: three nodes of NATS, two receivers, two workers, of which one after the other is killed, cut off or paused.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::Value;
use xtask_harness::audit::{Audit, Ledger};
use xtask_harness::event::{Events, subject};
use xtask_harness::report::{Report, Table};
use xtask_nats::Program;

use crate::{Row, Testbed};

mod application;
mod figures;
mod senders;
mod setting;
mod steps;

use figures::{Came, header, seconds};
use setting::{LONGEST, Setting};
use steps::STEPS;

pub(super) const WHAT: &str = "three nodes of NATS with a stream of three replicas, two receivers and two workers, all on loopback; \
while posts go to both receivers, in turn the stream's leader, a follower, a receiver and a worker in the middle of its work get SIGKILL, \
leader and follower are cut off, the leader hangs, and all nodes get SIGKILL at once: what was answered 2xx is in the stream once and is \
handed over until done, and each time everything works again by itself";

pub(super) fn run(testbed: &Testbed) -> Result<Row> {
    let load = load_of_the_machine();
    let started = Instant::now();
    let events = Events::new(format!("cluster-{}", testbed.options.seed))?;
    let connections = testbed.size(8, 2);
    let mut setting = Setting::start(testbed, &events, connections)?;
    let begin = Instant::now();
    if !setting.wait_until_well(begin) {
        bail!("nothing was taken and handed over at the start");
    }
    let mut report = Report::default();
    let mut steps = Vec::new();
    for step in STEPS {
        eprintln!("cluster: {}", step.0);
        let mut stepped = steps::run(step, &mut setting)?;
        let came = Came {
            posts: setting.senders.posts(),
            handed: setting.application.sink.seen().taken.clone(),
            ..Came::default()
        };
        let row = came.row(step.0, &stepped.stretch, stepped.well_after);
        // What is in the stream is not known yet.
        let figures = row.iter().zip(header()).take(7).skip(1);
        let figures: Vec<_> = figures
            .map(|(cell, name)| format!("{cell} {name}"))
            .collect();
        eprintln!("cluster: {}: {}", step.0, figures.join(", "));
        eprint!("{}", stepped.report.lines("cluster: "));
        report.add(std::mem::take(&mut stepped.report));
        steps.push(stepped);
    }
    let (posts, ledger) = setting.senders.end()?;
    let all = begin..Instant::now();
    setting.wait_until_handed(&ledger.answered);
    let kept = Kept::of_stream(&setting, &events, &mut report)?;
    let handed = setting.application.sink.seen().taken.clone();
    let mut handed_ids: BTreeMap<u64, BTreeSet<&str>> = BTreeMap::new();
    for taken in &handed {
        // What is about nothing that was sent counts as altered.
        if let Some(number) = events.number(&taken.subject) {
            handed_ids.entry(number).or_default().insert(&taken.id);
        }
    }
    let state = setting.application.state();
    kept.look(&ledger, &handed_ids, &mut report);
    if kept.altered + state.altered > 0 {
        report.wrong(format!(
            "{} bodies in the stream and {} that were handed over are not what was sent",
            kept.altered, state.altered
        ));
    }
    let [lost, doubled] = kept.lost_and_doubled(&ledger);
    let came = Came {
        posts,
        handed,
        lost,
        doubled,
    };
    let mut table = Table::new(1, &header());
    for step in steps {
        table.row(came.row(step.name, &step.stretch, step.well_after));
    }
    let total = came.row("all of it", &all, None);
    let handed_again = total.last().cloned().unwrap_or_default();
    table.row(total);
    report.table(&table);
    let notes = &mut report.notes;
    let first = format!(
        "the application put off {} events once; {handed_again} were handed over and done more than once, with the same id",
        state.put_off.len()
    );
    notes.insert(0, first);
    notes.push(format!(
        "nats-server {}, {connections} connections to each receiver, {} in all; load of the machine before it began: {load}",
        testbed.options.nats.version()?,
        seconds(started.elapsed())
    ));
    if testbed.options.nats == Program::Debian {
        notes.push(
            "this nats-server promises too little for a cluster: it acknowledges before it writes, and it is known to lose events when \
             nodes are cut off; docs/scale-out.md names the versions that do better"
                .to_owned(),
        );
    }
    let subjects = kept.subjects.iter().map(String::as_str);
    Ok(Row {
        kills: setting.kills,
        audit: Audit::of(&ledger, &events, subjects),
        report,
    })
}

/// What the stream holds at the end.
#[derive(Debug, Default)]
struct Kept {
    /// By their numbers: the ids, as many as there are messages.
    ids: BTreeMap<u64, Vec<String>>,
    /// Bodies that are not what was sent, byte for byte.
    altered: u64,
    /// How many are in a state other than done.
    undone: BTreeMap<String, u64>,
    subjects: Vec<String>,
}

impl Kept {
    /// Asks until everything is done, and no longer than that may take.
    fn of_stream(setting: &Setting, events: &Events, report: &mut Report) -> Result<Self> {
        let started = Instant::now();
        let mut failed = None;
        loop {
            let is_late = started.elapsed() > LONGEST;
            match setting.export() {
                Ok(lines) => {
                    let kept = Self::of(&lines, events);
                    if kept.undone.is_empty() || is_late {
                        report.notes.extend(failed);
                        return Ok(kept);
                    }
                }
                Err(error) if is_late => return Err(error),
                Err(error) => {
                    failed = Some(format!("the stream was listed at a later try: {error:#}"));
                }
            }
            thread::sleep(Duration::from_millis(500));
        }
    }

    fn of(lines: &[Value], events: &Events) -> Self {
        let mut kept = Self::default();
        for line in lines {
            let text = |field: &str| line[field].as_str().unwrap_or_default();
            let (state, body) = (text("state"), text("body"));
            if state != "acknowledged" {
                *kept.undone.entry(state.to_owned()).or_default() += 1;
            }
            let subject = subject(body.as_bytes());
            // What is about nothing that was sent, the audit tells.
            if let Some(number) = events.number(&subject) {
                kept.altered += u64::from(body != events.body(number));
                let ids = kept.ids.entry(number).or_default();
                ids.push(text("id").to_owned());
            }
            kept.subjects.push(subject);
        }
        kept
    }

    /// The events that were answered and are not here, and those that are here more than once.
    fn lost_and_doubled(&self, ledger: &Ledger) -> [BTreeSet<u64>; 2] {
        let mut lost = ledger.answered.clone();
        lost.retain(|number| !self.ids.contains_key(number));
        let doubled = self.ids.iter().filter(|(_, ids)| ids.len() > 1);
        [lost, doubled.map(|(number, _)| *number).collect()]
    }

    /// What must hold in the end, beside that everything is there once.
    fn look(&self, ledger: &Ledger, handed: &BTreeMap<u64, BTreeSet<&str>>, report: &mut Report) {
        report.wrong_if(ledger.unanswered().len(), "events were never taken");
        let missing = |number: &&u64| !handed.contains_key(number);
        report.wrong_if(
            ledger.answered.iter().filter(missing).count(),
            "events were answered 2xx and never handed over",
        );
        report.wrong_if(
            self.ids.keys().filter(missing).count(),
            "events are in the stream and were never handed over",
        );
        let other_ids = handed.iter().filter(|(number, ids)| {
            let kept = self.ids.get(number).map_or(&[][..], Vec::as_slice);
            ids.len() > 1 || !ids.iter().all(|id| kept.iter().any(|kept| kept == id))
        });
        report.wrong_if(
            other_ids.count(),
            "events were handed over under another id than the stream's, or more than one",
        );
        for (state, number) in &self.undone {
            report.wrong(format!("{number} events are {state} and not done"));
        }
        report.wrong.extend(ledger.unexpected());
    }
}

/// How many processes wanted to run, on the mean of the last minute.
fn load_of_the_machine() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").to_owned()
}

const RECEIVERS: usize = 2;
