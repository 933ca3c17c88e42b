//! The inbox is removed, or renamed and back, under a receiver.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use xtask_harness::client::Client;
use xtask_harness::testbed::Home;

use crate::trial::wait;
use crate::{Row, Testbed, Trial};

pub(super) const WHAT: &str = "the inbox and its log are removed, or renamed and back, again and again while 16 connections deliver: 503 \
while no inbox is there, everything answered before is in the copy beside it, and once that is imported nothing is lost or doubled";

pub(super) fn run(testbed: &Testbed) -> Result<Row> {
    let rounds = testbed.size(20, 4);
    let mut trial = Trial::new(testbed, "moved")?;
    for round in 0..rounds {
        let mut server = trial.home.serve(&[])?;
        let load = trial.load(&server, CONNECTIONS);
        thread::sleep(BETWEEN);
        let mut wrong = Vec::new();
        let is_removed = round % 2 == 0;
        if is_removed {
            for ending in ["", "-wal", "-shm"] {
                fs::remove_file(beside(&trial.home, ending)).context("remove the inbox")?;
            }
            if !wait(PATIENCE, || beside(&trial.home, RESCUED).exists()) {
                wrong.push("there is no copy");
            }
        } else {
            let (inbox, away) = (trial.home.inbox(), beside(&trial.home, ".away"));
            fs::rename(&inbox, &away).context("rename the inbox")?;
            thread::sleep(BETWEEN);
            fs::rename(&away, &inbox).context("rename the inbox back")?;
            let is_taken_again = wait(PATIENCE, || {
                let number = trial.next.fetch_add(1, Ordering::Relaxed);
                let request = trial.events.request(number);
                let status = Client::new(server.address).exchange(&request);
                trial.ledger.note(number, &status);
                matches!(status, Ok(200..=299))
            });
            if !is_taken_again {
                wrong.push("nothing was taken again");
            }
        }
        let part = load.stop()?;
        if !part.refused.contains_key(&503) {
            wrong.push("nothing was refused");
        }
        trial.report.wrong.extend(part.unexpected());
        trial.ledger.add(part);
        if server.ended()?.is_some() {
            wrong.push("the process ended");
        }
        let wrong = wrong.iter().map(|wrong| format!("round {round}: {wrong}"));
        trial.report.wrong.extend(wrong);
        if is_removed {
            server.kill()?;
            bring_in(&trial.home)?;
        } else {
            server.stop()?;
            // Made while the inbox was away, which has it all now.
            let _ = fs::remove_file(beside(&trial.home, RESCUED));
        }
    }
    let server = trial.home.serve(&[])?;
    trial.deliver_again(&server);
    let refused = trial.ledger.refused.get(&503).unwrap_or(&0);
    let (times, broken) = (rounds / 2, trial.ledger.broken);
    trial.report.note(format!(
        "{times} times removed, {times} times renamed and back; {refused} posts 503, {broken} without an answer"
    ));
    trial.end(server)
}

fn beside(home: &Home, ending: &str) -> PathBuf {
    home.folder().join(format!("inbox.db{ending}"))
}

/// Imports the copy, as the log says, and removes it.
fn bring_in(home: &Home) -> Result<()> {
    let copy = beside(home, RESCUED);
    let export = ["inbox", "export", "--output", "rescued.jsonl"];
    home.succeed(&export, &copy)?;
    let import = ["inbox", "import", "rescued.jsonl", "--trust", "--strict"];
    home.succeed(&import, home.inbox())?;
    let _ = fs::remove_file(home.folder().join("rescued.jsonl"));
    fs::remove_file(&copy).context("remove the copy")
}

const RESCUED: &str = ".rescued";
const CONNECTIONS: usize = 16;
const BETWEEN: Duration = Duration::from_millis(800);
const PATIENCE: Duration = Duration::from_secs(30);
