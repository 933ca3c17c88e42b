//! Debian's `slowhttptest`, in its four modes.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::{Context, Result, bail};

use super::audit::Audit;
use super::event::Events;
use super::ground::Ground;
use super::load::{Load, deliver_all};
use super::open_files;
use super::table::Row;
use crate::client::PATH;
use crate::debian;
use crate::probes::{Connection, Prober};

pub(super) const WHAT: &str = "Debian's `slowhttptest` with 1,500 connections in each of its modes (slow headers, slow bodies, slow \
reading, ranges) beside normal traffic, which passes, as probes do; the slow are cut off";

pub(super) fn run(ground: &Ground) -> Result<Row> {
    if let Err(why) = ensure_installed() {
        let mut row = Row::new("slowhttptest", 0, Audit::default());
        row.note(format!("NOT RUN: {why:#}"));
        return Ok(row);
    }
    open_files::raise(WANTED_FILES)?;
    let home = ground.home("slowhttptest")?;
    let events = Events::new("slowhttptest")?;
    let server = home.serve(&[])?;
    let next = Arc::new(AtomicU64::new(0));
    let load = Load::start(server.address, NORMAL, &events, &next, Vec::new());
    let prober = Prober::start(server.address, Connection::New);
    let url = format!("http://{}{PATH}", server.address);
    let mut told = Vec::new();
    let mut wrong = Vec::new();
    for mode in MODES {
        let said = mode.run(&url, ground.size("12", "4"))?;
        told.push(format!(
            "{} {} open at a time",
            mode.name, said.most_connected
        ));
        if said.times_gone > 0 {
            wrong.push(format!("{}: service not available", mode.name));
        }
        if mode.holds_on && said.most_connected < LEAST_OPEN {
            wrong.push(format!("{}: fewer than {LEAST_OPEN} were open", mode.name));
        }
    }
    let probes = prober.stop()?;
    let mut ledger = load.stop()?;
    let failed = ledger.refused.values().sum::<u64>() + ledger.broken;
    ledger.add(deliver_all(
        server.address,
        &ledger.unanswered(),
        |number| events.request(number),
    ));
    let memory = server.memory();
    server.stop()?;

    let mut row = Row::new("slowhttptest", 0, home.audit(&ledger, &events)?);
    row.note(told.join(", "));
    row.note(format!(
        "beside them {NORMAL} normal connections, {failed} of whose posts failed; {}",
        probes.told()
    ));
    if let Some(memory) = memory {
        row.note(format!("resident memory {memory}"));
    }
    if failed > 0 {
        wrong.push(format!("{failed} normal posts failed beside the slow ones"));
    }
    wrong.extend(probes.wrong());
    wrong.extend(home.flaws()?);
    wrong.into_iter().for_each(|wrong| row.wrong(wrong));
    Ok(row)
}

/// A way of being slow.
struct Mode {
    name: &'static str,
    options: &'static [&'static str],
    /// Whether its connections stay open.
    holds_on: bool,
}

const MODES: [Mode; 4] = [
    Mode {
        name: "slow headers",
        options: &["-H"],
        holds_on: true,
    },
    Mode {
        name: "slow bodies",
        options: &["-B"],
        holds_on: true,
    },
    // Windows of a few bytes, read a byte a second, three requests on a connection.
    Mode {
        name: "slow reading",
        options: &[
            "-X", "-w", "10", "-y", "20", "-n", "1", "-z", "1", "-k", "3",
        ],
        holds_on: true,
    },
    Mode {
        name: "ranges",
        options: &["-R"],
        holds_on: false,
    },
];

/// What it told about a run.
#[derive(Debug, Default, Eq, PartialEq)]
struct Said {
    most_connected: u64,
    /// How often its own probe found the service gone.
    times_gone: u64,
}

impl Mode {
    fn run(&self, url: &str, seconds: &str) -> Result<Said> {
        let connections = CONNECTIONS.to_string();
        let output = Command::new(PROGRAM)
            .args(self.options)
            .args(["-c", &connections, "-r", &connections, "-i", "2", "-p", "3"])
            .args(["-l", seconds, "-u", url])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .context("start slowhttptest")?;
        let said = Said::read(&String::from_utf8_lossy(&output.stdout));
        match said {
            Some(said) => Ok(said),
            None => bail!(
                "slowhttptest told nothing of {} ({})",
                self.name,
                output.status
            ),
        }
    }
}

impl Said {
    /// `None` when there is no word of connections at all. Its lines are coloured.
    fn read(text: &str) -> Option<Self> {
        let mut said = Self::default();
        let mut has_told = false;
        for line in text.lines() {
            if let Some((_, value)) = line.split_once("connected:") {
                has_told = true;
                said.most_connected = said.most_connected.max(first_number(value));
            }
            if let Some((_, value)) = line.split_once("service available:") {
                said.times_gone += u64::from(value.contains("NO"));
            }
        }
        has_told.then_some(said)
    }
}

/// The number after the spaces, whatever colours stand around it.
fn first_number(text: &str) -> u64 {
    text.split_whitespace()
        .filter_map(|word| {
            let plain = word.rsplit('m').next().unwrap_or(word);
            word.parse().or_else(|_| plain.parse()).ok()
        })
        .next()
        .unwrap_or_default()
}

/// Installs it where that is plainly allowed.
fn ensure_installed() -> Result<()> {
    if is_there() {
        return Ok(());
    }
    if !debian::may_install() {
        bail!("`{PROGRAM}` is missing: apt-get install {PROGRAM}");
    }
    eprintln!("no {PROGRAM}: installing it");
    debian::install(&[PROGRAM])?;
    if !is_there() {
        bail!("`{PROGRAM}` is still missing after it was installed");
    }
    Ok(())
}

fn is_there() -> bool {
    Command::new(PROGRAM)
        .arg("-h")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}

const PROGRAM: &str = "slowhttptest";

/// In all, and how many of them must be open at a time; on a busy machine the first are cut off before the last have come.
const CONNECTIONS: u64 = 1500;
const LEAST_OPEN: u64 = 1000;

const NORMAL: usize = 8;
const WANTED_FILES: u64 = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_says_is_read() {
        let text = "\
            slow HTTP test status on 5th second:\n\
            \u{1b}[0minitializing:        \u{1b}[1m0\n\
            connected:           \u{1b}[1m998\n\
            service available:   \u{1b}[1mYES\n\
            connected:           58\n\
            service available:   NO\n";
        let expected = Said {
            most_connected: 998,
            times_gone: 1,
        };
        assert_eq!(Said::read(text), Some(expected));
        assert_eq!(Said::read("no such file"), None);
    }
}
