//! `cargo xtask faults`: breaks the release binary in every way it promises to survive, and counts what became of each
//! delivery.
//!
//! One file per fault. Around them: [`options`] reads the command line, [`ground`] builds and makes folders to run in,
//! [`server`] runs a receiver, [`shim`] has its calls fail, [`load`] sends to it, [`outage`] does while its files fail,
//! [`audit`] compares what was answered with what the inbox holds, [`table`] shows that, [`page`] writes it down. No fault
//! has a row without an audit. Everything is on loopback, bounded, and ends only what it started.

mod audit;
mod calls;
mod clock;
mod disk;
mod drops;
mod event;
mod ground;
mod kills;
mod load;
mod open_files;
mod options;
mod outage;
mod page;
mod queue;
mod random;
mod read_only;
mod server;
mod shim;
mod sink;
mod slow;
mod slow_http;
mod table;
mod torn;

use std::path::Path;

use anyhow::{Context, Result, bail};

use ground::Ground;
use options::{Command, Options};
use table::Row;

/// One way to break the receiver.
struct Fault {
    /// What `--only` takes and the table shows.
    name: &'static str,
    /// What is done, and what must hold, in a sentence or two.
    what: &'static str,
    run: fn(&Ground) -> Result<Row>,
}

/// In the order in which they run.
const FAULTS: &[Fault] = &[
    Fault {
        name: "kills",
        what: kills::WHAT,
        run: kills::run,
    },
    Fault {
        name: "queue",
        what: queue::WHAT,
        run: queue::run,
    },
    Fault {
        name: "drops",
        what: drops::WHAT,
        run: drops::run,
    },
    Fault {
        name: "slow",
        what: slow::WHAT,
        run: slow::run,
    },
    Fault {
        name: "slowhttptest",
        what: slow_http::WHAT,
        run: slow_http::run,
    },
    Fault {
        name: "disk",
        what: disk::WHAT,
        run: disk::run,
    },
    Fault {
        name: "read-only",
        what: read_only::WHAT,
        run: read_only::run,
    },
    Fault {
        name: "calls",
        what: calls::WHAT,
        run: calls::run,
    },
    Fault {
        name: "torn",
        what: torn::WHAT,
        run: torn::run,
    },
    Fault {
        name: "clock",
        what: clock::WHAT,
        run: clock::run,
    },
];

/// Runs what was asked for, prints the table, and fails when a delivery was lost or doubled, or anything else was wrong.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<()> {
    let names: Vec<&str> = FAULTS.iter().map(|fault| fault.name).collect();
    let options = match Options::parse(words, &names)? {
        Command::Help => {
            print!("{}", help());
            return Ok(());
        }
        Command::Run(options) => options,
    };
    let ground = Ground::new(root, &options)?;
    eprintln!("seed {}", ground.seed());
    let mut rows = Vec::new();
    for fault in FAULTS.iter().filter(|fault| options.includes(fault.name)) {
        eprintln!("{}: {}", fault.name, fault.what);
        let row = (fault.run)(&ground).with_context(|| {
            let seed = ground.seed();
            format!(
                "fault `{}` (seed {seed}) did not come to its end",
                fault.name
            )
        })?;
        rows.push(row);
    }
    let table = table::render(&rows);
    print!("{table}");
    if options.write {
        let faults: Vec<_> = FAULTS
            .iter()
            .map(|fault| (fault.name, fault.what))
            .collect();
        page::PAGE.write(root, &page::generated(&faults, &options, &table))?;
    }
    let wrong = rows.iter().filter(|row| !row.is_sound()).count();
    if wrong > 0 {
        bail!("{wrong} of {} faults were not survived", rows.len());
    }
    Ok(())
}

fn help() -> String {
    let faults: String = FAULTS
        .iter()
        .map(|fault| format!("  {:<12} {}\n", fault.name, fault.what))
        .collect();
    format!("{HELP}\nFaults:\n{faults}")
}

const HELP: &str = "\
Usage: cargo xtask faults [--quick] [--only NAME]... [--seed NUMBER] [--binary FILE] [--write]

Builds heygen-webhooks in release mode, breaks it, and prints for each fault what was sent, answered, kept, lost and
duplicated. The exit status is 1 when anything was lost or duplicated. Loopback only; ends by itself.

  --quick         a short run: 20 kills instead of 200, and less of everything else
  --only NAME     this fault only; may be given several times
  --seed NUMBER   where the random instants come from [default: the time; printed, so that a run can be had again]
  --binary FILE   this binary instead of a release build of the sources here
  --write         put the table into docs/reliability.md, good or bad; of a full run of all faults only

Examples:
  cargo xtask faults
  cargo xtask faults --quick
  cargo xtask faults --only kills --seed 7
";
