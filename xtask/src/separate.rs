//! Commands that are crates of their own, so that nothing else here waits for what they are built from.

use std::path::Path;

use anyhow::{Context, Result, bail};
use xtask_checks::workspace;

/// How cargo starts `bench`: optimised, because what it measures is in it.
pub(crate) const BENCH: &[&str] = &[
    "--release",
    "--package",
    "xtask-bench",
    "--bin",
    "xtask-bench",
];

/// How cargo starts `dist`.
pub(crate) const DIST: &[&str] = &["--package", "xtask-dist"];

/// How cargo starts `screenshots`.
pub(crate) const SCREENSHOTS: &[&str] = &["--package", "xtask-screenshots"];

/// How cargo starts `faults`.
pub(crate) const FAULTS: &[&str] = &["--package", "xtask-faults"];

/// How cargo starts `public-api`.
pub(crate) const PUBLIC_API: &[&str] = &["--package", "xtask-public-api"];

/// How cargo starts `applications`.
pub(crate) const APPLICATIONS: &[&str] = &["--package", "xtask-applications"];

/// Starts one of them with these words, and ends as it ends.
pub(crate) fn run(root: &Path, command: &[&str], words: &[&str]) -> Result<()> {
    let status = workspace::cargo(root)
        .args(["run", "--quiet"])
        .args(command)
        .arg("--")
        .args(words)
        .status()
        .context("start cargo run")?;
    if !status.success() {
        bail!("it ended with {status}");
    }
    Ok(())
}
