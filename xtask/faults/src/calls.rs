//! An error at the n-th call, for every n until nothing fails any more.

use std::fs;
use std::ops::RangeInclusive;
use std::process::Output;
use std::thread;

use anyhow::{Context, Result, anyhow, bail};

use xtask_harness::audit::{Audit, Ledger};
use xtask_harness::event::Events;
use xtask_harness::ground::{Home, told};
use xtask_harness::report::Report;

use crate::shim::{EIO, ENOSPC, Errno, Failing, Lasting, Shim};
use crate::{Ground, Row};

mod serving;

pub(super) const WHAT: &str = "an I/O error at the n-th call on the inbox's files (EIO once, EIO from then on, ENOSPC once), for every n \
until nothing fails any more, while deliveries are taken in, a file of the first schema is brought up to date, old ones are pruned, \
`serve` starts, answers, and brings its log into the file: whatever failed, the file is sound, nothing is lost, and the next try succeeds";

pub(super) fn run(ground: &Ground) -> Result<Row> {
    let mut total = Sum::default();
    for part in PARTS {
        total.add(all_ways(ground, |way| part.run(ground, way))?);
    }
    total.add(all_ways(ground, |way| serving::starts(ground, way))?);
    total.add(all_ways(ground, |way| serving::answers(ground, way))?);
    total.add(serving::checkpoints(ground)?);
    let Sum { audit, mut report } = total;
    report.note("what was taken in by `inbox import` is counted as a request and as answered");
    Ok(Row {
        kills: 0,
        audit,
        report,
    })
}

/// How calls fail.
#[derive(Clone, Copy, Debug)]
struct Way {
    lasting: Lasting,
    error: Errno,
}

/// The first alone on a short run.
const WAYS: [Way; 3] = [
    Way {
        lasting: Lasting::Once,
        error: EIO,
    },
    Way {
        lasting: Lasting::ForGood,
        error: EIO,
    },
    Way {
        lasting: Lasting::Once,
        error: ENOSPC,
    },
];

impl Way {
    fn told(self) -> String {
        let lasting = match self.lasting {
            Lasting::Once => "once",
            Lasting::ForGood => "for good",
        };
        format!("{} {lasting}", self.error.name)
    }

    /// The n-th call on any file fails so.
    fn at(self, n: u64) -> Failing<'static> {
        Failing {
            calls: "any",
            from: n,
            lasting: self.lasting,
            error: self.error,
            of: "*",
        }
    }
}

/// What several runs came to.
#[derive(Debug, Default)]
struct Sum {
    audit: Audit,
    report: Report,
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.audit.add(&other.audit);
        self.report.add(other.report);
    }

    /// Notes what a file holds at its end, and whether it is sound.
    fn look(
        &mut self,
        home: &Home,
        ledger: &Ledger,
        events: &Events,
        when: impl Fn() -> String,
    ) -> Result<()> {
        let audit = home.audit(ledger, events).with_context(&when)?;
        if !audit.is_sound() {
            self.report.wrong(format!("{}: {audit:?}", when()));
        }
        self.audit.add(&audit);
        let flaws = home.flaws()?;
        let flaws = flaws.map(|flaws| format!("{}: {flaws}", when()));
        self.report.wrong.extend(flaws);
        Ok(())
    }
}

/// Runs it for every way at a time: each mostly waits for the disk.
fn all_ways(ground: &Ground, run: impl Fn(Way) -> Result<Sum> + Sync) -> Result<Sum> {
    let ways = ground.size(&WAYS[..], &WAYS[..1]);
    let run = &run;
    let sums: Vec<Result<Sum>> = thread::scope(|scope| {
        let threads: Vec<_> = ways
            .iter()
            .map(|&way| scope.spawn(move || run(way)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?)
            .collect()
    });
    let mut total = Sum::default();
    for sum in sums {
        total.add(sum?);
    }
    Ok(total)
}

/// `each of 54 calls`.
fn calls_told(calls: u64, step: usize) -> String {
    match step {
        1 => format!("each of {calls} calls"),
        step => format!("every {step}th of {calls} calls"),
    }
}

/// A command that changes an inbox file and ends.
struct Part {
    name: &'static str,
    /// Of the events in the file.
    prefix: &'static str,
    /// What is there before.
    before: Before,
    words: &'static [&'static str],
    /// The events that must be there at the end, and at any time since `before`.
    stay: RangeInclusive<u64>,
    /// Those that the command takes in.
    come: RangeInclusive<u64>,
    /// Those that it deletes.
    go: RangeInclusive<u64>,
}

enum Before {
    Nothing,
    /// A file as the first version made it.
    FirstSchema,
    /// Old deliveries; those of `go` are done.
    Old,
}

/// An end before its beginning: none.
#[expect(clippy::reversed_empty_ranges, reason = "no event at all")]
const NONE: RangeInclusive<u64> = 1..=0;

const PARTS: &[Part] = &[
    Part {
        name: "taking in, from no file on",
        prefix: "come",
        before: Before::Nothing,
        words: &["inbox", "import", "new.jsonl", "--strict"],
        stay: NONE,
        come: 1..=8,
        go: NONE,
    },
    Part {
        name: "migration",
        prefix: "old",
        before: Before::FirstSchema,
        words: &["inbox", "import", "none.jsonl"],
        stay: 1..=12,
        come: NONE,
        go: NONE,
    },
    Part {
        name: "prune",
        prefix: "aged",
        before: Before::Old,
        words: &["inbox", "prune", "--older-than", "1d", "--yes"],
        stay: 1..=8,
        come: NONE,
        go: 9..=40,
    },
];

impl Part {
    fn run(&self, ground: &Ground, way: Way) -> Result<Sum> {
        let name = format!("calls-{}-{}", self.prefix, way.told().replace(' ', "-"));
        let (home, tools) = (ground.home(&name)?, ground.home(&format!("{name}-shim"))?);
        let mut shim = Shim::of(tools, home.inbox())?;
        let events = Events::new(self.prefix)?;
        let mut sum = Sum::default();
        let mut failed_in_vain = 0;
        let step = ground.size(1, QUICK_STEP);
        for n in (1..=MOST_CALLS).step_by(step) {
            let when = || format!("{}, {} at call {n}", self.name, way.told());
            home.empty()?;
            self.prepare(&home, &events).with_context(when)?;
            shim.fail(way.at(n))?;
            let tried = home.run_with(shim.command(&home), self.words)?;
            let failed = shim.failed()?;
            self.check_between(&home, &events, &tried, &mut sum, when)?;
            let again = home.run(self.words)?;
            if !again.status.success() {
                let said = told(&again);
                sum.report
                    .wrong(format!("{}: the next try failed: {said}", when()));
            }
            sum.look(&home, &self.ledger(), &events, when)?;
            if failed.is_empty() {
                if !tried.status.success() {
                    bail!("{}: it failed of itself: {}", when(), told(&tried));
                }
                sum.report.note(format!(
                    "{}: {} at {}; {failed_in_vain} times the command succeeded all the same",
                    self.name,
                    way.told(),
                    calls_told(n - 1, step)
                ));
                return Ok(sum);
            }
            failed_in_vain += u64::from(tried.status.success());
        }
        bail!("{}: still failing after {MOST_CALLS} calls", self.name)
    }

    fn prepare(&self, home: &Home, events: &Events) -> Result<()> {
        let write = |name: &str, bytes: &[u8]| {
            fs::write(home.folder().join(name), bytes).with_context(|| format!("write {name}"))
        };
        write("none.jsonl", b"")?;
        let lines = |range: &RangeInclusive<u64>, state| -> String {
            range
                .clone()
                .map(|number| events.line(number, state))
                .collect()
        };
        write("new.jsonl", lines(&self.come, "pending").as_bytes())?;
        match self.before {
            Before::Nothing => {}
            Before::FirstSchema => write("inbox.db", FIRST_SCHEMA)?,
            Before::Old => {
                let old = lines(&self.stay, "pending") + &lines(&self.go, "acknowledged");
                home.import(&old)?;
            }
        }
        Ok(())
    }

    /// After the failure and before anything mends it: what was there is there, whatever the file has become.
    fn check_between(
        &self,
        home: &Home,
        events: &Events,
        tried: &Output,
        sum: &mut Sum,
        when: impl Fn() -> String,
    ) -> Result<()> {
        let output = home.run(&["inbox", "check", "--full"])?;
        let said = told(&output);
        if NOT_MADE_YET.iter().any(|words| said.contains(words)) {
            // Not made or brought up to date yet; the next try shows what is in it.
            if tried.status.success() {
                sum.report.wrong(format!("{}: done, but {said}", when()));
            }
            return Ok(());
        }
        if !output.status.success() {
            sum.report.wrong(format!("{}: inbox check: {said}", when()));
            return Ok(());
        }
        let is_done = tried.status.success();
        let mut ledger = Ledger::of(self.stay.clone(), 200);
        ledger.add(Ledger::of(
            self.come.clone(),
            if is_done { 200 } else { 503 },
        ));
        if !is_done {
            ledger.add(Ledger::of(self.go.clone(), 503));
        }
        let audit = home.audit(&ledger, events)?;
        if !audit.is_sound() {
            sum.report
                .wrong(format!("{}, before the next try: {audit:?}", when()));
        }
        Ok(())
    }

    /// What must be there in the end, and nothing else.
    fn ledger(&self) -> Ledger {
        Ledger::of(self.stay.clone().chain(self.come.clone()), 200)
    }
}

const FIRST_SCHEMA: &[u8] = include_bytes!("../../../crates/heygen-inbox/tests/files/schema_1.db");

/// What `inbox check` says of a file that nobody has finished making.
const NOT_MADE_YET: [&str; 3] = ["no inbox at", "has schema version", "was not completed"];

/// Of a short run, which makes every ninth call fail and no other.
const QUICK_STEP: usize = 9;

/// Far beyond what any of these makes.
const MOST_CALLS: u64 = 2000;
