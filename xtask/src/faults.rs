//! `cargo xtask faults`: breaks the release binary in every way it promises to survive, and counts what became of each
//! delivery.
//!
//! One file per fault. Around them: [`options`] reads the command line, [`ground`] builds and makes folders to run in,
//! [`server`] runs a receiver, [`shim`] has its calls fail, [`load`] sends to it, [`outage`] does while its files fail,
//! [`audit`] compares what was answered with what the inbox holds, [`table`] shows that, [`page`] writes it down. No fault
//! has a row without an audit. Everything is on loopback, bounded, and ends only what it started. `cargo xtask cluster` runs
//! [`cluster`] alone.

mod audit;
mod calls;
mod clock;
mod cluster;
mod disk;
mod drops;
mod event;
mod ground;
mod hanging;
mod hpack;
mod kills;
mod listener;
mod load;
mod log;
mod moved;
mod open_files;
mod options;
mod outage;
mod page;
mod queue;
mod random;
mod read_only;
mod retry_after;
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

use crate::nats;

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
        name: "moved",
        what: moved::WHAT,
        run: moved::run,
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
    Fault {
        name: "log",
        what: log::WHAT,
        run: log::run,
    },
    Fault {
        name: "hpack",
        what: hpack::WHAT,
        run: hpack::run,
    },
    Fault {
        name: "retry-after",
        what: retry_after::WHAT,
        run: retry_after::run,
    },
    Fault {
        name: "hanging",
        what: hanging::WHAT,
        run: hanging::run,
    },
    Fault {
        name: CLUSTER,
        what: cluster::WHAT,
        run: cluster::run,
    },
];

/// It has a part of the page, and a command, of its own.
const CLUSTER: &str = "cluster";

/// `cargo xtask cluster`: that fault alone.
pub(crate) fn run_cluster(root: &Path, words: &[&str]) -> Result<()> {
    run(root, &[&["--only", CLUSTER], words].concat())
}

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
    if options.includes(CLUSTER) {
        nats::ensure(root)?;
    }
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
    print!("{}", table::render(&rows.iter().collect::<Vec<_>>()));
    if options.write {
        write(root, &options, &rows)?;
    }
    let wrong = rows.iter().filter(|row| !row.is_sound()).count();
    if wrong > 0 {
        bail!("{wrong} of {} faults were not survived", rows.len());
    }
    println!("\nsurvived: nothing that was answered 2xx was lost, and nothing is there twice");
    Ok(())
}

/// Renews the parts of the page that these rows are all of.
fn write(root: &Path, options: &Options, rows: &[Row]) -> Result<()> {
    let (cluster, others): (Vec<&Row>, Vec<&Row>) =
        rows.iter().partition(|row| row.name() == CLUSTER);
    if !others.is_empty() {
        let faults: Vec<_> = FAULTS
            .iter()
            .filter(|fault| fault.name != CLUSTER)
            .map(|fault| (fault.name, fault.what))
            .collect();
        let table = table::render(&others);
        page::PAGE.write(root, &page::generated(&faults, options, &table))?;
    }
    if !cluster.is_empty() {
        let table = table::render(&cluster);
        page::CLUSTER_PAGE.write(root, &page::generated_for_cluster(options, &table))?;
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
Usage: cargo xtask faults [--quick] [--only NAME]... [--seed NUMBER] [--binary FILE] [--nats NAME] [--write]
       cargo xtask cluster [OPTIONS]     the same as faults --only cluster

Builds heygen-webhooks in release mode, breaks it, and prints for each fault what was sent, answered, kept, lost and
duplicated. The exit status is 1 when anything was lost or duplicated. Loopback only; ends by itself.

  --quick         a short run: 20 kills instead of 200, and less of everything else
  --only NAME     this fault only; may be given several times
  --seed NUMBER   where the random instants come from [default: the time; printed, so that a run can be had again]
  --binary FILE   this binary instead of a release build of the sources here
  --nats NAME     the nats-server that `cluster` starts: current, or debian (2.9.10) [default: current]
  --write         put the table into docs/reliability.md, good or bad; of a full run of all faults, or of cluster, only

Examples:
  cargo xtask faults
  cargo xtask faults --quick
  cargo xtask faults --only kills --seed 7
  cargo xtask cluster
";
