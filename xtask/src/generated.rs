//! Generated files: what they should say, and writing or comparing them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use xtask_checks::workspace;

/// The files one command generates: the whole text of each, by path relative to the root.
#[derive(Debug)]
pub(crate) struct Generated {
    /// The command that writes them, as a person types it.
    pub(crate) command: &'static str,
    /// Folder that holds nothing but these files: whatever else is in it is left over.
    pub(crate) folder: Option<&'static str>,
    /// Path to text.
    pub(crate) files: BTreeMap<String, String>,
}

impl Generated {
    /// Writes what is stale and removes what is left over, or only compares.
    pub(crate) fn run(&self, root: &Path, check: bool) -> Result<()> {
        if check {
            self.check(root)?;
        } else {
            for (path, difference) in self.write(root)? {
                println!("{path} {difference}: updated");
            }
        }
        println!("up to date: {} files of {}", self.files.len(), self.command);
        Ok(())
    }

    /// Fails when the disk differs, naming each file and the command that updates it.
    pub(crate) fn check(&self, root: &Path) -> Result<()> {
        let differences = self.differences(root)?;
        let named = differences.iter();
        let named = named.map(|(path, difference)| format!("{path} {difference}\n"));
        let list: String = named.collect();
        if !list.is_empty() {
            bail!("{list}to update: {}", self.command);
        }
        Ok(())
    }

    fn write(&self, root: &Path) -> Result<BTreeMap<String, &'static str>> {
        let differences = self.differences(root)?;
        for path in differences.keys() {
            let place = root.join(path);
            let Some(text) = self.files.get(path) else {
                fs::remove_file(place).with_context(|| format!("remove {path}"))?;
                continue;
            };
            if let Some(folder) = place.parent() {
                fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
            }
            fs::write(place, text).with_context(|| format!("write {path}"))?;
        }
        Ok(differences)
    }

    /// How the disk differs, by path.
    fn differences(&self, root: &Path) -> Result<BTreeMap<String, &'static str>> {
        let mut differences = BTreeMap::new();
        for (path, text) in &self.files {
            if !root.join(path).is_file() {
                differences.insert(path.clone(), "is missing");
            } else if workspace::read(root, path)? != *text {
                differences.insert(path.clone(), "is stale");
            }
        }
        if let Some(folder) = self.folder {
            let mut found = workspace::files_below(root, folder)?;
            found.retain(|path| !self.files.contains_key(path));
            differences.extend(
                found
                    .into_iter()
                    .map(|path| (path, "is no longer generated")),
            );
        }
        Ok(differences)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lays `on_disk` out in an empty folder and compares it with two generated files.
    #[track_caller]
    fn check(on_disk: &[(&str, &str)], expected: &str) {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("out")).unwrap();
        for (path, text) in on_disk {
            fs::write(root.path().join(path), text).unwrap();
        }
        let files = [("out/a", "one\n"), ("b", "two\n")];
        let generated = Generated {
            command: "cargo xtask sample",
            folder: Some("out"),
            files: files.map(|(path, text)| (path.into(), text.into())).into(),
        };
        let failure = generated.check(root.path()).err();
        let failure = failure.map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(failure, expected);

        generated.write(root.path()).unwrap();
        generated.check(root.path()).unwrap();
        let a = fs::read_to_string(root.path().join("out/a")).unwrap();
        assert_eq!(a, "one\n");
    }

    #[test]
    fn disk_is_compared_and_updated() {
        let (a, b, c) = (("out/a", "one\n"), ("b", "two\n"), ("out/c", ""));
        let stale = ("out/a", "1");
        let update = "to update: cargo xtask sample";
        check(&[a, b], "");
        check(&[b], &format!("out/a is missing\n{update}"));
        check(&[stale, b], &format!("out/a is stale\n{update}"));
        let left = format!("out/c is no longer generated\n{update}");
        check(&[a, b, c], &left);
        let both = format!("b is missing\nout/a is missing\n{update}");
        check(&[], &both);
    }
}
