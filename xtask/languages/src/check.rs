//! [`Check`]: one generator and what is expected of its output, and the [`Verdict`] on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::tools::{Need, Tools};

/// One generator and what is expected of its output.
#[derive(Debug)]
pub struct Check {
    /// The generator, as its registry calls it.
    pub generator: &'static str,
    /// What is done with its output.
    pub trial: &'static str,
    /// The file that it reads, below `schemas`.
    pub(crate) schema: &'static str,
    /// What it cannot do without.
    pub needs: &'static [Need],
    pub(crate) run: fn(&Trial<'_>) -> Result<()>,
    /// A change of the schema that the check has to notice.
    pub(crate) spoil: fn(&mut Value),
    /// The output that a package of this repository keeps: its name, and where.
    pub(crate) kept: Option<(&'static str, &'static str)>,
}

/// How checks run.
#[derive(Clone, Copy, Debug)]
pub struct Mode {
    /// Also on a schema that is spoilt on purpose, which has to be noticed.
    pub prove: bool,
    /// Write the outputs that packages keep, instead of comparing them.
    pub write: bool,
}

/// How a check went.
#[derive(Debug)]
pub struct Verdict {
    /// Whether it passed.
    pub outcome: Outcome,
    /// How long it took.
    pub duration: Duration,
}

/// Whether a check passed.
#[derive(Debug)]
pub enum Outcome {
    /// The output does what is expected, and a spoilt schema was noticed if that was asked.
    Passed,
    /// What is wrong.
    Failed(String),
    /// What could not be had.
    NotRun(String),
}

/// What a check has while it runs.
pub(crate) struct Trial<'a> {
    pub(crate) root: &'a Path,
    pub(crate) tools: &'a Tools,
    pub(crate) schemas: PathBuf,
    /// An empty folder for what is generated.
    pub(crate) folder: PathBuf,
}

impl Check {
    /// Runs it on the committed schemas.
    #[must_use]
    pub fn run(&self, root: &Path, tools: &Tools, mode: Mode) -> Verdict {
        let started = Instant::now();
        let outcome = match tools.missing(self.needs) {
            Some(why) => Outcome::NotRun(why),
            None => match self.verdict(root, tools, mode) {
                Ok(()) => Outcome::Passed,
                Err(error) => Outcome::Failed(format!("{error:#}")),
            },
        };
        Verdict {
            outcome,
            duration: started.elapsed(),
        }
    }

    fn verdict(&self, root: &Path, tools: &Tools, mode: Mode) -> Result<()> {
        let folder = tools.folder().join("output").join(self.folder());
        let mut trial = Trial {
            root,
            tools,
            schemas: root.join("schemas"),
            folder,
        };
        trial.start(self)?;
        if let Some((output, path)) = self.kept {
            trial.keep(output, path, mode.write)?;
        }
        if mode.prove {
            trial.schemas = tools.folder().join("spoilt").join(self.folder());
            self.spoil(root, &trial.schemas)?;
            if trial.start(self).is_ok() {
                bail!("a schema that was spoilt on purpose passed, so this check checks nothing");
            }
        }
        Ok(())
    }

    /// Writes the spoilt schema, the only file of `folder`.
    fn spoil(&self, root: &Path, folder: &Path) -> Result<()> {
        let text = fs::read_to_string(root.join("schemas").join(self.schema));
        let mut schema: Value = serde_json::from_str(&text.context(self.schema)?)?;
        let sound = schema.clone();
        (self.spoil)(&mut schema);
        if schema == sound {
            bail!(
                "the schema has changed so that it cannot be spoilt any more as {} wants",
                self.generator
            );
        }
        empty(folder)?;
        let file = folder.join(self.schema);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
        }
        fs::write(file, schema.to_string()).context("write the spoilt schema")
    }

    fn folder(&self) -> String {
        let words = format!("{} {}", self.generator, self.trial);
        let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        words.chars().map(word).collect()
    }
}

impl Trial<'_> {
    fn start(&self, check: &Check) -> Result<()> {
        empty(&self.folder)?;
        (check.run)(self)
    }

    /// Compares output with what a package keeps of it, or writes it there.
    fn keep(&self, output: &str, path: &str, write: bool) -> Result<()> {
        let made = fs::read(self.output(output)).with_context(|| format!("read {output}"))?;
        let kept = self.root.join(path);
        if write {
            return fs::write(kept, made).with_context(|| format!("write {path}"));
        }
        if fs::read(kept).with_context(|| format!("read {path}"))? != made {
            bail!("{path} is stale; to update: cargo xtask languages --write");
        }
        Ok(())
    }

    /// The file that every generator but those of OpenAPI reads.
    pub(crate) fn any(&self) -> PathBuf {
        self.schemas.join("events/any.json")
    }

    pub(crate) fn openapi(&self) -> PathBuf {
        self.schemas.join("openapi.json")
    }

    /// The output's place.
    pub(crate) fn output(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Puts a file of this crate beside the output.
    pub(crate) fn copy(&self, path: &str) -> Result<PathBuf> {
        let name = Path::new(path).file_name().context("a file")?;
        let to = self.folder.join(name);
        fs::copy(self.source(path), &to).with_context(|| format!("copy {path}"))?;
        Ok(to)
    }

    /// A file of this crate.
    pub(crate) fn source(&self, path: &str) -> PathBuf {
        self.root.join("xtask/languages").join(path)
    }

    /// Runs a command beside the output. What it prints is the error, if it fails.
    pub(crate) fn call(&self, command: &mut Command) -> Result<()> {
        let program = Path::new(command.get_program())
            .file_name()
            .unwrap_or_default();
        let program = program.to_string_lossy().into_owned();
        command.current_dir(&self.folder);
        let output = command
            .output()
            .with_context(|| format!("start {program}"))?;
        if !output.status.success() {
            let printed = [output.stdout, output.stderr].concat();
            bail!(
                "{program} says:\n{}",
                String::from_utf8_lossy(&printed).trim()
            );
        }
        Ok(())
    }
}

fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks;

    /// Every check can be proved: the committed schema still has what it spoils.
    #[test]
    fn every_check_spoils_its_schema() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .nth(2)
            .unwrap();
        for check in checks() {
            let text = fs::read_to_string(root.join("schemas").join(check.schema)).unwrap();
            let mut schema: Value = serde_json::from_str(&text).unwrap();
            let sound = schema.clone();
            (check.spoil)(&mut schema);
            assert_ne!(schema, sound, "{} {}", check.generator, check.trial);
        }
    }

    #[test]
    fn folders_of_checks_differ() {
        let folders: std::collections::BTreeSet<_> = checks().iter().map(Check::folder).collect();
        assert_eq!(folders.len(), checks().len());
    }
}
