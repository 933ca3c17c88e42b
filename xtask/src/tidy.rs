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
    let files = published(root)?;
    paths::check(root, &files, &mut problems)?;
    shell::check(root, &files, &mut problems)?;
    words::check(root, &files, &mut problems)?;
    for problem in &problems {
        println!("problem: {problem}");
    }
    if !problems.is_empty() {
        bail!("tidy found problems: {}", problems.len());
    }
    println!("{} members are tidy", members.len());
    Ok(())
}

/// The paths of all documents, and of what else users read and run.
fn published(root: &Path) -> Result<Vec<String>> {
    let mut files = paths::DOCUMENTS.map(str::to_owned).to_vec();
    for folder in [
        "crates", "deploy", "docs", "fixtures", "packages", "schemas",
    ] {
        files.extend(workspace::files_below(root, folder)?);
    }
    Ok(files)
}
