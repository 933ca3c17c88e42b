//! [`Shim`]: the library of `shim.c`, loaded into one of our processes to have its calls fail and its clock jump.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use xtask_harness::ground::Home;

/// The library, and the files by which it is told what to do.
#[derive(Debug)]
pub(super) struct Shim {
    folder: PathBuf,
    /// Calls on files whose path begins so are looked at.
    files: PathBuf,
    generation: u64,
    /// Where it lies, as long as it does.
    _home: Option<Home>,
}

/// Which calls fail, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failing<'a> {
    /// As the plan of `shim.c` names them.
    pub(super) calls: &'a str,
    /// The first that fails, counted from 1.
    pub(super) from: u64,
    pub(super) lasting: Lasting,
    pub(super) error: Errno,
    /// How the path of the file ends; `*` for any.
    pub(super) of: &'a str,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Lasting {
    Once,
    ForGood,
}

/// An error of the system's, by the number it has on Linux.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Errno {
    pub(super) name: &'static str,
    number: i32,
}

pub(super) const EIO: Errno = Errno {
    name: "EIO",
    number: 5,
};
pub(super) const ENOSPC: Errno = Errno {
    name: "ENOSPC",
    number: 28,
};

impl Shim {
    /// Compiles the library into a folder of its own.
    pub(super) fn of(tools: Home, files: PathBuf) -> Result<Self> {
        let shim = Self::build(tools.folder(), files)?;
        Ok(Self {
            _home: Some(tools),
            ..shim
        })
    }

    /// Compiles the library into this folder, which must be there.
    fn build(folder: &Path, files: PathBuf) -> Result<Self> {
        let source = folder.join("shim.c");
        fs::write(&source, SOURCE).with_context(|| format!("write {}", source.display()))?;
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let mut words = compiler.split_whitespace();
        let output = Command::new(words.next().unwrap_or("cc"))
            .args(words)
            .args(["-shared", "-fPIC", "-O2", "-o", LIBRARY, "shim.c"])
            .current_dir(folder)
            .output()
            .with_context(|| format!("start the C compiler `{compiler}`"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("`{compiler}` did not compile shim.c, which is for Linux with 64 bit: {said}");
        }
        Ok(Self {
            folder: folder.to_owned(),
            files,
            generation: 0,
            _home: None,
        })
    }

    /// The binary of this home, with the library in it.
    pub(super) fn command(&self, home: &Home) -> Command {
        let mut command = home.command();
        self.load_into(&mut command);
        command
    }

    fn load_into(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", self.folder.join(LIBRARY))
            .env("SHIM_FILES", &self.files)
            .env("SHIM_PLAN", self.folder.join(PLAN))
            .env("SHIM_FAILED", self.folder.join(FAILED))
            .env("SHIM_CLOCK", self.folder.join(CLOCK));
    }

    /// The same, and has every write noted, which takes time.
    pub(super) fn noting_command(&self, home: &Home) -> Command {
        let mut command = self.command(home);
        command.env("SHIM_NOTES", self.folder.join(NOTES));
        command
    }

    /// From now on these calls fail; what failed before is forgotten.
    pub(super) fn fail(&mut self, failing: Failing<'_>) -> Result<()> {
        let Failing {
            calls,
            from,
            lasting,
            error,
            of,
        } = failing;
        let last = match lasting {
            Lasting::Once => from,
            Lasting::ForGood => i64::MAX.unsigned_abs(),
        };
        self.generation += 1;
        let (generation, number) = (self.generation, error.number);
        remove(&self.folder.join(FAILED))?;
        self.put(
            PLAN,
            &format!("{generation} {calls} {from} {last} {number} {of}\n"),
        )
    }

    /// From now on nothing fails.
    pub(super) fn relent(&self) -> Result<()> {
        remove(&self.folder.join(PLAN))
    }

    /// What failed since the plan was made, a line a call.
    pub(super) fn failed(&self) -> Result<String> {
        read(&self.folder.join(FAILED))
    }

    /// The writes and synchronisations so far.
    pub(super) fn notes(&self) -> Result<String> {
        read(&self.folder.join(NOTES))
    }

    /// Sets the wall clock of the process so many seconds ahead.
    pub(super) fn set_clock(&self, seconds: i64) -> Result<()> {
        self.put(CLOCK, &format!("{seconds}\n"))
    }

    /// Whole or not at all: the process reads it at any moment.
    fn put(&self, name: &str, text: &str) -> Result<()> {
        let new = self.folder.join("new");
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, self.folder.join(name)))
            .with_context(|| format!("write {name} for the shim"))
    }
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Nothing, where there is no file yet.
fn read(path: &Path) -> Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read.with_context(|| format!("read {}", path.display())),
    }
}

const SOURCE: &str = include_str!("shim.c");
const LIBRARY: &str = "shim.so";
const PLAN: &str = "plan";
const FAILED: &str = "failed";
const NOTES: &str = "notes";
const CLOCK: &str = "clock";

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    /// `truncate` opens a file and sets its length: two calls.
    #[track_caller]
    fn check(calls: &str, from: u64, of: &str, expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db");
        let mut shim = Shim::build(folder.path(), file.clone()).unwrap();
        let failing = Failing {
            calls,
            from,
            lasting: Lasting::Once,
            error: EIO,
            of,
        };
        shim.fail(failing).unwrap();
        let mut command = Command::new("truncate");
        command.args(["--size", "3"]).arg(&file).env("LC_ALL", "C");
        shim.load_into(&mut command);
        let output = command.output().unwrap();
        let failed = shim.failed().unwrap();
        assert_eq!(
            failed.replace(&format!("{}/", folder.path().display()), ""),
            expected
        );
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            said.contains("Input/output error"),
            !expected.is_empty(),
            "{said}"
        );
    }

    #[test]
    fn the_chosen_call_fails_and_no_other() {
        check("any", 1, "*", "open-rw 1 a.db\n");
        check("any", 2, "*", "truncate 2 a.db\n");
        check("any", 3, "*", "");
        check("read,truncate", 1, "a.db", "truncate 1 a.db\n");
        check("sync", 1, "*", "");
        check("any", 1, "-wal", "");
    }

    #[test]
    fn the_clock_goes_ahead() {
        let folder = tempfile::tempdir().unwrap();
        let shim = Shim::build(folder.path(), folder.path().join("a.db")).unwrap();
        shim.set_clock(10 * 365 * 24 * 3600).unwrap();
        let mut command = Command::new("date");
        command.arg("+%Y");
        let year = |command: &mut Command| -> u32 {
            let output = command.output().unwrap();
            String::from_utf8_lossy(&output.stdout)
                .trim()
                .parse()
                .unwrap()
        };
        let now = year(&mut command);
        shim.load_into(&mut command);
        assert!((now + 9..=now + 11).contains(&year(&mut command)));
    }
}
