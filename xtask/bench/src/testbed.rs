//! [`Testbed`]: what every part runs on, and the requests.

use std::process::Command;

use anyhow::Result;
use xtask_harness::process::dying_with_us;
use xtask_harness::server::{Output, Server, free_address};
use xtask_harness::testbed::{self, Home};

use crate::Options;
use crate::wrk::Load;

/// The binary, a folder, and what was asked for.
pub(super) type Testbed = testbed::Testbed<Options>;

/// The requests, made when they are first asked for.
pub(super) fn load(testbed: &Testbed) -> Result<&Load> {
    let made = &testbed.options.load;
    if let Some(load) = made.get() {
        return Ok(load);
    }
    let load = make_load(testbed)?;
    Ok(made.get_or_init(|| load))
}

/// More than the fastest server there is, bare hyper, answers while it is measured.
fn make_load(testbed: &Testbed) -> Result<Load> {
    let folder = testbed.shared("load")?;
    let mut pilot = Load::new(&folder, PILOT_ROWS, 1)?;
    pilot.is_endless = true;
    let home = testbed.home("pilot")?;
    let server = start_measured("limit", &home)?;
    let fastest = pilot.measure(&[server.address], 64)?;
    drop(server);
    let a_second = (fastest.per_second * MARGIN) as u64;
    eprintln!("signing requests, {a_second} for each second");
    Load::new(&folder, a_second, testbed.options.seconds)
}

/// Starts one of our measured servers.
pub(super) fn start_measured(name: &str, home: &Home) -> Result<Server> {
    let address = free_address()?;
    let command = measured(&[name, &address.to_string()]);
    Server::start(command, address, home.folder(), Output::Null)
}

/// One of our measured programs; measured.rs knows the words.
pub(super) fn measured(words: &[&str]) -> Command {
    // What started us is still there: it cannot be missing.
    let ours = std::env::current_exe().unwrap_or_default();
    let mut command = dying_with_us(ours);
    command.arg("measure").args(words);
    command
}

/// Sent over and over again, to learn how fast this machine is.
const PILOT_ROWS: u64 = 10_000;

/// By how much more than the pilot a measurement may answer.
const MARGIN: f64 = 2.5;
