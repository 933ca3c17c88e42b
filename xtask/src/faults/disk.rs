//! A file that cannot grow: writes fail in the middle of commits, and work again.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::event::Events;
use super::ground::Ground;
use super::load::{Ledger, Load, deliver_all};
use super::server::Server;
use super::table::Row;
use crate::client::Client;

pub(super) const WHAT: &str = "the limit of file sizes is lowered again and again while 16 connections deliver, so that writes fail \
in the middle of commits, and raised again: 503 while it lasts, taken again \
after it without a restart";

pub(super) fn run(ground: &Ground) -> Result<Row> {
    let rounds = ground.size(40, 5);
    let mut random = ground.random("disk");
    let home = ground.home("disk")?;
    let events = Events::new(format!("disk-{}", ground.seed()))?;
    // An ignored signal stays ignored over exec: writes beyond the limit fail, instead of ending the process.
    let shell = ["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""];
    let mut server = home.serve_through(home.command_through(&shell), &[])?;
    let next = Arc::new(AtomicU64::new(0));
    let load = Load::start(server.address, CONNECTIONS, &events, &next, Vec::new());
    let mut ledger = Ledger::default();
    let mut late = 0;
    for _ in 0..rounds {
        thread::sleep(BETWEEN);
        limit_files(&server, &random.below(MOST_BYTES).to_string())?;
        thread::sleep(BETWEEN);
        limit_files(&server, "unlimited")?;
        let number = next.fetch_add(1, Ordering::Relaxed);
        if !takes_again(&server, &events, number, &mut ledger) {
            late += 1;
        }
    }
    ledger.add(load.stop()?);
    let refused = ledger.refused.get(&503).copied().unwrap_or_default();
    let ended = server.ended()?;
    let again = ledger.unanswered();
    ledger.add(deliver_all(server.address, &again, |number| {
        events.request(number)
    }));
    server.stop()?;

    let mut row = Row::new("disk", 0, home.audit(&ledger, &events)?);
    row.note(format!(
        "{rounds} times, {refused} posts 503, {} without an answer",
        ledger.broken
    ));
    if refused == 0 {
        row.wrong("nothing was refused: no write failed");
    }
    if late > 0 {
        row.wrong(format!(
            "{late} times nothing was taken within {} s after it",
            PATIENCE_TRIES / 20
        ));
    }
    if let Some(status) = ended {
        row.wrong(format!("serve ended ({status})"));
    }
    if let Some(what) = ledger.unexpected() {
        row.wrong(what);
    }
    let unanswered = again.len()
        - again
            .iter()
            .filter(|number| ledger.answered.contains(number))
            .count();
    if unanswered > 0 {
        row.wrong(format!("{unanswered} events were never taken"));
    }
    if let Some(flaws) = home.flaws()? {
        row.wrong(flaws);
    }
    Ok(row)
}

/// The soft limit alone, so that it can be raised again.
fn limit_files(server: &Server, bytes: &str) -> Result<()> {
    let status = Command::new("prlimit")
        .arg(format!("--pid={}", server.id()))
        .arg(format!("--fsize={bytes}:"))
        .stderr(Stdio::null())
        .status()
        .context("start prlimit (package util-linux)")?;
    if !status.success() {
        bail!("prlimit did not set the limit of file sizes");
    }
    Ok(())
}

/// Whether this event is taken within a few seconds; what came of each try is noted.
pub(super) fn takes_again(
    server: &Server,
    events: &Events,
    number: u64,
    ledger: &mut Ledger,
) -> bool {
    let mut client = Client::new(server.address);
    for _ in 0..PATIENCE_TRIES {
        ledger.note(number, &client.exchange(&events.request(number)));
        if ledger.answered.contains(&number) {
            return true;
        }
        thread::sleep(Duration::from_millis(50));
    }
    false
}

const CONNECTIONS: usize = 16;
const BETWEEN: Duration = Duration::from_millis(300);

/// Below what the files have grown to soon after the start.
const MOST_BYTES: u64 = 512 * 1024;

/// Of 50 ms.
const PATIENCE_TRIES: u32 = 200;
