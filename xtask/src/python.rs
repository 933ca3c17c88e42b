//! Programs that PyPI has built: seconds instead of the minutes that building them takes.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Makes an environment with pip in it.
pub(crate) fn make(venv: &Path) -> Result<()> {
    run(Command::new("python3").args(["-m", "venv"]).arg(venv))
}

/// Installs these files, each named with its SHA-256 as pip reads it, into an environment.
pub(crate) fn install(wheels: &str, venv: &Path) -> Result<()> {
    let requirements = venv.join("requirements.txt");
    fs::write(&requirements, wheels).context("write the list of files")?;
    run(Command::new(venv.join("bin/pip"))
        .args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
        ])
        .args([
            "--only-binary",
            ":all:",
            "--require-hashes",
            "--requirement",
        ])
        .arg(requirements))
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status();
    let status = status.with_context(|| format!("start {program}"))?;
    if !status.success() {
        bail!("{program} failed");
    }
    Ok(())
}
