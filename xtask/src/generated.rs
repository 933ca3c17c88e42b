//! Generated files: what they should say, and writing or comparing them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Whether a generator may touch the disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mode {
    /// Write what is stale, remove what is left over.
    Write,
    /// Write nothing; fail when something is stale.
    Check,
}

/// The files one command generates: the whole text of each, by path relative to the root.
#[derive(Debug)]
pub(crate) struct Generated {
    /// The command that writes them, as a person types it.
    pub(crate) command: &'static str,
    /// Folder that holds nothing but these files: whatever else lies in it is left over.
    pub(crate) folder: Option<&'static str>,
    /// Path to text.
    pub(crate) files: BTreeMap<String, String>,
}

/// How the disk differs from what is generated.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Difference {
    /// The file does not exist.
    Missing(String),
    /// The file says something else.
    Stale(String),
    /// The file is no longer generated.
    LeftOver(String),
}

impl Generated {
    /// Writes or compares, and says what happened.
    pub(crate) fn run(&self, root: &Path, mode: Mode) -> Result<()> {
        match mode {
            Mode::Check => self.check(root)?,
            Mode::Write => {
                for difference in self.write(root)? {
                    println!("{difference}: mended");
                }
            }
        }
        println!("up to date: {}", self.what());
        Ok(())
    }

    /// Fails when the disk differs, naming each file and the command that mends it.
    pub(crate) fn check(&self, root: &Path) -> Result<()> {
        let differences = self.differences(root)?;
        if differences.is_empty() {
            return Ok(());
        }
        let list: Vec<String> = differences.iter().map(Difference::to_string).collect();
        bail!("{}\nto mend: {}", list.join("\n"), self.command)
    }

    /// The files in a few words.
    fn what(&self) -> String {
        match (self.folder, self.files.first_key_value()) {
            (Some(folder), _) => format!("{folder} ({} files)", self.files.len()),
            (None, Some((path, _))) => path.clone(),
            (None, None) => "nothing".to_owned(),
        }
    }

    fn write(&self, root: &Path) -> Result<Vec<Difference>> {
        let differences = self.differences(root)?;
        for difference in &differences {
            match difference {
                Difference::Missing(path) | Difference::Stale(path) => {
                    self.write_one(root, path)?;
                }
                Difference::LeftOver(path) => {
                    fs::remove_file(root.join(path)).with_context(|| format!("remove {path}"))?;
                }
            }
        }
        Ok(differences)
    }

    fn differences(&self, root: &Path) -> Result<Vec<Difference>> {
        let mut differences = Vec::new();
        for (path, text) in &self.files {
            if !root.join(path).is_file() {
                differences.push(Difference::Missing(path.clone()));
            } else if workspace::read(root, path)? != *text {
                differences.push(Difference::Stale(path.clone()));
            }
        }
        if let Some(folder) = self.folder {
            let left_over = workspace::files_below(root, folder)?
                .into_iter()
                .filter(|path| !self.files.contains_key(path))
                .map(Difference::LeftOver);
            differences.extend(left_over);
        }
        Ok(differences)
    }

    fn write_one(&self, root: &Path, path: &str) -> Result<()> {
        let text = self.files.get(path).map(String::as_str).unwrap_or_default();
        let target = root.join(path);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        }
        fs::write(&target, text).with_context(|| format!("write {path}"))
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "{path} is missing"),
            Self::Stale(path) => write!(f, "{path} is stale"),
            Self::LeftOver(path) => write!(f, "{path} is no longer generated"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lays `on_disk` out in an empty folder and compares it with two generated files.
    #[track_caller]
    fn check(on_disk: &[(&str, &str)], expected: &[Difference]) {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("out")).unwrap();
        for (path, text) in on_disk {
            fs::write(root.path().join(path), text).unwrap();
        }
        let generated = sample();
        assert_eq!(generated.differences(root.path()).unwrap(), expected);
        assert_eq!(generated.check(root.path()).is_ok(), expected.is_empty());

        generated.write(root.path()).unwrap();
        assert_eq!(generated.differences(root.path()).unwrap(), []);
        let a = fs::read_to_string(root.path().join("out/a")).unwrap();
        assert_eq!(a, "one\n");
    }

    fn sample() -> Generated {
        let files = [("out/a", "one\n"), ("b", "two\n")];
        Generated {
            command: "cargo xtask sample",
            folder: Some("out"),
            files: files
                .map(|(path, text)| (path.to_owned(), text.to_owned()))
                .into(),
        }
    }

    #[test]
    fn the_disk_is_compared_and_mended() {
        let missing = |path: &str| Difference::Missing(path.to_owned());
        let stale = |path: &str| Difference::Stale(path.to_owned());
        let left_over = |path: &str| Difference::LeftOver(path.to_owned());
        check(&[("out/a", "one\n"), ("b", "two\n")], &[]);
        check(&[("b", "two\n")], &[missing("out/a")]);
        check(&[("out/a", "1"), ("b", "two\n")], &[stale("out/a")]);
        check(
            &[("out/a", "one\n"), ("b", "two\n"), ("out/c", "")],
            &[left_over("out/c")],
        );
        check(&[], &[missing("b"), missing("out/a")]);
    }

    #[test]
    fn a_failure_names_the_file_and_the_command() {
        let root = tempfile::tempdir().unwrap();
        let error = sample().check(root.path()).unwrap_err().to_string();
        assert!(error.contains("out/a is missing"), "{error}");
        assert!(error.ends_with("to mend: cargo xtask sample"), "{error}");
    }
}
