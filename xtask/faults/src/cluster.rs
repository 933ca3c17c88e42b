//! A cluster: three nodes of NATS, two receivers, two workers, of which one after the other is killed, cut off or paused.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;
use xtask_harness::audit::{Audit, Ledger};
use xtask_harness::event::{Events, subject};
use xtask_harness::report::Report;
use xtask_nats::Program;

use crate::{Ground, Row};

mod application;
mod figures;
mod senders;
mod setting;
mod steps;

use application::Handed;
use figures::{Figures, Flaws, Stretch, Stretches, seconds};
use senders::Post;
use setting::{LONGEST, Setting};
use steps::{STEPS, Stepped};

pub(super) const WHAT: &str = "three nodes of NATS with a stream of three replicas, two receivers and two workers, all on loopback; \
while posts go to both receivers, in turn the stream's leader, a follower, a receiver and a worker in the middle of its work get SIGKILL, \
leader and follower are cut off, the leader hangs, and all nodes get SIGKILL at once: what was answered 2xx is in the stream once and is \
handed over until done, and each time everything works again by itself";

pub(super) fn run(ground: &Ground) -> Result<Row> {
    let load = load_of_the_machine();
    let started = Instant::now();
    let events = Events::new(format!("cluster-{}", ground.seed))?;
    let connections = ground.size(8, 2);
    let mut setting = Setting::start(ground, &events, connections)?;
    let begin = Instant::now();
    if setting.wait_until_well(begin).is_none() {
        anyhow::bail!("nothing was taken and handed over at the start");
    }
    let mut steps = Vec::new();
    for step in STEPS {
        eprintln!("cluster: {}", step.name);
        let stepped = step.run(&mut setting)?;
        let posts = setting.senders.posts();
        let handed = setting.application.handed();
        let figures = Figures::of(&posts, &Flaws::default(), &handed, stepped.stretch);
        eprintln!("cluster: {}: {}", step.name, figures.told());
        stepped
            .notes
            .iter()
            .for_each(|note| eprintln!("cluster: {note}"));
        stepped
            .wrong
            .iter()
            .for_each(|wrong| eprintln!("cluster: WRONG: {wrong}"));
        steps.push(stepped);
    }
    let (posts, ledger) = setting.senders.end()?;
    let all = Stretch {
        begin,
        end: Instant::now(),
    };
    let answered: Vec<u64> = ledger.answered.iter().copied().collect();
    let _ = setting.wait_until_handed(&answered, Instant::now());
    let kept = Kept::of_stream(&setting, &events)?;
    let ended = Ended {
        steps,
        posts,
        handed: setting.application.handed(),
        audit: Audit::of(&ledger, &events, kept.subjects()),
        ledger,
        kept,
        all,
    };
    let mut row = ended.row(setting.kills);
    let version = ground.nats.version()?;
    row.report.note(format!(
        "nats-server {version}, {connections} connections to each receiver, {} in all; load of the machine before it began: {load}",
        seconds(started.elapsed())
    ));
    if ground.nats == Program::Debian {
        row.report.note(
            "this nats-server promises too little for a cluster: it acknowledges before it writes, and it is known to lose events when \
             nodes are cut off; docs/scale-out.md names the versions that do better",
        );
    }
    Ok(row)
}

/// What the stream holds at the end.
struct Kept {
    /// By their numbers: the ids, as many as there are messages.
    ids: BTreeMap<u64, Vec<String>>,
    /// Bodies that are not what was sent, byte for byte.
    altered: u64,
    /// How many are in a state other than done.
    undone: BTreeMap<String, u64>,
    subjects: Vec<String>,
    /// Why the stream could not be listed at first.
    failed: Option<String>,
}

impl Kept {
    /// Asks until everything is done, and no longer than that may take.
    fn of_stream(setting: &Setting, events: &Events) -> Result<Self> {
        let started = Instant::now();
        let mut failed = None;
        loop {
            let is_late = started.elapsed() > LONGEST;
            match setting.export() {
                Ok(lines) => {
                    let kept = Self::of(&lines, events);
                    if kept.undone.is_empty() || is_late {
                        return Ok(Self { failed, ..kept });
                    }
                }
                Err(error) if is_late => return Err(error),
                Err(error) => failed = Some(format!("{error:#}")),
            }
            thread::sleep(Duration::from_millis(500));
        }
    }

    fn of(lines: &[Value], events: &Events) -> Self {
        let mut kept = Self {
            ids: BTreeMap::new(),
            altered: 0,
            undone: BTreeMap::new(),
            subjects: Vec::new(),
            failed: None,
        };
        let text = |line: &Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();
        for line in lines {
            let (id, state, body) = (text(line, "id"), text(line, "state"), text(line, "body"));
            if state != "acknowledged" {
                *kept.undone.entry(state).or_default() += 1;
            }
            let subject = subject(body.as_bytes());
            // What is about nothing that was sent, the audit tells.
            if let Some(number) = events.number(&subject) {
                kept.altered += u64::from(body != events.body(number));
                kept.ids.entry(number).or_default().push(id);
            }
            kept.subjects.push(subject);
        }
        kept
    }

    fn subjects(&self) -> impl Iterator<Item = &str> {
        self.subjects.iter().map(String::as_str)
    }
}

/// All that is known when it has ended.
struct Ended {
    steps: Vec<Stepped>,
    posts: Vec<Post>,
    ledger: Ledger,
    handed: Handed,
    kept: Kept,
    audit: Audit,
    all: Stretch,
}

impl Ended {
    fn row(self, kills: u64) -> Row {
        let flaws = self.flaws();
        let mut report = Report::default();
        let mut table = Stretches::new();
        for step in &self.steps {
            let figures = Figures::of(&self.posts, &flaws, &self.handed, step.stretch);
            table.row(step.name, &figures, step.well_after);
        }
        let all = Figures::of(&self.posts, &flaws, &self.handed, self.all);
        table.row("all of it", &all, None);
        report.tables.push(table.render());
        let put_off = self.handed.put_off.len();
        report.note(format!(
            "the application put off {put_off} events once; {} were handed over and done more than once, with the same id",
            all.handed_again
        ));
        let failed = self.kept.failed.iter();
        report
            .notes
            .extend(failed.map(|why| format!("the stream was listed at a later try: {why}")));
        let notes = self.steps.iter().flat_map(|step| step.notes.clone());
        report.notes.extend(notes);
        self.look(&mut report);
        Row {
            kills,
            audit: self.audit,
            report,
        }
    }

    /// What must hold in the end, beside that everything is there once.
    fn look(&self, report: &mut Report) {
        let wrong = self.steps.iter().flat_map(|step| step.wrong.clone());
        report.wrong.extend(wrong);
        report.wrong_if(self.ledger.unanswered().len(), "events were never taken");
        let handed = &self.handed.taken;
        let missing = |number: &&u64| !handed.contains_key(number);
        let in_stream = self.kept.ids.keys();
        report.wrong_if(
            self.ledger.answered.iter().filter(missing).count(),
            "events were answered 2xx and never handed over",
        );
        report.wrong_if(
            in_stream.filter(missing).count(),
            "events are in the stream and were never handed over",
        );
        let other_ids = handed.iter().filter(|(number, times)| {
            let ids: BTreeSet<&str> = times.iter().map(|(id, _)| id.as_str()).collect();
            let kept = self.kept.ids.get(number).map_or(&[][..], Vec::as_slice);
            ids.iter().any(|id| !kept.iter().any(|kept| kept == id)) || ids.len() > 1
        });
        report.wrong_if(
            other_ids.count(),
            "events were handed over under another id than the stream's, or more than one",
        );
        for (state, number) in &self.kept.undone {
            report.wrong(format!("{number} events are {state} and not done"));
        }
        if self.kept.altered + self.handed.altered > 0 {
            report.wrong(format!(
                "{} bodies in the stream and {} that were handed over are not what was sent",
                self.kept.altered, self.handed.altered
            ));
        }
        report.wrong.extend(self.ledger.unexpected());
    }

    fn flaws(&self) -> Flaws {
        let ids = &self.kept.ids;
        let lost = self.ledger.answered.iter();
        let doubled = ids.iter().filter(|(_, ids)| ids.len() > 1);
        Flaws {
            lost: lost
                .filter(|number| !ids.contains_key(number))
                .copied()
                .collect(),
            doubled: doubled.map(|(number, _)| *number).collect(),
        }
    }
}

/// How many processes wanted to run, on the mean of the last minute.
fn load_of_the_machine() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").to_owned()
}

const RECEIVERS: usize = 2;
const WORKERS: usize = 2;
