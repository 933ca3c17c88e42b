//! The repository: where it is, and what cargo builds of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The root of the workspace. Cargo tells at run time where the manifest is; a checkout may have been moved since it was built.
#[must_use]
pub fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    here.ancestors().nth(2).unwrap_or(&here).to_owned()
}

/// A text file, by its path relative to the root.
pub fn read(root: &Path, path: &str) -> Result<String> {
    fs::read_to_string(root.join(path)).with_context(|| format!("read {path}"))
}

/// The target directory, from where this program lies in it.
pub fn target() -> Result<PathBuf> {
    let ours = std::env::current_exe().context("find this program itself")?;
    let target = ours.ancestors().nth(2).context("no target directory")?;
    Ok(target.to_owned())
}

/// `named`, or else a release build of this package's program of the same name.
pub fn binary(named: Option<&Path>, package: &str) -> Result<PathBuf> {
    if let Some(named) = named {
        return fs::canonicalize(named).with_context(|| format!("find {}", named.display()));
    }
    cargo(&["build", "--release", "--package", package])?;
    Ok(target()?.join("release").join(package))
}

/// Brings the `nats-server` programs.
pub fn bring_nats() -> Result<()> {
    cargo(&["run", "--quiet", "--package", "xtask", "--", "nats"])
}

/// Runs cargo in the root to its end.
fn cargo(words: &[&str]) -> Result<()> {
    let status = cargo_command(words).status().context("start cargo")?;
    match status.success() {
        true => Ok(()),
        false => bail!("`cargo {}` failed", words.join(" ")),
    }
}

/// Cargo, to be run in the root.
///
/// What cargo told of this program is no setting of another build; build scripts that look at it would run again every time.
#[must_use]
pub fn cargo_command(words: &[&str]) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()).args(words);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"]
            .iter()
            .any(|prefix| text.starts_with(prefix))
        {
            cargo.env_remove(&name);
        }
    }
    cargo
}
