//! `cargo xtask tidy`: what ARCHITECTURE.md promises about the shape of the workspace, checked.

mod circles;
mod layers;
mod manifests;
mod paths;
mod shell;
mod words;

use std::path::Path;

use anyhow::{Result, bail};
use xtask_checks::workspace;

/// Runs every check, so that one run names every problem.
pub(crate) fn run(root: &Path) -> Result<()> {
    let members = workspace::members(root)?;
    let mut problems = Vec::new();
    manifests::check(&members, &mut problems);
    layers::check(root, &members, &mut problems)?;
    circles::check(root, &members, &mut problems)?;
    paths::check(root, &mut problems)?;
    shell::check(root, &mut problems)?;
    words::check(root, &mut problems)?;
    for problem in &problems {
        println!("problem: {problem}");
    }
    if !problems.is_empty() {
        bail!("tidy found problems: {}", problems.len());
    }
    println!("{} members are tidy", members.len());
    Ok(())
}
