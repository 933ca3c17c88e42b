//! The inbox is removed, or renamed and back, under a receiver.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use xtask_harness::audit::Ledger;
use xtask_harness::client::Client;
use xtask_harness::event::Events;
use xtask_harness::ground::Home;
use xtask_harness::load::{Load, deliver_all};
use xtask_harness::report::Report;

use crate::{Ground, Row};

pub(super) const WHAT: &str = "the inbox and its log are removed, or renamed and back, again and again while 16 connections deliver: 503 \
while no inbox is there, everything answered before is in the copy beside it, and once that is imported nothing is lost or doubled";

pub(super) fn run(ground: &Ground) -> Result<Row> {
    let rounds = ground.size(20, 4);
    let home = ground.home("moved")?;
    let events = Events::new(format!("moved-{}", ground.seed))?;
    let next = Arc::new(AtomicU64::new(0));
    let mut ledger = Ledger::default();
    let mut report = Report::default();
    for round in 0..rounds {
        let mut server = home.serve(&[])?;
        let address = server.address;
        let load = Load::start(address, CONNECTIONS, &events, &next, ledger.unanswered());
        thread::sleep(BETWEEN);
        let is_removed = round % 2 == 0;
        if is_removed {
            for ending in ["", "-wal", "-shm"] {
                fs::remove_file(beside(&home, ending)).context("remove the inbox")?;
            }
            if !within_patience(|| beside(&home, RESCUED).exists()) {
                report.wrong(format!("round {round}: there is no copy"));
            }
        } else {
            let away = beside(&home, ".away");
            fs::rename(home.inbox(), &away).context("rename the inbox")?;
            thread::sleep(BETWEEN);
            fs::rename(&away, home.inbox()).context("rename the inbox back")?;
            let is_taken_again = within_patience(|| {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let status = Client::new(address).exchange(&events.request(number));
                ledger.note(number, &status);
                matches!(status, Ok(200..=299))
            });
            if !is_taken_again {
                report.wrong(format!("round {round}: nothing was taken again"));
            }
        }
        let part = load.stop()?;
        if !part.refused.contains_key(&503) {
            report.wrong(format!("round {round}: nothing was refused"));
        }
        report.wrong.extend(part.unexpected());
        ledger.add(part);
        if server.ended()?.is_some() {
            report.wrong(format!("round {round}: the process ended"));
        }
        if is_removed {
            server.kill()?;
            bring_in(&home)?;
        } else {
            server.stop()?;
            // Made while the inbox was away, which has it all now.
            let _ = fs::remove_file(beside(&home, RESCUED));
        }
    }
    let server = home.serve(&[])?;
    let request = |number| events.request(number);
    ledger.add(deliver_all(server.address, ledger.unanswered(), request));
    server.stop()?;
    let (times, refused) = (rounds / 2, ledger.refused.get(&503).unwrap_or(&0));
    report.note(format!(
        "{times} times removed, {times} times renamed and back; {refused} posts 503, {} without an answer",
        ledger.broken
    ));
    report.wrong.extend(home.flaws()?);
    Ok(Row {
        kills: 0,
        audit: home.audit(&ledger, &events)?,
        report,
    })
}

fn beside(home: &Home, ending: &str) -> PathBuf {
    home.folder().join(format!("inbox.db{ending}"))
}

/// Imports the copy, as the log says, and removes it.
fn bring_in(home: &Home) -> Result<()> {
    let copy = beside(home, RESCUED);
    let mut export = home.command();
    export.args(["inbox", "export", "--output", "rescued.jsonl", "--inbox"]);
    let exported = export.arg(&copy).output().context("export the copy")?;
    anyhow::ensure!(exported.status.success(), "the copy was not exported");
    home.succeed(&["inbox", "import", "rescued.jsonl", "--trust", "--strict"])?;
    let _ = fs::remove_file(home.folder().join("rescued.jsonl"));
    fs::remove_file(&copy).context("remove the copy")
}

fn within_patience(mut is_so: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while !is_so() {
        if started.elapsed() > PATIENCE {
            return false;
        }
        thread::sleep(Duration::from_millis(50));
    }
    true
}

const RESCUED: &str = ".rescued";
const CONNECTIONS: usize = 16;
const BETWEEN: Duration = Duration::from_millis(800);
const PATIENCE: Duration = Duration::from_secs(30);
