//! The repository: where it is, and what cargo builds of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
pub use xtask_checks::workspace::{read, root};
use xtask_checks::{nats, workspace};

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
    let mut cargo = cargo_command(&["build", "--release", "--package", package]);
    match cargo.status().context("start cargo")?.success() {
        true => Ok(target()?.join("release").join(package)),
        false => bail!("{package} was not built"),
    }
}

/// Brings the `nats-server` programs.
pub fn bring_nats() -> Result<()> {
    nats::ensure(&root())
}

/// Cargo, to be run in the root.
///
/// What cargo told of this program is no setting of another build; build scripts that look at it would run again every time.
#[must_use]
pub fn cargo_command(words: &[&str]) -> Command {
    let mut cargo = workspace::cargo(&root());
    cargo.args(words);
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
