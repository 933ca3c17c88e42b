//! `drill`: tests an endpoint as HeyGen would call it, and prints a scorecard.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context as _;
use heygen_testkit::drill::{Check, CheckResult, Drill as Exercise, Scorecard, Verdict};
use serde_json::{Value, json};
use tokio::runtime::Builder;

use crate::cli::Drill;
use crate::commands::prose;
use crate::failure::Failure;
use crate::output::screen::{Screen, of_word};
use crate::output::{self, tame, without_query};
use crate::process::runtime::run_on;
use crate::secrets::secret;
use crate::settings::web_address::destination;

mod junit;

pub(super) fn run(options: &Drill) -> Result<(), Failure> {
    let url = destination("url", &options.url)?;
    if let Some(file) = &options.junit {
        check_folder(file)?;
    }
    let exercise = exercise(options, &url)?;
    let mut written = Ok(());
    let width = prose::width();
    let tell = |result: &CheckResult| {
        // After the first line that was not read, the rest is not even tried.
        if !options.json && written.is_ok() && result.verdict != Verdict::Skip {
            written = output::write_bytes(line(result, Screen::stdout(), width));
        }
    };
    let scorecard = run_on(&mut Builder::new_multi_thread(), async {
        exercise.run(tell).await.map_err(Failure::of_sending)
    })?;
    if let Some(file) = &options.junit {
        write_junit(file, &url, &scorecard)?;
    }
    let written: io::Result<()> = written.and_then(|()| match options.json {
        true => output::json(&document(&url, &scorecard)),
        false => output::write(format!(
            "{}{}",
            skipped(&scorecard, width),
            summary(&scorecard)
        )),
    });
    // The verdict is the exit status, whether the words are read or not.
    match (scorecard.passed(), written) {
        (false, _) => Err(Failure::Said),
        (true, written) => Ok(written?),
    }
}

fn exercise(options: &Drill, url: &str) -> Result<Exercise, Failure> {
    let only: Vec<Check> = named(&options.only);
    let skip: Vec<Check> = named(&options.skip);
    let mut exercise = Exercise::new(url).burst(options.burst.into()).skip(&skip);
    if !only.is_empty() {
        exercise = exercise.only(&only);
    }
    let is_wanted =
        |check: &Check| (only.is_empty() || only.contains(check)) && !skip.contains(check);
    let mut wanted = Check::ALL
        .iter()
        .filter(|check| is_wanted(check))
        .peekable();
    if wanted.peek().is_none() {
        return Err(Failure::usage("--only and --skip leave no check to run"));
    }
    if options.without_secret {
        return Ok(exercise);
    }
    if wanted.all(|check| *check == Check::Probe) {
        return Ok(exercise);
    }
    let file = options.config.read()?;
    let secrets = secret::require(
        &options.secrets.over(&file)?.files(),
        &file,
        ", or run only the checks that need none with --without-secret",
    )?;
    let first = secrets.iter().next().cloned();
    Ok(first.map_or(exercise.clone(), |secret| exercise.secret(secret)))
}

fn named(ids: &[String]) -> Vec<Check> {
    ids.iter().filter_map(|id| Check::from_id(id)).collect()
}

/// Everything of others is tame in it.
fn line(result: &CheckResult, screen: Screen, width: Option<usize>) -> String {
    let check = result.check;
    let ids = Check::ALL.iter().map(|check| check.id().len());
    let id_width = ids.max().unwrap_or(0);
    let verdict = label(result.verdict);
    let verdict = screen.paint(of_word(&verdict), &verdict);
    let mut text = format!("{verdict}  {:<id_width$}  ", check.id());
    text.push_str(&prose::broken(check.title(), INDENT + id_width + 2, width));
    text.push('\n');
    let mut detail = |line: &str| {
        text.push_str(&" ".repeat(INDENT));
        text.push_str(&prose::broken(&tame(line), INDENT, width));
        text.push('\n');
    };
    detail(&result.seen);
    if matches!(result.verdict, Verdict::Fail | Verdict::Note) {
        detail(&format!("costs: {}", result.cost));
    }
    if result.verdict == Verdict::Fail {
        detail(&format!("fix: {}", result.fix));
    }
    text
}

fn skipped(scorecard: &Scorecard, width: Option<usize>) -> String {
    let results = scorecard.results().iter();
    let skipped = results.filter(|result| result.verdict == Verdict::Skip);
    let reasons = prose::grouped(skipped.map(|it| (it.check.id(), it.seen.as_str())));
    let texts = reasons.into_iter().map(|(seen, ids)| {
        let text = format!("{}: {}", ids.join(", "), tame(seen));
        format!("skip  {}\n", prose::broken(&text, INDENT, width))
    });
    texts.collect()
}

/// A failure is to catch the eye without colours.
fn label(verdict: Verdict) -> String {
    match verdict {
        Verdict::Fail => "FAIL".to_owned(),
        other => other.as_str().to_owned(),
    }
}

fn summary(scorecard: &Scorecard) -> String {
    let counts: Vec<String> = VERDICTS
        .iter()
        .map(|(verdict, word)| (scorecard.count(*verdict), word))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let slowest = scorecard
        .slowest()
        .map(|time| format!(", slowest delivery {} ms", time.as_millis()))
        .unwrap_or_default();
    format!(
        "\n{}; {} requests{slowest}\n",
        counts.join(", "),
        scorecard.requests()
    )
}

fn document(url: &str, scorecard: &Scorecard) -> Value {
    let counts: serde_json::Map<String, Value> = VERDICTS
        .iter()
        .map(|(verdict, _)| {
            (
                verdict.as_str().to_owned(),
                scorecard.count(*verdict).into(),
            )
        })
        .collect();
    let checks: Vec<Value> = scorecard
        .results()
        .iter()
        .map(|result| {
            let mistakes: Vec<_> = result.mistakes.iter().map(|it| it.id()).collect();
            json!({
                "id": result.check.id(),
                "title": result.check.title(),
                "verdict": result.verdict.as_str(),
                "seen": result.seen,
                "cost": result.cost,
                "fix": result.fix,
                "mistakes": mistakes,
                "informative": result.check.is_informative(),
                "milliseconds": millis(result.duration),
            })
        })
        .collect();
    json!({
        "url": without_query(url),
        "passed": scorecard.passed(),
        "counts": counts,
        "requests": scorecard.requests(),
        "slowest_milliseconds": scorecard.slowest().map(millis),
        "checks": checks,
    })
}

fn millis(time: std::time::Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The requests that are made by then would be for nothing.
fn check_folder(file: &Path) -> Result<(), Failure> {
    if file == Path::new("-") {
        return Err(Failure::usage(
            "--junit: standard output has the scorecard: name a file",
        ));
    }
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    match folder.is_none_or(Path::is_dir) && !file.is_dir() {
        true => Ok(()),
        false => Err(anyhow::anyhow!(
            "--junit: cannot write {}: its folder does not exist, or it is a folder itself",
            file.display()
        )
        .into()),
    }
}

fn write_junit(file: &Path, url: &str, scorecard: &Scorecard) -> Result<(), Failure> {
    let written = junit::document(&without_query(url), scorecard)
        .map_err(anyhow::Error::from)
        .and_then(|document| Ok(fs::write(file, document)?));
    written.with_context(|| format!("cannot write {}", file.display()))?;
    Ok(())
}

/// Where the details of a check begin.
const INDENT: usize = 6;

const VERDICTS: [(Verdict, &str); 5] = [
    (Verdict::Pass, "passed"),
    (Verdict::Warn, "passed with a warning"),
    (Verdict::Fail, "failed"),
    (Verdict::Skip, "skipped"),
    (Verdict::Note, "noted"),
];
