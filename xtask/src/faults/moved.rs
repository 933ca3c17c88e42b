//! The inbox is removed, or renamed and back, under a receiver.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::event::Events;
use super::ground::{Ground, Home, told};
use super::load::{Ledger, Load, deliver_all};
use super::table::Row;
use crate::client::Client;

pub(super) const WHAT: &str = "the inbox and its log are removed, or renamed and back, again and again while 16 connections deliver: 503 \
while no inbox is there, everything answered before is in the copy beside it, and once that is imported nothing is lost or doubled";

pub(super) fn run(ground: &Ground) -> Result<Row> {
    let rounds = ground.size(20, 4);
    let home = ground.home("moved")?;
    let events = Events::new(format!("moved-{}", ground.seed()))?;
    let next = Arc::new(AtomicU64::new(0));
    let mut ledger = Ledger::default();
    let mut wrong = Vec::new();
    let mut removed = 0;
    for round in 0..rounds {
        let mut server = home.serve(&[])?;
        let address = server.address;
        let load = Load::start(address, CONNECTIONS, &events, &next, ledger.unanswered());
        thread::sleep(BETWEEN);
        let is_removed = round % 2 == 0;
        match is_removed {
            true => remove(&home.inbox())?,
            false => rename(&home.inbox())?,
        }
        if is_removed {
            removed += 1;
            let copy = rescued(&home);
            if !within_patience(|| copy.exists()) {
                wrong.push(format!("round {round}: there is no {}", copy.display()));
            }
        } else {
            let is_taken_again = within_patience(|| {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let status = Client::new(address).exchange(&events.request(number));
                ledger.note(number, &status);
                matches!(status, Ok(200..=299))
            });
            if !is_taken_again {
                wrong.push(format!("round {round}: nothing was taken again"));
            }
        }
        let part = load.stop()?;
        if !part.refused.contains_key(&503) {
            wrong.push(format!("round {round}: nothing was refused"));
        }
        wrong.extend(part.unexpected());
        ledger.add(part);
        if server.ended()?.is_some() {
            wrong.push(format!("round {round}: the process ended"));
        }
        match is_removed {
            true => {
                server.kill()?;
                bring_in(&home)?;
            }
            false => {
                server.stop()?;
                // Made while the inbox was away, which has it all now.
                remove_if_there(&rescued(&home))?;
            }
        }
    }
    let server = home.serve(&[])?;
    let again = ledger.unanswered();
    ledger.add(deliver_all(server.address, &again, |number| {
        events.request(number)
    }));
    server.stop()?;

    let mut row = Row::new("moved", 0, home.audit(&ledger, &events)?);
    let refused = ledger.refused.get(&503).copied().unwrap_or_default();
    row.note(format!(
        "{removed} times removed, {} times renamed and back; {refused} posts 503, {} without an answer",
        rounds - removed,
        ledger.broken
    ));
    wrong.extend(home.flaws()?);
    wrong.into_iter().for_each(|wrong| row.wrong(wrong));
    Ok(row)
}

/// The file, its log, and the log's index.
fn files(inbox: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|ending| {
        let mut name = inbox.as_os_str().to_owned();
        name.push(ending);
        name.into()
    })
}

fn remove(inbox: &Path) -> Result<()> {
    for file in files(inbox) {
        fs::remove_file(&file).with_context(|| format!("remove {}", file.display()))?;
    }
    Ok(())
}

/// Away, and back after a while.
fn rename(inbox: &Path) -> Result<()> {
    let away = inbox.with_extension("away");
    fs::rename(inbox, &away).context("rename the inbox")?;
    thread::sleep(BETWEEN);
    fs::rename(&away, inbox).context("rename the inbox back")
}

fn remove_if_there(file: &Path) -> Result<()> {
    if file.exists() {
        fs::remove_file(file).with_context(|| format!("remove {}", file.display()))?;
    }
    Ok(())
}

fn rescued(home: &Home) -> PathBuf {
    home.folder().join("inbox.db.rescued")
}

/// Imports the copy, as the log says, and moves it away.
fn bring_in(home: &Home) -> Result<()> {
    let copy = rescued(home);
    let lines = home.folder().join("rescued.jsonl");
    let mut export = home.command();
    export
        .args(["inbox", "export", "--inbox"])
        .arg(&copy)
        .arg("--output")
        .arg(&lines);
    let exported = export.output().context("start heygen-webhooks")?;
    if !exported.status.success() {
        bail!("the copy was not exported: {}", told(&exported));
    }
    let imported = home.run(&["inbox", "import", "rescued.jsonl", "--trust", "--strict"])?;
    if !imported.status.success() {
        bail!("the copy was not imported: {}", told(&imported));
    }
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

const CONNECTIONS: usize = 16;
const BETWEEN: Duration = Duration::from_millis(800);
const PATIENCE: Duration = Duration::from_secs(30);
