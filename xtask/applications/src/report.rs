//! One table of what passed, what failed and what did not run.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use crate::tools::Missing;

/// The rows.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<(String, Verdict)>,
}

enum Verdict {
    Passed(String),
    Failed(String),
    /// What is needed is not to be had.
    NotRun(String),
}

impl Report {
    /// Adds a row, and says at once what is wrong. [`Missing`] among the causes is no failure of what is tested.
    pub(crate) fn add(&mut self, name: &str, result: &Result<String>) {
        let verdict = match result {
            Ok(what) => Verdict::Passed(what.clone()),
            Err(error) if error.is::<Missing>() => Verdict::NotRun(format!("{error:#}")),
            Err(error) => Verdict::Failed(format!("{error:#}")),
        };
        match &verdict {
            Verdict::Passed(what) => println!("pass     {name}: {what}"),
            Verdict::Failed(why) => println!("FAIL     {name}: {why}"),
            Verdict::NotRun(why) => println!("NOT RUN  {name}: {why}"),
        }
        self.rows.push((name.to_owned(), verdict));
    }

    /// Prints the table. Whether all is well: what did not run must run in CI.
    pub(crate) fn print(&self, root: &Path) -> Result<bool> {
        let width = self.rows.iter().map(|(name, _)| name.len()).max();
        let width = width.unwrap_or_default();
        println!();
        let mut is_well = true;
        for (name, verdict) in &self.rows {
            let (word, what) = match verdict {
                Verdict::Passed(what) => ("pass", what.as_str()),
                Verdict::Failed(why) => ("FAIL", first_line(why)),
                Verdict::NotRun(why) => ("NOT RUN", first_line(why)),
            };
            println!("{name:width$}  {word:7}  {what}");
            if let Verdict::NotRun(why) = verdict {
                note(root, name, why)?;
            }
            is_well &= match verdict {
                Verdict::Passed(_) => true,
                Verdict::Failed(_) => false,
                Verdict::NotRun(_) => !is_ci(),
            };
        }
        Ok(is_well)
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// As xtask's own notes: `cargo xtask ci` lists them at its end.
fn note(root: &Path, what: &str, why: &str) -> Result<()> {
    let file = root.join("target/not-run.txt");
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .context("open target/not-run.txt")?;
    writeln!(file, "NOT RUN: {what}, because {}", first_line(why))
        .context("write target/not-run.txt")
}

fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !["", "false", "0"].contains(&&*value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_fails_and_what_did_not_run_is_noted() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("target")).unwrap();
        let mut report = Report::default();
        report.add("a", &Ok("3 tests".to_owned()));
        assert!(report.print(root.path()).unwrap());
        report.add("b", &Err(Missing("php is missing\nmore".to_owned()).into()));
        assert_eq!(report.print(root.path()).unwrap(), !is_ci());
        let notes = std::fs::read_to_string(root.path().join("target/not-run.txt")).unwrap();
        assert_eq!(notes, "NOT RUN: b, because php is missing\n");
        report.add("c", &Err(anyhow::anyhow!("a failure")));
        assert!(!report.print(root.path()).unwrap());
    }
}
