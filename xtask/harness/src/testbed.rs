//! [`Testbed`]: the binary, and a folder for all that is written; [`Home`]: the folder of one inbox file.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::audit::{Audit, Ledger};
use crate::event::{Events, SECRET};
use crate::process::dying_with_us;
use crate::server::{self, Server, free_address};
use crate::workspace;

/// What everything runs on. The folder lies in the target directory, on a real disk, and is gone at the end, also when we are
/// ended.
#[derive(Debug)]
pub struct Testbed<T> {
    binary: PathBuf,
    folder: PathBuf,
    is_quick: bool,
    janitor: Child,
    /// What was asked for.
    pub options: T,
}

impl<T> Testbed<T> {
    /// Builds the binary, unless one is named, and makes the folder.
    pub fn new(name: &str, binary: Option<PathBuf>, is_quick: bool, options: T) -> Result<Self> {
        let binary = workspace::binary(binary)?;
        let folder = workspace::target()?.join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        // It removes the folder when its input ends, which it does however we end.
        let script = "trap '' INT TERM HUP; cat > /dev/null; sleep 1; rm -rf -- \"$0\"";
        let janitor = Command::new("sh")
            .args(["-c", script])
            .arg(&folder)
            .stdin(Stdio::piped())
            .spawn()
            .context("start sh")?;
        Ok(Self {
            binary,
            folder,
            is_quick,
            janitor,
            options,
        })
    }

    /// `full`, or `quick` on a short run.
    pub fn size<S>(&self, full: S, quick: S) -> S {
        if self.is_quick { quick } else { full }
    }

    /// A new, empty folder; it is removed when it is dropped.
    pub fn home(&self, name: &str) -> Result<Home> {
        let folder = self.folder.join(name);
        // One of the same name may be left from something that failed.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        Ok(Home {
            binary: self.binary.clone(),
            folder,
        })
    }

    /// A folder that stays until the end.
    pub fn shared(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        Ok(folder)
    }
}

impl<T> Drop for Testbed<T> {
    fn drop(&mut self) {
        // What cannot be removed stays in the target directory, where `cargo clean` finds it.
        let _ = fs::remove_dir_all(&self.folder);
        drop(self.janitor.stdin.take());
        let _ = self.janitor.wait();
    }
}

/// The folder of one inbox file. Commands run in it see nothing of the environment's own HEYGEN settings.
#[derive(Debug)]
pub struct Home {
    binary: PathBuf,
    folder: PathBuf,
}

impl Home {
    /// The folder itself.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where its inbox is.
    #[must_use]
    pub fn inbox(&self) -> PathBuf {
        self.folder.join("inbox.db")
    }

    /// The binary, to run here, with the secret of the events.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = dying_with_us(&self.binary);
        command.current_dir(&self.folder);
        command.env("HEYGEN_WEBHOOK_SECRET", SECRET);
        command
    }

    /// Starts `serve` with these options beside the usual ones, and waits until it listens.
    pub fn serve(&self, options: &[&str]) -> Result<Server> {
        self.serve_with(self.command(), options)
    }

    /// The same, of a [`command`](Self::command) that was prepared.
    pub fn serve_with(&self, command: Command, options: &[&str]) -> Result<Server> {
        let usual = ["--json", "--log-format", "json", "--admin", "off"];
        let options = [&usual[..], options].concat();
        let serve = ["serve", "--listen"];
        self.begin(command, serve, self.inbox(), &options, server::Output::Kept)
    }

    /// Starts a [`command`](Self::command) of the binary, which with its option `listen` takes an address, and waits until it has
    /// begun.
    pub fn begin(
        &self,
        mut command: Command,
        [name, listen]: [&str; 2],
        inbox: impl AsRef<OsStr>,
        options: &[&str],
        output: server::Output,
    ) -> Result<Server> {
        let address = free_address()?;
        command.args([name, listen, &address.to_string(), "--inbox"]);
        command.arg(inbox).args(options);
        let mut server = Server::start(command, address, &self.folder, output)?;
        server.wait_until_begun()?;
        Ok(server)
    }

    /// Removes whatever is in the folder.
    pub fn empty(&self) -> Result<()> {
        let folder = &self.folder;
        fs::remove_dir_all(folder)
            .and_then(|()| fs::create_dir_all(folder))
            .with_context(|| format!("empty {}", folder.display()))
    }

    /// Runs a command on the inbox to its end.
    pub fn run(&self, words: &[&str]) -> Result<Output> {
        self.run_with(self.command(), words)
    }

    /// The same, of a [`command`](Self::command) that was prepared.
    pub fn run_with(&self, mut command: Command, words: &[&str]) -> Result<Output> {
        let command = command.args(words).arg("--inbox").arg(self.inbox());
        let output = command.stdin(Stdio::null()).output();
        output.with_context(|| format!("start heygen-webhooks {}", words.join(" ")))
    }

    /// Runs a command on an inbox, and returns what it printed; it has to succeed.
    pub fn succeed(&self, words: &[&str], inbox: impl AsRef<OsStr>) -> Result<Vec<u8>> {
        succeed(self.command().args(words).arg("--inbox").arg(inbox))
    }

    /// Writes these lines and imports them.
    pub fn import(&self, lines: &str) -> Result<()> {
        fs::write(self.folder.join("lines.jsonl"), lines).context("write lines.jsonl")?;
        let words = ["inbox", "import", "lines.jsonl", "--strict"];
        self.succeed(&words, self.inbox()).map(drop)
    }

    /// Every record in the inbox, all of one moment.
    pub fn records(&self) -> Result<Vec<Value>> {
        let words = ["inbox", "list", "--json", "--limit", "0"];
        let listed = self.succeed(&words, self.inbox())?;
        serde_json::from_slice(&listed).context("read what inbox list printed")
    }

    /// How many deliveries of these states (of all, if none is named) an inbox holds.
    pub fn kept(&self, inbox: impl AsRef<OsStr>, states: &[&str]) -> Result<u64> {
        let stats = self.succeed(&["inbox", "stats", "--json"], inbox)?;
        let stats: Value =
            serde_json::from_slice(&stats).context("read what inbox stats printed")?;
        let groups = stats["states"].as_object().context("no states")?;
        let mut asked = groups.clone();
        asked.retain(|state, _| states.is_empty() || states.contains(&&**state));
        let sum: Option<u64> = asked.values().map(Value::as_u64).sum();
        sum.context("read what inbox stats printed")
    }

    /// Lists the inbox and compares it with what was answered.
    pub fn audit(&self, ledger: &Ledger, events: &Events) -> Result<Audit> {
        let records = self.records()?;
        let subjects = records.iter().map(|record| &record["subject_id"]);
        let subjects = subjects.map(|subject| subject.as_str().unwrap_or_default());
        Ok(Audit::of(ledger, events, subjects))
    }

    /// What `inbox check` finds wrong.
    pub fn flaws(&self) -> Result<Option<String>> {
        let output = self.run(&["inbox", "check", "--full"])?;
        Ok((!output.status.success()).then(|| format!("inbox check: {}", output_text(&output))))
    }

    /// Waits until nothing waits to be delivered; says how many do when that takes too long.
    pub fn left(&self) -> Result<u64> {
        let started = Instant::now();
        loop {
            // Of one moment: between two looks what is put off goes from one state to the other, and would be in neither.
            let left = self.kept(self.inbox(), &["pending", "claimed", "interrupted"])?;
            if left == 0 || started.elapsed() > LONGEST {
                return Ok(left);
            }
            thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Runs a command to its end, and returns what it printed; it has to succeed.
pub fn succeed(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("start {command:?}"))?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => bail!(
            "{command:?} failed ({}): {}",
            output.status,
            output_text(&output)
        ),
    }
}

/// What a command said, in one line.
#[must_use]
pub fn output_text(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    text.lines().take(5).collect::<Vec<_>>().join("; ")
}

const LONGEST: Duration = Duration::from_secs(120);
