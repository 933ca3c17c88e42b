//! An error at the n-th call, for every n until nothing fails any more.

use std::fs;
use std::ops::Range;
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use xtask_harness::audit::Ledger;
use xtask_harness::testbed::output_text;

use crate::shim::{Failure, Shim};
use crate::{Row, Testbed, Trial};

mod serving;

pub(super) const WHAT: &str = "an I/O error at the n-th call on the inbox's files (EIO once, EIO from then on, ENOSPC once), for every n \
until nothing fails any more, while deliveries are taken in, a file of the first schema is brought up to date, old ones are pruned, \
`serve` starts, answers, and brings its log into the file: whatever failed, the file is sound, nothing is lost, and the next try succeeds";

pub(super) fn run(testbed: &Testbed) -> Result<Row> {
    let mut row = Row::default();
    for part in PARTS {
        row.add(all_failures(testbed, |failure| part.run(testbed, failure))?);
    }
    row.add(all_failures(testbed, |failure| {
        serving::starts(testbed, failure)
    })?);
    row.add(all_failures(testbed, |failure| {
        serving::answers(testbed, failure)
    })?);
    row.add(serving::checkpoints(testbed)?);
    row.report
        .note("what was taken in by `inbox import` is counted as a request and as answered");
    Ok(row)
}

/// Runs it for all failures at once, because each mostly waits for the disk; for the first alone on a short run.
fn all_failures(testbed: &Testbed, run: impl Fn(Failure) -> Result<Row> + Sync) -> Result<Row> {
    let failures = testbed.size(&Failure::ALL[..], &Failure::ALL[..1]);
    let run = &run;
    thread::scope(|scope| {
        let threads: Vec<_> = failures
            .iter()
            .map(|&failure| scope.spawn(move || run(failure)))
            .collect();
        let mut row = Row::default();
        for thread in threads {
            row.add(thread.join().map_err(|_| anyhow!("a thread panicked"))??);
        }
        Ok(row)
    })
}

/// Tries with the first call failing, then with the second, and so on, until none has failed; `tried` says whether one has, and is
/// given a name for it. Returns which calls failed, in words.
fn every_call(
    testbed: &Testbed,
    what: &str,
    failure: Failure,
    mut tried: impl FnMut(u64, &str) -> Result<bool>,
) -> Result<String> {
    let failure = failure.name;
    let step = testbed.size(1, QUICK_STEP);
    for n in (1..=MOST_CALLS).step_by(step) {
        let when = format!("{what}, {failure} at call {n}");
        if tried(n, &when).with_context(|| when.clone())? {
            continue;
        }
        return match (n, step) {
            (1, _) => bail!("{when}: no call was made to fail"),
            (_, 1) => Ok(format!("{what}: {failure} at each of {} calls", n - 1)),
            _ => Ok(format!(
                "{what}: {failure} at every {step}th of {} calls",
                n - 1
            )),
        };
    }
    bail!("{what}: still failing after {MOST_CALLS} calls")
}

/// An inbox, and a shim that looks at its file.
fn stage(testbed: &Testbed, name: &str) -> Result<(Trial, Shim)> {
    let name = format!("calls {name}").replace(' ', "-");
    let trial = Trial::of(testbed, &name, PREFIX)?;
    let shim = Shim::new(trial.home.inbox())?;
    Ok((trial, shim))
}

/// A command that changes an inbox file and ends.
struct Part {
    name: &'static str,
    words: &'static [&'static str],
    /// Whether it begins with [`FIRST_SCHEMA`] instead of what it would import.
    is_first_schema: bool,
    /// The events that must be there all the time.
    stay: Range<u64>,
    /// Those that the command takes in.
    come: Range<u64>,
    /// Those that it deletes: they are old and done.
    go: Range<u64>,
}

const PARTS: &[Part] = &[
    Part {
        name: "taking in, from no file on",
        words: &["inbox", "import", "new.jsonl", "--strict"],
        is_first_schema: false,
        stay: 0..0,
        come: 1..9,
        go: 0..0,
    },
    Part {
        name: "migration",
        words: &["inbox", "import", "new.jsonl"],
        is_first_schema: true,
        stay: 1..13,
        come: 0..0,
        go: 0..0,
    },
    Part {
        name: "prune",
        words: &["inbox", "prune", "--older-than", "1d", "--yes"],
        is_first_schema: false,
        stay: 1..9,
        come: 0..0,
        go: 9..41,
    },
];

impl Part {
    fn run(&self, testbed: &Testbed, failure: Failure) -> Result<Row> {
        let (mut trial, mut shim) = stage(testbed, &format!("{} {}", self.words[1], failure.name))?;
        let (mut row, mut failed_in_vain) = (Row::default(), 0);
        let tried = every_call(testbed, self.name, failure, |n, when| {
            trial.home.empty()?;
            self.prepare(&trial)?;
            shim.fail(failure, n, "any", "*")?;
            let tried = trial.home.run_with(shim.command(&trial.home), self.words)?;
            let (is_done, has_failed) = (tried.status.success(), shim.has_failed()?);
            if !is_done && !has_failed {
                bail!("it failed of itself: {}", output_text(&tried));
            }
            let between = self.flaws_between(&mut trial, is_done)?;
            trial.report.wrong.extend(between);
            let again = trial.home.run(self.words)?;
            if !again.status.success() {
                let said = output_text(&again);
                trial.report.wrong(format!("the next try failed: {said}"));
            }
            // This must be there in the end, and nothing else.
            trial.ledger = Ledger::of(self.stay.clone().chain(self.come.clone()), 200);
            row.add(trial.look()?.at(when));
            failed_in_vain += u64::from(is_done && has_failed);
            Ok(has_failed)
        })?;
        row.report.note(format!(
            "{tried}; {failed_in_vain} times the command succeeded all the same"
        ));
        Ok(row)
    }

    fn prepare(&self, trial: &Trial) -> Result<()> {
        let write = |name: &str, bytes: &[u8]| {
            let path = trial.home.folder().join(name);
            fs::write(path, bytes).with_context(|| format!("write {name}"))
        };
        let lines = |range: &Range<u64>, state| -> String {
            let lines = range.clone().map(|number| trial.events.line(number, state));
            lines.collect()
        };
        write("new.jsonl", lines(&self.come, "pending").as_bytes())?;
        if self.is_first_schema {
            return write("inbox.db", FIRST_SCHEMA);
        }
        let old = lines(&self.stay, "pending") + &lines(&self.go, "acknowledged");
        match old.is_empty() {
            true => Ok(()),
            false => trial.home.import(&old),
        }
    }

    /// After the failure and before the next try: what was there is there, whatever the file has become.
    fn flaws_between(&self, trial: &mut Trial, is_done: bool) -> Result<Option<String>> {
        let output = trial.home.run(&["inbox", "check", "--full"])?;
        let said = output_text(&output);
        if NOT_MADE_YET.iter().any(|words| said.contains(words)) {
            // The next try shows what is in it.
            return Ok(is_done.then(|| format!("done, but {said}")));
        }
        if !output.status.success() {
            return Ok(Some(format!("inbox check: {said}")));
        }
        trial.ledger = Ledger::of(self.stay.clone(), 200);
        // Undone, what was to come and what was to go may be there.
        let come = Ledger::of(self.come.clone(), if is_done { 200 } else { 503 });
        trial.ledger.add(come);
        if !is_done {
            trial.ledger.add(Ledger::of(self.go.clone(), 503));
        }
        let audit = trial.audit()?;
        Ok((!audit.is_sound()).then(|| format!("before the next try: {audit:?}")))
    }
}

const FIRST_SCHEMA: &[u8] = include_bytes!("../../../crates/heygen-inbox/tests/files/schema_1.db");

/// Of the events in [`FIRST_SCHEMA`].
const PREFIX: &str = "old";

/// What `inbox check` says of a file whose making was not finished.
const NOT_MADE_YET: [&str; 3] = ["no inbox at", "has schema version", "was not completed"];

/// Of a short run, which makes every ninth call fail and no other.
const QUICK_STEP: usize = 9;

/// Far beyond what any of these makes.
const MOST_CALLS: u64 = 2000;
