//! [`Ground`]: the programs, the requests, and a folder for everything that is written while it is measured.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::child::{Running, dying_with_us, free_address};
use super::options::Options;
use super::wrk::{self, Load};
use crate::workspace;

/// What every part runs on. The folder lies in the target directory, on a real disk, and is gone at the end, also when we
/// are ended.
#[derive(Debug)]
pub(super) struct Ground {
    /// `heygen-webhooks`, release build.
    binary: PathBuf,
    /// `xtask-bench`, release build.
    bench: PathBuf,
    /// `xtask-bench-allocations`.
    pub(super) allocations: PathBuf,
    folder: PathBuf,
    /// Where peers are installed, and stay.
    pub(super) peers: PathBuf,
    pub(super) options: Options,
    load: OnceCell<Load>,
    janitor: Option<Child>,
}

impl Ground {
    /// Builds the programs and makes the folder.
    pub(super) fn new(root: &Path, options: Options) -> Result<Self> {
        wrk::ensure()?;
        let binary = match &options.binary {
            Some(binary) => {
                fs::canonicalize(binary).with_context(|| format!("find {}", binary.display()))?
            }
            None => built(root, "heygen-webhooks", ["heygen-webhooks"])?[0].clone(),
        };
        let [bench, allocations] = built(
            root,
            "xtask-bench",
            ["xtask-bench", "xtask-bench-allocations"],
        )?;
        let ours = std::env::current_exe().context("find xtask itself")?;
        let folder = ours.with_file_name(format!("bench-{}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        Ok(Self {
            binary,
            bench,
            allocations,
            janitor: Some(janitor(&folder)?),
            folder,
            peers: ours.with_file_name("bench-peers"),
            options,
            load: OnceCell::new(),
        })
    }

    /// `full`, or `quick` on a short run.
    pub(super) fn size<T>(&self, full: T, quick: T) -> T {
        if self.options.quick { quick } else { full }
    }

    /// A new, empty folder; it is removed when it is dropped.
    pub(super) fn home(&self, name: &str) -> Result<Home> {
        let folder = self.folder.join(name);
        // One of the same name may be left from a measurement that failed.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        Ok(Home { folder })
    }

    /// One of our measured programs; xtask/bench/src/main.rs knows the words.
    pub(super) fn bench(&self, words: &[&str]) -> Command {
        let mut command = dying_with_us(&self.bench);
        command.args(words).env(SECRET_NAME, SECRET);
        command
    }

    /// Runs one of them to its end and reads what it measured.
    pub(super) fn measure(&self, words: &[&str]) -> Result<Value> {
        measured(self.bench(words))
    }

    /// `serve` with its default options, but for where it listens and keeps.
    pub(super) fn serve(&self, home: &Home, listen: &str) -> Command {
        let mut command = self.program(home);
        command
            .args(["serve", "--listen", listen, "--inbox"])
            .arg(home.inbox());
        command
    }

    /// `heygen-webhooks` in this folder, with the secret of the requests.
    pub(super) fn program(&self, home: &Home) -> Command {
        let mut command = dying_with_us(&self.binary);
        command.current_dir(&home.folder).env(SECRET_NAME, SECRET);
        command
    }

    /// How many deliveries of these states (of all, if none is named) the inbox file holds.
    pub(super) fn kept(&self, home: &Home, states: &[&str]) -> Result<u64> {
        self.kept_in(home, &home.inbox(), states)
    }

    /// The same of any inbox, looked at from this folder.
    pub(super) fn kept_in(&self, home: &Home, inbox: &Path, states: &[&str]) -> Result<u64> {
        let mut command = self.program(home);
        command
            .args(["inbox", "stats", "--json", "--inbox"])
            .arg(inbox);
        let stats = measured(command)?;
        counted(&stats, states).context("read what `inbox stats` printed")
    }

    /// A folder that stays until the end, for what several parts use.
    pub(super) fn shared(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        Ok(folder)
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
        let command = self.bench(&["limit", &address.to_string()]);
        let server = Running::start(command, address, &home.log())?;
        let fastest = pilot.send_over_again(address, 64, 1, pilot.measured())?;
        server.stop()?;
        let a_second = (fastest.per_second() * MARGIN) as u64;
        let (warm_up, measured) = (a_second, a_second * self.options.seconds);
        eprintln!("signing {} requests", warm_up + measured);
        self.write_requests(&folder, warm_up + measured)?;
        Load::new(folder, warm_up, measured)
    }

    fn write_requests(&self, folder: &Path, count: u64) -> Result<()> {
        let status = self
            .bench(&["requests"])
            .arg(folder)
            .arg(count.to_string())
            .stdin(Stdio::null())
            .status()
            .context("start xtask-bench")?;
        match status.success() {
            true => Ok(()),
            false => bail!("the requests could not be written ({status})"),
        }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // What cannot be removed stays in the target directory, where `cargo clean` finds it.
        let _ = fs::remove_dir_all(&self.folder);
        if let Some(mut janitor) = self.janitor.take() {
            // It ends when its input does, which is now, and finds nothing left to remove.
            drop(janitor.stdin.take());
            let _ = janitor.wait();
        }
    }
}

/// A folder for one measurement.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) folder: PathBuf,
}

impl Home {
    pub(super) fn inbox(&self) -> PathBuf {
        self.folder.join("inbox.db")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Runs a program to its end and reads the JSON that it prints.
pub(super) fn measured(mut command: Command) -> Result<Value> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .with_context(|| format!("start {}", command.get_program().display()))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!("{} ({})", text.trim(), output.status);
    }
    serde_json::from_slice(&output.stdout).context("read what was measured")
}

/// A process that removes the folder when we end without having done so: it notices because its input ends, however we do.
fn janitor(folder: &Path) -> Result<Child> {
    let script =
        "trap '' INT TERM HUP; cat > /dev/null; [ ! -e \"$0\" ] || { sleep 1; rm -rf -- \"$0\"; }";
    Command::new("sh")
        .args(["-c", script])
        .arg(folder)
        .stdin(Stdio::piped())
        .spawn()
        .context("start sh")
}

fn built<const N: usize>(root: &Path, package: &str, programs: [&str; N]) -> Result<[PathBuf; N]> {
    let found = workspace::build_release(root, package, &programs)?;
    found
        .try_into()
        .map_err(|_| anyhow::anyhow!("cargo did not build every program of {package}"))
}

/// Sums the groups of `inbox stats`.
fn counted(stats: &Value, states: &[&str]) -> Option<u64> {
    let groups = stats["states"].as_object()?;
    let asked = groups
        .iter()
        .filter(|(state, _)| states.is_empty() || states.contains(&state.as_str()));
    asked.map(|(_, count)| count.as_u64()).sum()
}

const SECRET_NAME: &str = "HEYGEN_WEBHOOK_SECRET";

/// Known to nobody but the servers that are measured, which listen on loopback for seconds.
pub(super) const SECRET: &str = "whsec_of_the_benchmarks";

/// Sent over and over again, to learn how fast this machine is.
const PILOT_ROWS: u64 = 10_000;

/// By how much more than the pilot a measurement may answer.
const MARGIN: f64 = 2.5;
