//! Where things are: the root, the members with their manifests, the files below a folder.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use toml::Table;

/// The oldest Rust of some crates, and of the workspace, as the manifests declare them.
pub const OLDEST: [&str; 2] = ["1.88", "1.89"];

/// A member of the workspace.
#[derive(Debug)]
pub struct Member {
    /// Its folder, relative to the root: `crates/heygen-events`.
    pub folder: String,
    /// Its `Cargo.toml`, parsed.
    pub manifest: Table,
}

impl Member {
    /// The package's name; empty when the manifest has none, which `tidy` reports.
    pub fn name(&self) -> &str {
        self.manifest
            .get("package")
            .and_then(|package| package.get("name"))
            .and_then(toml::Value::as_str)
            .unwrap_or_default()
    }

    /// Whether users build it.
    pub fn is_published(&self) -> bool {
        self.folder.starts_with("crates/")
    }

    /// Whether it is published for this Rust: the oldest is its own `rust-version`, or that of the workspace.
    pub fn builds_with(&self, version: &str) -> bool {
        let own = self
            .manifest
            .get("package")
            .and_then(|package| package.get("rust-version"))
            .and_then(toml::Value::as_str);
        // As numbers: 1.100 comes after 1.89.
        let minor = |version: &str| version.split('.').nth(1)?.parse::<u32>().ok();
        self.is_published() && minor(own.unwrap_or(OLDEST[1])) <= minor(version)
    }

    /// The features that can be turned on one by one, without `default`.
    pub fn features(&self) -> Vec<&str> {
        self.manifest
            .get("features")
            .and_then(toml::Value::as_table)
            .into_iter()
            .flat_map(Table::keys)
            .map(String::as_str)
            .filter(|feature| *feature != "default")
            .collect()
    }
}

/// The root of the workspace.
///
/// Cargo tells at run time where the manifest is; what it told at build time may be a checkout that was moved since, or
/// another one that shares the target directory.
pub fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    let mut above = manifest.ancestors();
    let root = above.find(|folder| folder.join("Cargo.lock").is_file());
    root.unwrap_or(&manifest).to_owned()
}

/// Every crate under `crates/`, by name, then those of `xtask`.
pub fn members(root: &Path) -> Result<Vec<Member>> {
    let below = |folder: &str| -> Result<Vec<String>> {
        let entries = fs::read_dir(root.join(folder)).with_context(|| format!("list {folder}"))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut folders: Vec<_> = names.map(|name| format!("{folder}/{name}")).collect();
        folders.retain(|folder| root.join(folder).join("Cargo.toml").is_file());
        folders.sort();
        Ok(folders)
    };
    let mut folders = below("crates")?;
    folders.push("xtask".to_owned());
    folders.extend(below("xtask")?);
    folders.retain(|folder| folder != "xtask/downstream");
    let member = |folder: String| {
        let manifest = parse(root, &format!("{folder}/Cargo.toml"))?;
        Ok(Member { folder, manifest })
    };
    folders.into_iter().map(member).collect()
}

/// A TOML file, parsed.
pub fn parse(root: &Path, path: &str) -> Result<Table> {
    read(root, path)?
        .parse()
        .with_context(|| format!("parse {path}"))
}

/// A text file, by its path relative to the root.
pub fn read(root: &Path, path: &str) -> Result<String> {
    fs::read_to_string(root.join(path)).with_context(|| format!("read {path}"))
}

/// Every file below `folder`, as sorted paths relative to the root with `/` between names.
///
/// A folder that does not exist has no files.
pub fn files_below(root: &Path, folder: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        let path = root.join(&folder);
        if !path.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&path).with_context(|| format!("list {folder}"))? {
            let entry = entry.with_context(|| format!("list {folder}"))?;
            let below = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                pending.push(below);
            } else {
                found.push(below);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The cargo that runs us, started in the root.
pub fn cargo(root: &Path) -> Command {
    let mut command = without_package(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

/// Cargo, or a program that starts it, without the variables that describe the package of this program: build scripts that read
/// them would run again every time.
pub fn without_package(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"]
            .iter()
            .any(|start| text.starts_with(start))
        {
            command.env_remove(&name);
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(declared: &str, version: &str, expected: bool) {
        let manifest = format!("package.rust-version = '{declared}'");
        let member = Member {
            folder: "crates/a".to_owned(),
            manifest: manifest.parse().unwrap(),
        };
        assert_eq!(member.builds_with(version), expected);
    }

    #[test]
    fn versions_of_rust_are_numbers() {
        check("1.88", "1.89", true);
        check("1.89.0", "1.89", true);
        check("1.90", "1.89", false);
        check("1.100", "1.89", false);
        check("1.89", "1.100", true);
    }
}
