//! `cargo xtask faults`: breaks the release binary in every way it promises to survive, and counts what became of each
//! delivery.
//!
//! One file per fault, each on one or more [`Trial`]s. [`shim`] has calls fail; the rest is xtask/harness. No fault has a row without an audit. Everything is on loopback, bounded, and ends only what it started.

#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a developer reads what this prints"
)]

mod calls;
mod clock;
mod cluster;
mod hanging;
mod kills;
mod moved;
mod retry_after;
mod shim;
mod slow;
mod torn;
mod trial;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use clap::Parser;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use xtask_harness::audit::Audit;
use xtask_harness::page::{self, machine};
use xtask_harness::report::Table;
use xtask_harness::{testbed, workspace};
use xtask_nats::Program;

use trial::{Row, Trial};

/// A name for `--only`; what is done and must hold; how to do it.
type Fault = (&'static str, &'static str, fn(&Testbed) -> Result<Row>);

/// In the order in which they run.
const FAULTS: [Fault; 9] = [
    ("kills", kills::WHAT, kills::run),
    ("slow", slow::WHAT, slow::run),
    ("moved", moved::WHAT, moved::run),
    ("calls", calls::WHAT, calls::run),
    ("torn", torn::WHAT, torn::run),
    ("clock", clock::WHAT, clock::run),
    ("retry-after", retry_after::WHAT, retry_after::run),
    ("hanging", hanging::WHAT, hanging::run),
    (CLUSTER, cluster::WHAT, cluster::run),
];

/// It has a part of the page, and a command, of its own.
const CLUSTER: &str = "cluster";

/// Breaks heygen-webhooks and prints for each fault what was sent, answered, kept, lost and duplicated.
///
/// The exit status is 1 when anything was lost or duplicated. Loopback only; ends by itself. `cargo xtask cluster` is the same as
/// `cargo xtask faults --only cluster`.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask faults", after_help = faults_help())]
struct Options {
    /// A short run: 20 kills instead of 200, and less of everything else
    #[arg(long)]
    quick: bool,
    /// This fault only; may be given several times
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(FAULTS.map(|fault| fault.0)))]
    only: Vec<String>,
    /// Where the random instants come from [default: the time; printed, so that a run can be had again]
    #[arg(long, value_name = "NUMBER", default_value_t = new_seed(), hide_default_value = true)]
    seed: u64,
    /// This binary instead of a release build of the sources here
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// The nats-server that `cluster` starts; Debian's is 2.9.10
    #[arg(long, value_name = "NAME", default_value = "current", value_parser = programs())]
    nats: Program,
    /// Put the table into docs/reliability.md, good or bad; of a full run of all faults, or of cluster, only
    #[arg(long, conflicts_with = "quick")]
    write: bool,
}

impl Options {
    fn check(&self) -> Result<()> {
        let is_whole = self.only.is_empty() || self.only == [CLUSTER];
        if self.write && (!is_whole || self.nats != Program::Current) {
            bail!(
                "--write is for a full run: leave out --nats, and --only, but for `--only {CLUSTER}`"
            );
        }
        Ok(())
    }

    fn includes(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

/// What every fault runs on.
type Testbed = testbed::Testbed<Options>;

/// Random numbers for this fault, whichever other faults run.
fn random(testbed: &Testbed, fault: &str) -> fastrand::Rng {
    let salt = fault
        .bytes()
        .fold(0, |salt: u64, byte| (salt << 8) ^ u64::from(byte));
    fastrand::Rng::with_seed(testbed.options.seed ^ salt)
}

/// A seed that is short enough to be typed again.
fn new_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs() % 1_000_000)
}

/// What `--nats` takes.
fn programs() -> impl TypedValueParser<Value = Program> {
    PossibleValuesParser::new(["current", "debian"]).map(|name| match &*name {
        "debian" => Program::Debian,
        _ => Program::Current,
    })
}

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what was asked for, prints the table, and fails when a delivery was lost or doubled, or anything else was wrong.
fn run(options: Options) -> Result<()> {
    options.check()?;
    if options.includes(CLUSTER) {
        workspace::bring_nats()?;
    }
    let (binary, is_quick) = (options.binary.clone(), options.quick);
    let testbed = Testbed::new("faults", binary, is_quick, options)?;
    let options = &testbed.options;
    let seed = options.seed;
    eprintln!("seed {seed}");
    let mut rows = Vec::new();
    for (name, what, run) in FAULTS.into_iter().filter(|fault| options.includes(fault.0)) {
        eprintln!("{name}: {what}");
        let row = run(&testbed);
        let row =
            row.with_context(|| format!("fault `{name}` (seed {seed}) did not come to its end"))?;
        rows.push((name, row));
    }
    print!("{}", render(rows.iter()));
    if options.write {
        write(options, &rows)?;
    }
    let wrong = rows.iter().filter(|(_, row)| !row.is_sound()).count();
    if wrong > 0 {
        bail!("{wrong} of {} faults were not survived", rows.len());
    }
    println!("\nsurvived: nothing that was answered 2xx was lost, and nothing is there twice");
    Ok(())
}

type Named = (&'static str, Row);

/// The table, and under it what else each fault has to say.
fn render<'a>(rows: impl Iterator<Item = &'a Named> + Clone) -> String {
    let header = "fault kills requests answered kept lost duplicated";
    let mut table = Table::new(1, &header.split(' ').collect::<Vec<_>>());
    let (mut lines, mut details) = (String::new(), String::new());
    for (name, row) in rows {
        let Audit {
            requests,
            answered,
            kept,
            lost,
            duplicated,
            invented,
        } = row.audit;
        let numbers = [row.kills, requests, answered, kept, lost, duplicated];
        let mut cells = vec![(*name).to_owned()];
        cells.extend(numbers.map(|number| number.to_string()));
        table.row(cells);
        lines += &row.report.lines(&format!("{name}: "));
        if invented > 0 {
            lines.extend([format!(
                "- {name}: WRONG: {invented} records of what no one sent\n"
            )]);
        }
        details.extend(row.report.tables.iter().map(|table| format!("\n{table}")));
    }
    let gap = if lines.is_empty() { "" } else { "\n" };
    [&table.render(), gap, &lines, &details].concat()
}

/// Renews the parts of docs/reliability.md that these rows are all of.
fn write(options: &Options, rows: &[Named]) -> Result<()> {
    let (machine, seed) = (machine(), options.seed);
    let binary = options.binary.as_ref().map_or("", |_| " --binary FILE");
    for part in ["faults", CLUSTER] {
        let is_here = |name: &str| (name == CLUSTER) == (part == CLUSTER);
        let rows = rows.iter().filter(|(name, _)| is_here(name));
        if rows.clone().next().is_none() {
            continue;
        }
        let mut list = String::new();
        if part != CLUSTER {
            let faults = FAULTS.iter().filter(|fault| is_here(fault.0));
            let faults = faults.map(|(name, what, _)| format!("- **{name}**: {what}.\n"));
            list = faults.collect::<String>() + "\n";
        }
        let text = format!(
            "<!-- Generated by `cargo xtask {part} --write`; do not edit. -->\n\n{list}\
             One run of `cargo xtask {part} --seed {seed}{binary} --write`, on {machine}:\n\n{}",
            render(rows)
        );
        page::write("docs/reliability.md", part, &text)?;
    }
    Ok(())
}

fn faults_help() -> String {
    let faults = FAULTS.map(|(name, what, _)| format!("  {name:<12} {what}\n"));
    format!("Faults:\n{}", faults.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(words: &[&str], may_write: bool) {
        let words = [&["faults", "--write"], words].concat();
        let options = Options::try_parse_from(words).unwrap();
        assert_eq!(options.check().is_ok(), may_write);
    }

    #[test]
    fn only_a_full_run_is_written() {
        check(&[], true);
        check(&["--only", "cluster", "--seed", "7"], true);
        check(&["--only", "kills"], false);
        check(&["--only", "kills", "--only", "cluster"], false);
        check(&["--nats", "debian"], false);
    }

    #[test]
    fn the_table_is_aligned_and_says_what_else_matters() {
        let row = |lost, invented| {
            let audit = Audit {
                requests: 12_345,
                kept: 9,
                lost,
                invented,
                ..Audit::default()
            };
            Row {
                kills: 2,
                audit,
                ..Row::default()
            }
        };
        let mut rows = [
            ("kills", row(0, 0)),
            ("torn", row(1, 0)),
            ("clock", row(0, 2)),
        ];
        rows[0].1.report.note("seed 7");
        rows[1].1.report.tables.push("| a |\n".to_owned());
        assert_eq!(
            rows.each_ref().map(|(_, row)| row.is_sound()),
            [true, false, false]
        );
        assert_eq!(
            render(rows.iter()),
            "\
| fault | kills | requests | answered | kept | lost | duplicated |
|-------|------:|---------:|---------:|-----:|-----:|-----------:|
| kills |     2 |    12345 |        0 |    9 |    0 |          0 |
| torn  |     2 |    12345 |        0 |    9 |    1 |          0 |
| clock |     2 |    12345 |        0 |    9 |    0 |          0 |

- kills: seed 7
- clock: WRONG: 2 records of what no one sent

| a |
"
        );
    }
}
