//! `cargo xtask tidy`: what ARCHITECTURE.md promises about the shape of the workspace, checked.

mod circles;
mod layers;
mod manifests;
mod paths;
mod sources;

use std::path::Path;

use anyhow::{Result, bail};

use crate::workspace;

/// What one check found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Each fails the command.
    pub(crate) problems: Vec<String>,
    /// Worth a look, and no reason to fail.
    pub(crate) warnings: Vec<String>,
}

impl Findings {
    fn problem(&mut self, text: String) {
        self.problems.push(text);
    }

    fn warning(&mut self, text: String) {
        self.warnings.push(text);
    }
}

/// Runs every check, so that one run names every problem.
pub(crate) fn run(root: &Path) -> Result<()> {
    let members = workspace::members(root)?;
    let mut findings = Findings::default();
    manifests::check(root, &members, &mut findings)?;
    layers::check(root, &members, &mut findings)?;
    circles::check(root, &members, &mut findings)?;
    sources::check(root, &members, &mut findings)?;
    paths::check(root, &mut findings)?;

    for warning in &findings.warnings {
        println!("warning: {warning}");
    }
    for problem in &findings.problems {
        println!("problem: {problem}");
    }
    match findings.problems.len() {
        0 => {
            println!("{} members are tidy", members.len());
            Ok(())
        }
        1 => bail!("tidy found a problem"),
        count => bail!("tidy found {count} problems"),
    }
}
