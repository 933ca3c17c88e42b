//! `cargo xtask bench`: how fast the receiver is beside the limit and beside its peers, and what it costs.
//!
//! One file per part: [`serving`], [`store`], [`parse`], [`dispatch`], [`pressure`], [`jetstream`]. Around them: [`options`] reads
//! the command line, [`ground`] builds and makes folders and requests, [`backlog`] fills inboxes, [`servers`] and [`peers`] are what is
//! compared, [`child`] runs them, [`wrk`] sends to them, [`figures`] and [`report`] are what was measured, [`marks`] compares that
//! with what is to be reached, [`page`] writes it down. Everything is on loopback, bounded, and ends only what it started. The
//! programs that are measured in Rust are in `xtask/bench`, so that xtask stays quick to build.

mod backlog;
mod child;
mod dispatch;
mod figures;
mod ground;
mod jetstream;
mod marks;
mod median;
mod options;
mod page;
mod parse;
mod peers;
mod pressure;
mod report;
mod servers;
mod serving;
mod store;
mod wrk;

use std::path::Path;

use anyhow::{Result, bail};

use ground::Ground;
use options::{Command, Options};
use report::Report;
use servers::SERVERS;

/// One thing that is measured.
struct Part {
    /// What `--only` takes.
    name: &'static str,
    /// What is measured, in a sentence.
    what: &'static str,
    run: fn(&Ground) -> Result<Report>,
}

/// In the order in which they run.
const PARTS: &[Part] = &[
    Part {
        name: "serve",
        what: serving::WHAT,
        run: serving::run,
    },
    Part {
        name: "parse",
        what: parse::WHAT,
        run: parse::run,
    },
    Part {
        name: "dispatch",
        what: dispatch::WHAT,
        run: dispatch::run,
    },
    Part {
        name: "pressure",
        what: pressure::WHAT,
        run: pressure::run,
    },
    Part {
        name: "jetstream",
        what: jetstream::WHAT,
        run: jetstream::run,
    },
    // The last, because it appends to files of which the others take copies.
    Part {
        name: "store",
        what: store::WHAT,
        run: store::run,
    },
];

/// Measures what was asked for and prints it; a mark that is missed fails only a run that is strict.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<()> {
    let parts: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
    let servers: Vec<&str> = SERVERS.iter().map(|server| server.name).collect();
    let options = match Options::parse(words, &parts, &servers)? {
        Command::Help => {
            print!("{}", help());
            return Ok(());
        }
        Command::Run(options) => options,
    };
    let ground = Ground::new(root, options)?;
    let mut reports = Vec::new();
    for part in PARTS
        .iter()
        .filter(|part| ground.options.includes(part.name))
    {
        eprintln!("{}: {}", part.name, part.what);
        // Minutes of measuring the other parts are not thrown away for one that fails.
        let report = (part.run)(&ground).unwrap_or_else(|error| {
            let mut report = Report::new(part.name);
            report.wrong(format!("did not come to its end: {error:#}"));
            report
        });
        println!("{}", report.render());
        reports.push(report);
    }
    let marks = marks::compared(&reports);
    print!("{}", marks::render(&marks));
    if ground.options.write {
        let generated = page::generated(&ground.options, &marks, &reports);
        page::PAGE.write(root, &generated)?;
    }
    if let Some(report) = reports.iter().find(|report| !report.is_sound()) {
        bail!("something is wrong:\n\n{}", report.render());
    }
    let missed = marks.iter().filter(|mark| mark.is_missed()).count();
    if ground.options.strict && missed > 0 {
        bail!("{missed} of {} marks were missed", marks.len());
    }
    Ok(())
}

fn help() -> String {
    let list = |names: &mut dyn Iterator<Item = (&str, &str)>| -> String {
        names
            .map(|(name, what)| format!("  {name:<14} {what}\n"))
            .collect()
    };
    let parts = list(&mut PARTS.iter().map(|part| (part.name, part.what)));
    let servers = list(&mut SERVERS.iter().map(|server| (server.name, server.what)));
    format!("{HELP}\nParts:\n{parts}\nServers:\n{servers}")
}

const HELP: &str = "\
Usage: cargo xtask bench [--only PART]... [--server NAME]... [--rounds N] [--seconds S] [--quick] [--binary FILE]
                         [--write] [--strict]

Builds heygen-webhooks in release mode, measures it beside bare hyper and beside what people use today, and prints medians
and the marks that are to be reached. Loopback only; ends by itself. Needs `wrk`, which it installs where it may; peers that
cannot be installed are named with the reason. The part `jetstream` brings a nats-server, as `cargo xtask nats` does. The part
`store` takes about 15 GB of disk in the target directory while it runs.

  --only PART     this part only; may be given several times
  --server NAME   only this server in the table of servers; may be given several times
  --rounds N      measure everything so often [default: 3]
  --seconds S     length of one measurement [default: 4]
  --quick         a short run: one round, one second, smaller inboxes; good to see that everything works, not for figures
  --binary FILE   this heygen-webhooks instead of a release build of the sources here
  --write         put the figures into docs/benchmarks.md, good or bad; of a full run only
  --strict        exit status 1 when a mark is missed

Examples:
  cargo xtask bench
  cargo xtask bench --quick
  cargo xtask bench --only serve --server limit --server durable --rounds 5
";
