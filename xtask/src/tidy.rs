//! `cargo xtask tidy`: what ARCHITECTURE.md promises about the shape of the workspace, checked.

mod circles;
mod documents;
mod layers;
mod manifests;

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
    documents::check(root, &mut problems)?;
    for problem in &problems {
        println!("problem: {problem}");
    }
    if !problems.is_empty() {
        bail!("tidy found problems: {}", problems.len());
    }
    println!("{} members are tidy", members.len());
    Ok(())
}
