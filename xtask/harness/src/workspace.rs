//! The repository: where it is, and what cargo builds of it.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
pub use xtask_checks::workspace::{read, root};
use xtask_checks::{nats, tools, workspace};

/// The target directory, from where this program lies in it.
pub fn target() -> Result<PathBuf> {
    let ours = std::env::current_exe().context("find this program itself")?;
    let target = ours.ancestors().nth(2).context("no target directory")?;
    Ok(target.to_owned())
}

/// `named`, or else a release build of the program.
pub fn binary(named: Option<PathBuf>) -> Result<PathBuf> {
    if let Some(named) = named {
        return fs::canonicalize(&named).with_context(|| format!("find {}", named.display()));
    }
    let words = ["build", "--release", "--package", "heygen-webhooks"];
    tools::run(workspace::cargo(&root()).args(words))?;
    Ok(target()?.join("release/heygen-webhooks"))
}

/// Brings the `nats-server` programs.
pub fn bring_nats() -> Result<()> {
    nats::ensure(&root())
}
