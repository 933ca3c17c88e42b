//! Checks that could not run on this machine: noted where it happens, listed by `ci` at its end.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Whether CI may pass without the check.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum InCi {
    /// A machine for CI has, or can have, what the check needs.
    Fails,
    /// What it needs is in a network that not every machine reaches.
    Passes,
}

/// Says now that a check did not run, and again at the end of `ci`.
pub fn note(root: &Path, in_ci: InCi, what: &str, why: &str) -> Result<()> {
    let mark = match in_ci {
        InCi::Fails => "",
        InCi::Passes => ALLOWED,
    };
    let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = format!("NOT RUN{mark}: {what}, because {why}");
    println!("{line}");
    fs::create_dir_all(root.join("target")).context("make target")?;
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(root.join(FILE))
        .with_context(|| format!("open {FILE}"))?;
    writeln!(file, "{line}").with_context(|| format!("write {FILE}"))
}

/// Forgets earlier notes.
pub fn clear(root: &Path) -> Result<()> {
    let file = root.join(FILE);
    if file.exists() {
        fs::remove_file(file).with_context(|| format!("remove {FILE}"))?;
    }
    Ok(())
}

/// Prints the notes. Fails for those that must not be there in CI, where this is CI.
pub fn list(root: &Path, is_ci: bool) -> Result<()> {
    let notes = fs::read_to_string(root.join(FILE)).unwrap_or_default();
    if !notes.is_empty() {
        print!("\n{notes}");
    }
    let allowed = format!("NOT RUN{ALLOWED}");
    if is_ci && notes.lines().any(|line| !line.starts_with(&allowed)) {
        bail!("a check could not run, and CI runs them all");
    }
    Ok(())
}

const FILE: &str = "target/not-run.txt";
const ALLOWED: &str = " (CI may pass)";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(notes: &[InCi], is_ci: bool, passes: bool) {
        let root = tempfile::tempdir().unwrap();
        for in_ci in notes {
            note(root.path(), *in_ci, "a check", "of a\nreason").unwrap();
        }
        assert_eq!(list(root.path(), is_ci).is_ok(), passes, "{notes:?}");
        clear(root.path()).unwrap();
        assert!(list(root.path(), true).is_ok());
    }

    #[test]
    fn check_that_could_not_run_fails_in_ci() {
        check(&[], true, true);
        check(&[InCi::Passes], true, true);
        check(&[InCi::Passes, InCi::Fails], true, false);
        check(&[InCi::Passes, InCi::Fails], false, true);
    }
}
