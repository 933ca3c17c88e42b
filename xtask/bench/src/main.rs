//! `cargo xtask bench`: how fast the receiver is beside the limit and beside its peers, and what it costs.
//!
//! One file per part: [`serving`], [`parse`], [`dispatch`], [`pressure`], [`jetstream`], [`store`]. Each is tables of
//! [`rounds`], which measures their rows in turn. Around them: [`testbed`] makes requests, [`backlog`] fills inboxes, [`servers`] is
//! what is compared, [`wrk`] sends to it, [`marks`] compares what was measured with what is to be reached. [`measured`] are
//! programs that are measured: this program starts itself as `xtask-bench measure …`. Everything is on loopback, bounded, and ends
//! only what it started.

#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a developer reads what this prints"
)]

mod backlog;
mod dispatch;
mod event;
mod jetstream;
mod marks;
mod measured;
mod parse;
mod pressure;
mod rounds;
mod servers;
mod serving;
mod store;
mod testbed;
mod viewers;
mod wrk;

use std::cell::OnceCell;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;
use clap::builder::PossibleValuesParser;
use xtask_harness::page::{self, machine};
use xtask_harness::report::Report;

use servers::SERVERS;
use testbed::Testbed;
use wrk::Load;

/// A name for `--only`, its title, what is measured, and how.
type Part = (
    &'static str,
    &'static str,
    &'static str,
    fn(&Testbed) -> Result<Report>,
);

/// In the order in which they run.
const PARTS: [Part; 6] = [
    ("serve", "Servers", serving::WHAT, serving::run),
    ("parse", "Parsing", parse::WHAT, parse::run),
    ("dispatch", "Dispatching", dispatch::WHAT, dispatch::run),
    ("pressure", "Under pressure", pressure::WHAT, pressure::run),
    ("jetstream", "JetStream", jetstream::WHAT, jetstream::run),
    // The last, because it appends to files that others copy.
    ("store", "Store", store::WHAT, store::run),
];

/// Measures heygen-webhooks beside bare hyper and beside what people use today, and prints medians and the marks that are to be
/// reached.
///
/// Loopback only; ends by itself. Needs `wrk`; peers that cannot be installed are named with the reason. The part `jetstream` brings a
/// nats-server, as `cargo xtask nats` does. The part `store` takes about 15 GB of disk in the target directory while it runs.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", after_help = names_help())]
struct Options {
    /// This part only; may be given several times
    #[arg(long, value_name = "PART", value_parser = PossibleValuesParser::new(PARTS.map(|part| part.0)))]
    only: Vec<String>,
    /// Only this server in the table of servers; may be given several times
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(SERVERS.map(|server| server.0)))]
    server: Vec<String>,
    /// Measure everything so often [default: 3, with --quick 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    #[arg(
        default_value = "3",
        default_value_if("quick", "true", "1"),
        hide_default_value = true
    )]
    rounds: u64,
    /// Length of one measurement [default: 4, with --quick 1]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..))]
    #[arg(
        default_value = "4",
        default_value_if("quick", "true", "1"),
        hide_default_value = true
    )]
    seconds: u64,
    /// A short run with smaller inboxes: to see that everything works, not for figures
    #[arg(long)]
    quick: bool,
    /// This heygen-webhooks instead of a release build of the sources here
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Put the figures into docs/benchmarks.md, good or bad; of a full run only
    #[arg(long, conflicts_with_all = ["quick", "only", "server"])]
    write: bool,
    /// Exit status 1 when a mark is missed
    #[arg(long)]
    strict: bool,
    #[arg(skip)]
    load: OnceCell<Load>,
}

/// Whether this is among what was asked for.
fn includes(only: &[String], name: &str) -> bool {
    only.is_empty() || only.iter().any(|only| only == name)
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ended = match words.split_first() {
        Some((&"measure", words)) => measured::run(words),
        _ => run(Options::parse()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures what was asked for and prints it; a mark that is missed fails only a run that is strict.
fn run(options: Options) -> Result<()> {
    let (binary, is_quick) = (options.binary.clone(), options.quick);
    let testbed = Testbed::new("bench", binary, is_quick, options)?;
    let options = &testbed.options;
    let mut all = Report::default();
    let mut text = String::new();
    for (name, title, what, run) in PARTS
        .into_iter()
        .filter(|part| includes(&options.only, part.0))
    {
        eprintln!("{name}: {what}");
        let mut report = Report::default();
        // Minutes of measuring the other parts are not thrown away for one that fails.
        match run(&testbed) {
            Ok(measured) => report = measured,
            Err(error) => report.wrong(format!("did not come to its end: {error:#}")),
        }
        let part = render(title, &report);
        println!("{part}");
        text.extend(["\n", &part]);
        all.add(report);
    }
    let marks = marks::render(&all.figures);
    print!("{marks}");
    if options.write {
        let figures = generated(options, &format!("{marks}{text}"));
        page::write("docs/benchmarks.md", "bench", &figures)?;
    }
    if !all.wrong.is_empty() {
        bail!("something is wrong:\n\n{}", all.wrong.join("\n"));
    }
    let missed = marks::missed(&all.figures);
    if options.strict && missed > 0 {
        bail!("{missed} marks were missed");
    }
    Ok(())
}

fn render(title: &str, report: &Report) -> String {
    let tables: String = report
        .tables
        .iter()
        .map(|table| format!("\n{table}"))
        .collect();
    let lines = report.lines("");
    let gap = if lines.is_empty() { "" } else { "\n" };
    format!("### {title}\n{tables}{gap}{lines}")
}

/// What goes between the markers of docs/benchmarks.md.
fn generated(options: &Options, figures: &str) -> String {
    let servers = SERVERS.map(|(name, what)| format!("- **{name}**: {what}.\n"));
    let Options {
        rounds, seconds, ..
    } = options;
    format!(
        "<!-- Generated by `cargo xtask bench --write`; do not edit. -->\n\n{}\n\
         Medians of one run of `cargo xtask bench --rounds {rounds} --seconds {seconds} --write`, on {}.\n\n{figures}",
        servers.concat(),
        machine()
    )
}

fn names_help() -> String {
    let parts = PARTS.map(|(name, _, what, _)| format!("  {name:<14} {what}\n"));
    let servers = SERVERS.map(|(name, what)| format!("  {name:<14} {what}\n"));
    format!("Parts:\n{}\nServers:\n{}", parts.concat(), servers.concat())
}
