//! A file that cannot grow: writes fail in the middle of commits, and work again.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::event::Events;
use super::ground::Ground;
use super::outage::Outages;
use super::server::Server;
use super::table::Row;

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
    let server = home.serve_through(home.command_through(&shell), &[])?;
    let mut outages = Outages::under_load(server, events);
    for _ in 0..rounds {
        Outages::wait();
        limit_files(outages.server(), &random.below(MOST_BYTES).to_string())?;
        Outages::wait();
        limit_files(outages.server(), "unlimited")?;
        outages.is_over();
    }
    outages.stop()?.row("disk", &home)
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

/// Below what the files have grown to soon after the start.
const MOST_BYTES: u64 = 512 * 1024;
