//! [`Ground`]: what every part runs on, and the requests.

use std::cell::OnceCell;
use std::ops::Deref;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use xtask_harness::event::SECRET;
use xtask_harness::ground::{self, Home};
use xtask_harness::process::dying_with_us;
use xtask_harness::server::{Output, Server, free_address};

use crate::Options;
use crate::wrk::Load;

/// The binary, a folder, and the requests.
#[derive(Debug)]
pub(super) struct Ground {
    ground: ground::Ground,
    pub(super) options: Options,
    load: OnceCell<Load>,
}

impl Deref for Ground {
    type Target = ground::Ground;

    fn deref(&self) -> &Self::Target {
        &self.ground
    }
}

impl Ground {
    pub(super) fn new(options: Options) -> Result<Self> {
        let ground = ground::Ground::new("bench", options.binary.as_deref(), options.quick)?;
        Ok(Self {
            ground,
            options,
            load: OnceCell::new(),
        })
    }

    /// One of our measured programs; measured.rs knows the words.
    pub(super) fn measured(&self, words: &[&str]) -> Command {
        // What started us is still there: it cannot be missing.
        let ours = std::env::current_exe().unwrap_or_default();
        let mut command = dying_with_us(ours);
        command.arg("measure").args(words);
        command.env("HEYGEN_WEBHOOK_SECRET", SECRET);
        command
    }

    /// Runs one of them to its end and reads what it measured.
    pub(super) fn measure(&self, words: &[&str]) -> Result<Value> {
        told(self.measured(words))
    }

    /// `serve` with its default options, but for where it listens and keeps.
    pub(super) fn serve(&self, home: &Home, listen: &str) -> Command {
        let mut command = home.command();
        command.args(["serve", "--listen", listen, "--inbox"]);
        command.arg(home.inbox());
        command
    }

    /// How many deliveries of these states (of all, if none is named) the inbox file holds.
    pub(super) fn kept(&self, home: &Home, states: &[&str]) -> Result<u64> {
        self.kept_in(home, &home.inbox(), states)
    }

    /// The same of any inbox, looked at from this folder.
    pub(super) fn kept_in(&self, home: &Home, inbox: &Path, states: &[&str]) -> Result<u64> {
        let mut command = home.command();
        command.args(["inbox", "stats", "--json", "--inbox"]);
        command.arg(inbox);
        let stats = told(command)?;
        let groups = stats["states"].as_object().context("no states")?;
        let asked = groups
            .iter()
            .filter(|(state, _)| states.is_empty() || states.contains(&state.as_str()));
        let sum: Option<u64> = asked.map(|(_, count)| count.as_u64()).sum();
        sum.context("read what `inbox stats` printed")
    }

    /// The requests, made when somebody first asks for them.
    pub(super) fn load(&self) -> Result<&Load> {
        if let Some(load) = self.load.get() {
            return Ok(load);
        }
        let load = self.make_load()?;
        Ok(self.load.get_or_init(|| load))
    }

    /// More than the fastest server there is, bare hyper, answers while it is measured.
    fn make_load(&self) -> Result<Load> {
        let folder = self.shared("load")?;
        self.write_requests(&folder, PILOT_ROWS)?;
        let pilot = Load::new(folder.clone(), 0, PILOT_ROWS)?;
        let home = self.home("pilot")?;
        let address = free_address()?;
        let command = self.measured(&["limit", &address.to_string()]);
        let server = Server::start(command, address, home.folder(), Output::Null)?;
        let fastest = pilot.send_over_again(address, 64, 1, pilot.measured())?;
        server.end()?;
        let a_second = (fastest.per_second() * MARGIN) as u64;
        let (warm_up, measured) = (a_second, a_second * self.options.seconds());
        eprintln!("signing {} requests", warm_up + measured);
        self.write_requests(&folder, warm_up + measured)?;
        Load::new(folder, warm_up, measured)
    }

    fn write_requests(&self, folder: &Path, count: u64) -> Result<()> {
        let folder = folder.to_string_lossy();
        run(self.measured(&["requests", &folder, &count.to_string()]))
    }
}

/// Runs a program to its end.
pub(super) fn run(mut command: Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status();
    match status.context("start a program")?.success() {
        true => Ok(()),
        false => bail!("{command:?} failed"),
    }
}

/// Runs a program to its end and reads the JSON that it prints.
pub(super) fn told(mut command: Command) -> Result<Value> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("start {command:?}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!("{} ({})", text.trim(), output.status);
    }
    serde_json::from_slice(&output.stdout).context("read what was measured")
}

/// Sent over and over again, to learn how fast this machine is.
const PILOT_ROWS: u64 = 10_000;

/// By how much more than the pilot a measurement may answer.
const MARGIN: f64 = 2.5;
