//! [`Ground`]: the release binary and a folder for all faults; [`Home`]: the folder of one inbox file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use xtask_nats::Program;

use super::audit::Audit;
use super::event::{Events, SECRET};
use super::load::Ledger;
use super::options::Options;
use super::random::Random;
use super::server::Server;
use super::shim::Shim;
use crate::workspace;

/// What every fault runs on. Its folder lies in the target directory, on a real disk, and is removed at the end.
#[derive(Debug)]
pub(super) struct Ground {
    binary: PathBuf,
    folder: PathBuf,
    seed: u64,
    quick: bool,
    nats: Program,
}

impl Ground {
    /// Builds the binary and makes the folder.
    pub(super) fn new(root: &Path, options: &Options) -> Result<Self> {
        let binary = match &options.binary {
            Some(binary) => {
                fs::canonicalize(binary).with_context(|| format!("find {}", binary.display()))?
            }
            None => workspace::build_release(root, "heygen-webhooks", &["heygen-webhooks"])?
                .pop()
                .context("no binary was built")?,
        };
        let name = format!("faults-{}", std::process::id());
        let ours = std::env::current_exe().context("find xtask itself")?;
        let folder = ours.with_file_name(name);
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        Ok(Self {
            binary,
            folder,
            seed: options.seed,
            quick: options.quick,
            nats: options.nats,
        })
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// Which `nats-server` a cluster is made of.
    pub(super) fn nats(&self) -> Program {
        self.nats
    }

    /// Random numbers for this fault, whichever other faults run.
    pub(super) fn random(&self, fault: &str) -> Random {
        let salt = fault
            .bytes()
            .fold(0, |salt: u64, byte| (salt << 8) ^ u64::from(byte));
        Random::new(self.seed ^ salt)
    }

    /// `full`, or `quick` on a short run.
    pub(super) fn size<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// A new folder with no inbox in it yet.
    pub(super) fn home(&self, name: &str) -> Result<Home> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        Ok(Home {
            binary: self.binary.clone(),
            folder,
        })
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // What cannot be removed stays in the target directory, where `cargo clean` finds it.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The folder of one inbox file. Commands run in it see nothing of the environment's own HEYGEN settings.
#[derive(Clone, Debug)]
pub(super) struct Home {
    binary: PathBuf,
    folder: PathBuf,
}

impl Home {
    pub(super) fn inbox(&self) -> PathBuf {
        self.folder.join("inbox.db")
    }

    /// Starts `serve` with these options beside the usual ones, and waits until it listens.
    pub(super) fn serve(&self, options: &[&str]) -> Result<Server> {
        self.serve_through(self.command(), options)
    }

    /// The same, with `command` leading to the binary.
    pub(super) fn serve_through(&self, mut command: Command, options: &[&str]) -> Result<Server> {
        command
            .args(["serve", "--json", "--log-format", "json", "--inbox"])
            .arg(self.inbox())
            .args(["--listen", "127.0.0.1:0", "--admin", "off"])
            .args(options);
        Server::start(command)
    }

    /// The binary, to run here.
    pub(super) fn command(&self) -> Command {
        self.prepared(Command::new(&self.binary))
    }

    /// Another program that ends up as the binary: `words`, then the binary and its arguments.
    pub(super) fn command_through(&self, words: &[&str]) -> Command {
        let mut words = words.iter();
        let mut command = Command::new(words.next().unwrap_or(&"env"));
        command.args(words).arg(&self.binary);
        self.prepared(command)
    }

    /// The folder itself.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Removes whatever is in the folder.
    pub(super) fn empty(&self) -> Result<()> {
        let folder = &self.folder;
        fs::remove_dir_all(folder)
            .and_then(|()| fs::create_dir_all(folder))
            .with_context(|| format!("empty {}", folder.display()))
    }

    /// Runs a command on the inbox to its end.
    pub(super) fn run(&self, words: &[&str]) -> Result<Output> {
        run(self.command(), words, &self.inbox())
    }

    /// The same, with the shim in it.
    pub(super) fn run_under(&self, shim: &Shim, words: &[&str]) -> Result<Output> {
        let mut command = self.command();
        shim.load_into(&mut command);
        run(command, words, &self.inbox())
    }

    /// The subject of every record in the inbox.
    pub(super) fn subjects(&self) -> Result<Vec<String>> {
        self.listed("subject_id")
    }

    /// A field of every record in the inbox, all of one moment.
    pub(super) fn listed(&self, field: &str) -> Result<Vec<String>> {
        let words = ["inbox", "list", "--json", "--limit", "0"];
        let output = self.run(&words)?;
        if !output.status.success() {
            bail!("`{}` failed: {}", words.join(" "), told(&output));
        }
        let records: Vec<Value> =
            serde_json::from_slice(&output.stdout).context("read what inbox list printed")?;
        let text = |record: &Value| record[field].as_str().unwrap_or_default().to_owned();
        Ok(records.iter().map(text).collect())
    }

    /// What the inbox tells of the delivery about this subject, its attempts included.
    pub(super) fn record(&self, subject: &str) -> Result<String> {
        let words = ["inbox", "list", "--json", "--subject", subject];
        let records: Vec<Value> = serde_json::from_slice(&self.run(&words)?.stdout)
            .context("read what inbox list printed")?;
        let id = records
            .first()
            .and_then(|record| record["id"].as_str())
            .unwrap_or_default();
        Ok(told(&self.run(&["inbox", "attempts", id])?))
    }

    /// Lists the inbox and compares it with what was answered.
    pub(super) fn audit(&self, ledger: &Ledger, events: &Events) -> Result<Audit> {
        let subjects = self.subjects()?;
        Ok(Audit::of(
            ledger,
            events,
            subjects.iter().map(String::as_str),
        ))
    }

    /// What `inbox check` finds wrong.
    pub(super) fn flaws(&self) -> Result<Option<String>> {
        let output = self.run(&["inbox", "check", "--full"])?;
        Ok((!output.status.success()).then(|| told(&output)))
    }

    /// The same, where the clock was ahead: it rightly finds deliveries of a time to come.
    pub(super) fn flaws_but_of_time(&self) -> Result<Option<String>> {
        let output = self.run(&["inbox", "check", "--full"])?;
        let text = [&output.stdout[..], &output.stderr].concat();
        let other = String::from_utf8_lossy(&text)
            .lines()
            .filter(|line| line.starts_with("wrong: ") && !line.contains("of a time to come"))
            .count();
        let is_time_alone = text.starts_with(b"wrong: ") && other == 0;
        Ok((!output.status.success() && !is_time_alone).then(|| told(&output)))
    }

    /// Waits until nothing waits to be handed out; says what is left when that takes too long.
    pub(super) fn left_to_hand_out(&self) -> Result<usize> {
        let started = Instant::now();
        loop {
            // Of one moment: between two lists what is put off goes from one state to the other, and would be in neither.
            let states = self.listed("state")?;
            let left = states
                .iter()
                .filter(|state| matches!(state.as_str(), "pending" | "claimed" | "interrupted"))
                .count();
            if left == 0 || started.elapsed() > LONGEST_HANDING_OUT {
                return Ok(left);
            }
            thread::sleep(Duration::from_millis(200));
        }
    }

    fn prepared(&self, mut command: Command) -> Command {
        command.current_dir(&self.folder);
        let names = std::env::vars_os().map(|(name, _)| name);
        for name in names.filter(|name| name.to_string_lossy().starts_with("HEYGEN")) {
            command.env_remove(name);
        }
        command.env("HEYGEN_WEBHOOK_SECRET", SECRET);
        command
    }
}

fn run(mut command: Command, words: &[&str], inbox: &Path) -> Result<Output> {
    command
        .args(words)
        .arg("--inbox")
        .arg(inbox)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start heygen-webhooks {}", words.join(" ")))
}

/// What a command said, in one line.
pub(super) fn told(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    text.lines().take(5).collect::<Vec<_>>().join("; ")
}

const LONGEST_HANDING_OUT: Duration = Duration::from_secs(120);
