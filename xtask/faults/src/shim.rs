//! [`Shim`]: the library of `shim.c`, loaded into one of our processes to have its calls fail and its clock jump.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use xtask_harness::testbed::Home;

/// The library, and the files with its orders.
#[derive(Debug)]
pub(super) struct Shim {
    folder: TempDir,
    /// Calls on files whose path begins so are looked at.
    files: PathBuf,
    generation: u64,
}

/// How calls fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Failure {
    pub(super) name: &'static str,
    /// Its number on Linux.
    error: u8,
    pub(super) is_for_good: bool,
}

impl Failure {
    pub(super) const EIO_ONCE: Self = Self::new("EIO once", 5, false);
    pub(super) const EIO_FOR_GOOD: Self = Self::new("EIO for good", 5, true);
    pub(super) const ALL: [Self; 3] = [
        Self::EIO_ONCE,
        Self::EIO_FOR_GOOD,
        Self::new("ENOSPC once", 28, false),
    ];

    const fn new(name: &'static str, error: u8, is_for_good: bool) -> Self {
        Self {
            name,
            error,
            is_for_good,
        }
    }
}

impl Shim {
    /// Compiles the library into a folder beside that of `files`.
    pub(super) fn new(files: PathBuf) -> Result<Self> {
        let beside = files.ancestors().nth(2).context("no folder for the shim")?;
        let folder = TempDir::new_in(beside).context("make a folder for the shim")?;
        fs::write(folder.path().join("shim.c"), SOURCE).context("write shim.c")?;
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let mut words = compiler.split_whitespace();
        let output = Command::new(words.next().unwrap_or("cc"))
            .args(words)
            .args(["-shared", "-fPIC", "-O2", "-o", LIBRARY, "shim.c"])
            .current_dir(folder.path())
            .output()
            .with_context(|| format!("start the C compiler `{compiler}`"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("`{compiler}` did not compile shim.c, which is for Linux with 64 bit: {said}");
        }
        for name in [PLAN, FAILED, NOTES, CLOCK] {
            fs::write(folder.path().join(name), "").with_context(|| format!("make {name}"))?;
        }
        Ok(Self {
            folder,
            files,
            generation: 0,
        })
    }

    /// The binary of this home, with the library in it.
    pub(super) fn command(&self, home: &Home) -> Command {
        let mut command = home.command();
        command
            .env("LD_PRELOAD", self.path(LIBRARY))
            .env("SHIM_FILES", &self.files)
            .env("SHIM_PLAN", self.path(PLAN))
            .env("SHIM_FAILED", self.path(FAILED))
            .env("SHIM_CLOCK", self.path(CLOCK));
        command
    }

    /// The same, and has every write noted, which takes time.
    pub(super) fn noting_command(&self, home: &Home) -> Command {
        let mut command = self.command(home);
        command.env("SHIM_NOTES", self.path(NOTES));
        command
    }

    /// From now on these calls fail, from the n-th on, counted from 1; what failed before is forgotten.
    ///
    /// `calls` are named as in the plan of `shim.c`; `of` is how the path of the file ends, `*` for any.
    pub(super) fn fail(&mut self, failure: Failure, n: u64, calls: &str, of: &str) -> Result<()> {
        let last = match failure.is_for_good {
            true => i64::MAX.unsigned_abs(),
            false => n,
        };
        self.generation += 1;
        let (generation, error) = (self.generation, failure.error);
        self.put(FAILED, "")?;
        self.put(
            PLAN,
            &format!("{generation} {calls} {n} {last} {error} {of}\n"),
        )
    }

    /// From now on nothing fails.
    pub(super) fn relent(&self) -> Result<()> {
        self.put(PLAN, "")
    }

    /// Whether anything failed since the plan was made.
    pub(super) fn has_failed(&self) -> Result<bool> {
        Ok(!self.read(FAILED)?.is_empty())
    }

    /// The writes and synchronisations so far.
    pub(super) fn notes(&self) -> Result<String> {
        self.read(NOTES)
    }

    /// Sets the wall clock of the process so many seconds ahead.
    pub(super) fn set_clock(&self, seconds: i64) -> Result<()> {
        self.put(CLOCK, &format!("{seconds}\n"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Whole or not at all: the process reads it at any moment.
    fn put(&self, name: &str, text: &str) -> Result<()> {
        let new = self.path("new");
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, self.path(name)))
            .with_context(|| format!("write {name} for the shim"))
    }

    fn read(&self, name: &str) -> Result<String> {
        fs::read_to_string(self.path(name)).with_context(|| format!("read {name} of the shim"))
    }
}

const SOURCE: &str = include_str!("shim.c");
const LIBRARY: &str = "shim.so";
const PLAN: &str = "plan";
const FAILED: &str = "failed";
const NOTES: &str = "notes";
const CLOCK: &str = "clock";
