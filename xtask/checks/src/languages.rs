//! `cargo xtask languages`: generators of other languages read the schemas, and a table says how each of them did.

use std::panic::resume_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Result, bail};
use xtask_languages::{Check, Mode, Outcome, Tools, Verdict, checks};

use crate::not_run::{self, InCi};
use crate::tools;

/// Runs every check.
pub fn run(root: &Path, mode: Mode) -> Result<()> {
    let venv = root.join("target/languages/python");
    let python = tools::ensure(root, REQUIREMENTS, &venv).map(|()| venv);
    let tools = Tools::ensure(root, python);
    let checks = checks();
    let mut table = Vec::new();
    for (check, verdict) in checks.iter().zip(verdicts(root, &tools, &checks, mode)) {
        match &verdict.outcome {
            Outcome::Passed => {}
            Outcome::Failed(what) => println!("\n{}, {}: {what}", check.generator, check.trial),
            Outcome::NotRun(why) => {
                let what = format!("{} ({})", check.generator, check.trial);
                not_run::note(root, InCi::Fails, &what, why)?;
            }
        }
        table.push((check, verdict));
    }
    println!("\n{:<8} {:>6}  {:<25} trial", "verdict", "s", "generator");
    for (check, verdict) in &table {
        println!("{}", row(check, verdict, mode));
    }
    let failed = |(_, verdict): &&(&Check, Verdict)| matches!(verdict.outcome, Outcome::Failed(_));
    match table.iter().filter(failed).count() {
        0 => Ok(()),
        count => bail!("{count} of {} checks failed", table.len()),
    }
}

/// The verdict on each check, in their order. As many run at once as there are processors.
fn verdicts(root: &Path, tools: &Tools, checks: &[Check], mode: Mode) -> Vec<Verdict> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((index, check)) = take(checks, &next) {
            println!("running {}, {}", check.generator, check.trial);
            done.push((index, check.run(root, tools, mode)));
        }
        done
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let mut verdicts: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let done = workers.into_iter().map(thread::ScopedJoinHandle::join);
        done.flat_map(|done| done.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    verdicts.sort_by_key(|(index, _)| *index);
    verdicts.into_iter().map(|(_, verdict)| verdict).collect()
}

fn take<'a>(checks: &'a [Check], next: &AtomicUsize) -> Option<(usize, &'a Check)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    checks.get(index).map(|check| (index, check))
}

fn row(check: &Check, verdict: &Verdict, mode: Mode) -> String {
    let word = match verdict.outcome {
        Outcome::Passed if mode.prove => "proved",
        Outcome::Passed => "passed",
        Outcome::Failed(_) => "FAILED",
        Outcome::NotRun(_) => "NOT RUN",
    };
    let duration = verdict.duration.as_secs_f64();
    format!(
        "{word:<8} {duration:>6.1}  {:<25} {}",
        check.generator, check.trial
    )
}

/// The generators that PyPI carries.
pub const REQUIREMENTS: &str = "xtask/languages/python/requirements.txt";
