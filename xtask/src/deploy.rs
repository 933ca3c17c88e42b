//! `cargo xtask deploy`: the deployment examples in `deploy/` are what they say they are.
//!
//! Shapes and references are checked here, by our own code; what only the real programs know, by them: `systemd-analyze` reads
//! the units, `nats-server` its configuration. That the command lines fit `heygen-webhooks` is a test beside the binary.

mod compose;
mod kubernetes;
mod nats;
mod units;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// A file of the examples.
#[derive(Debug)]
struct Example {
    /// Relative to the root: `deploy/compose/compose.yaml`.
    path: String,
    text: String,
}

/// Runs every check, so that one run names every problem.
pub(crate) fn run(root: &Path) -> Result<()> {
    let note = root.join(NOTE);
    if note.exists() {
        fs::remove_file(&note).with_context(|| format!("remove {NOTE}"))?;
    }
    let mut problems = Vec::new();
    let manifests = examples(root, "deploy/kubernetes", ".yaml")?;
    let units = examples(root, "deploy/systemd", ".service")?;
    let compose = examples(root, "deploy/compose", ".yaml")?;
    let readme = workspace::read(root, "deploy/README.md")?;
    let accounts = workspace::read(root, "deploy/nats/accounts.conf")?;

    let mut configurations = kubernetes::check(&manifests, &readme, &accounts, &mut problems);
    compose::check(root, &compose, &mut problems);
    units::check(&units, &mut problems);
    let not_run = units::verify(root, &units, &mut problems)?;

    configurations.extend(examples(root, "deploy/systemd", ".conf")?);
    configurations.extend(examples(root, "deploy/compose", ".conf")?);
    crate::nats::ensure(root)?;
    nats::check(
        &xtask_nats::Program::Current.path()?,
        &configurations,
        &accounts,
        &mut problems,
    )?;

    for problem in &problems {
        println!("problem: {problem}");
    }
    match problems.len() {
        0 => {}
        1 => bail!("a problem in deploy/"),
        count => bail!("{count} problems in deploy/"),
    }
    println!(
        "{} manifests, {} units, {} compose file and {} configurations of nats-server fit",
        manifests.len(),
        units.len(),
        compose.len(),
        configurations.len()
    );
    if let Some(reason) = not_run {
        let line = format!("NOT RUN: systemd-analyze on deploy/systemd, because {reason}");
        println!("{line}");
        fs::create_dir_all(root.join(FOLDER)).with_context(|| format!("make {FOLDER}"))?;
        fs::write(&note, line).with_context(|| format!("write {NOTE}"))?;
    }
    Ok(())
}

/// What the last [`run`] could not check, in one line.
pub(crate) fn not_run(root: &Path) -> Option<String> {
    fs::read_to_string(root.join(NOTE)).ok()
}

/// The files of a folder; none at all is an error, because a check of nothing would pass.
fn examples(root: &Path, folder: &str, ending: &str) -> Result<Vec<Example>> {
    let mut found = Vec::new();
    for path in workspace::files_below(root, folder)? {
        if path.ends_with(ending) {
            let text = workspace::read(root, &path)?;
            found.push(Example { path, text });
        }
    }
    if found.is_empty() {
        bail!("{folder} holds no file that ends in {ending}");
    }
    Ok(found)
}

/// Everything that is made here, relative to the root.
const FOLDER: &str = "target/deploy";
const NOTE: &str = "target/deploy/not-run.txt";

/// The example at this path, changed.
#[cfg(test)]
fn changed(path: &str, from: &str, to: &str) -> Example {
    let text = workspace::read(&workspace::root(), path).unwrap();
    assert!(text.contains(from), "{path} has no `{from}`");
    Example {
        path: path.to_owned(),
        text: text.replacen(from, to, 1),
    }
}

/// One of the problems tells of what is expected; none is there where nothing is.
#[cfg(test)]
#[track_caller]
fn expect_problem(problems: &[String], expected: &str) {
    if expected.is_empty() {
        assert_eq!(problems, [""; 0]);
    } else {
        let found = problems.iter().any(|problem| problem.contains(expected));
        assert!(found, "{problems:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_examples_is_an_error() {
        let error = examples(&workspace::root(), "deploy", ".nothing").unwrap_err();
        assert!(error.to_string().contains(".nothing"), "{error}");
    }
}
