//! [`Tools`]: the generators and compilers, each found or not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// What a check cannot do without.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Need {
    /// Node.js, and the packages of `npm/package.json`.
    Node,
    /// Python, and the packages of `python/requirements.txt`.
    Python,
    /// A Go toolchain.
    Go,
    /// A Java compiler.
    Java,
}

/// The generators and compilers. Everything that is made with them is in one folder, `target/languages`.
#[derive(Debug)]
pub struct Tools {
    folder: PathBuf,
    node: Result<PathBuf, String>,
    python: Result<PathBuf, String>,
    go: Result<(), String>,
    java: Result<(), String>,
}

impl Tools {
    /// Installs what npm brings, where it is missing or of another version, and looks for the compilers. `python` is the environment
    /// with the packages of `python/requirements.txt`.
    #[must_use]
    pub fn ensure(root: &Path, python: Result<PathBuf>) -> Self {
        let folder = root.join("target/languages");
        let words = |error: anyhow::Error| format!("{error:#}");
        Self {
            node: packages(root, &folder).map_err(words),
            python: python.map_err(words),
            go: answers("go", "version"),
            java: answers("javac", "-version"),
            folder,
        }
    }

    /// Why a check with these needs cannot run.
    #[must_use]
    pub fn missing(&self, needs: &[Need]) -> Option<String> {
        let missing = |need: &Need| match need {
            Need::Node => self.node.as_ref().err(),
            Need::Python => self.python.as_ref().err(),
            Need::Go => self.go.as_ref().err(),
            Need::Java => self.java.as_ref().err(),
        };
        needs.iter().find_map(missing).cloned()
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A program of an npm package.
    pub(crate) fn npm(&self, program: &str) -> Command {
        let folder = self.node.as_deref().unwrap_or(Path::new(""));
        Command::new(folder.join(".bin").join(program))
    }

    /// A program of a Python package, or `python` itself.
    pub(crate) fn pip(&self, program: &str) -> Command {
        let folder = self.python.as_deref().unwrap_or(Path::new(""));
        Command::new(folder.join("bin").join(program))
    }
}

/// The folder of what `npm/package.json` names. Node.js finds it from everywhere below `folder`.
fn packages(root: &Path, folder: &Path) -> Result<PathBuf> {
    node()?;
    let from = root.join("xtask/languages/npm");
    let read =
        |name: &str| fs::read_to_string(from.join(name)).with_context(|| format!("read {name}"));
    let (manifest, lock) = (read("package.json")?, read("package-lock.json")?);
    let packages = folder.join("node_modules");
    // Written last: what was installed half has none.
    let installed = packages.join("installed.json");
    if fs::read_to_string(&installed).is_ok_and(|text| text == lock) {
        return Ok(packages);
    }
    println!("installing xtask/languages/npm into {}", packages.display());
    fs::create_dir_all(folder).context("make target/languages")?;
    fs::write(folder.join("package.json"), manifest).context("write package.json")?;
    fs::write(folder.join("package-lock.json"), &lock).context("write package-lock.json")?;
    let output = Command::new("npm")
        .args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ])
        .current_dir(folder)
        .output()
        .context("start npm")?;
    if !output.status.success() {
        bail!(
            "npm ci failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    fs::write(installed, lock).context("note what was installed")?;
    Ok(packages)
}

fn node() -> Result<()> {
    let output = Command::new("node").arg("--version").output();
    let output = output.context("there is no node")?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !is_new_enough(&version) {
        bail!("Node.js is {version}, and the generators need {OLDEST_NODE} or newer");
    }
    Ok(())
}

fn is_new_enough(version: &str) -> bool {
    let major = version.trim_start_matches('v').split('.').next();
    let major = major.and_then(|major| major.parse().ok());
    major.is_some_and(|major: u32| major >= OLDEST_NODE)
}

fn answers(program: &str, question: &str) -> Result<(), String> {
    match Command::new(program).arg(question).output() {
        Ok(output) if output.status.success() => Ok(()),
        _ => Err(format!("there is no {program}")),
    }
}

const OLDEST_NODE: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(version: &str, expected: bool) {
        assert_eq!(is_new_enough(version), expected, "{version}");
    }

    #[test]
    fn version_of_node_is_compared() {
        check("v20.20.2", true);
        check("v24.0.0", true);
        check("v18.19.0", false);
        check("", false);
    }
}
