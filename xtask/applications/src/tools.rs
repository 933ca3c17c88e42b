//! Brings what the packages and receivers need: npm and PyPI packages in pinned versions. Programs of the system are only looked
//! for: `cargo xtask setup` installs them.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use xtask_checks::workspace;

use crate::Places;
use crate::process::run;

/// Something that this machine does not have.
#[derive(Clone, Debug)]
pub(crate) struct Missing(pub(crate) String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Missing {}

/// Builds the binary that checks the receivers.
pub(crate) fn build_binary(root: &Path) -> Result<PathBuf> {
    run(workspace::cargo(root).args(["build", "--quiet", "--package", "heygen-webhooks"]))?;
    Ok(root.join("target/debug/heygen-webhooks"))
}

/// The folder with `node_modules`, of the versions in `tools/package-lock.json`.
pub(crate) fn node(places: &Places) -> Result<PathBuf, Missing> {
    let version = version("node", "--version").and_then(|version| {
        let major = version
            .trim()
            .trim_start_matches('v')
            .split('.')
            .next()?
            .parse::<u32>()
            .ok()?;
        Some((major, version))
    });
    match version {
        Some((20.., _)) => {}
        Some((_, version)) => {
            return Err(Missing(format!(
                "Node.js {} is older than 20",
                version.trim()
            )));
        }
        None => {
            return Err(Missing(
                "Node.js is missing: `cargo xtask setup`".to_owned(),
            ));
        }
    }
    let folder = places.target.join("node");
    let bring = |wanted: &str| -> Result<()> {
        fs::create_dir_all(&folder).context("create target/applications/node")?;
        fs::write(folder.join("package-lock.json"), wanted).context("write package-lock.json")?;
        fs::copy(
            places.root.join(TOOLS).join("package.json"),
            folder.join("package.json"),
        )
        .context("copy package.json")?;
        run(Command::new("npm")
            .args(["ci", "--silent", "--no-audit", "--no-fund"])
            .current_dir(&folder))
        .map(drop)
    };
    ensure(places, "package-lock.json", &folder, bring)?;
    Ok(folder)
}

/// The folder of an environment of Python with the versions in `tools/requirements.txt`.
pub(crate) fn python(places: &Places) -> Result<PathBuf, Missing> {
    if version("python3", "--version").is_none() {
        return Err(Missing("Python is missing: `cargo xtask setup`".to_owned()));
    }
    let folder = places.target.join("venv");
    let bring = |_: &str| -> Result<()> {
        if folder.exists() {
            fs::remove_dir_all(&folder).context("remove target/applications/venv")?;
        }
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        run(Command::new(folder.join("bin/pip"))
            .args([
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
            ])
            .args([
                "--only-binary",
                ":all:",
                "--require-hashes",
                "--requirement",
            ])
            .arg(places.root.join(TOOLS).join("requirements.txt")))
        .map(drop)
    };
    ensure(places, "requirements.txt", &folder, bring)?;
    Ok(folder)
}

/// Calls `bring` unless the folder was made from what the file says now.
fn ensure(
    places: &Places,
    file: &str,
    folder: &Path,
    bring: impl FnOnce(&str) -> Result<()>,
) -> Result<(), Missing> {
    let wanted = fs::read_to_string(places.root.join(TOOLS).join(file));
    let wanted = wanted.map_err(|error| Missing(format!("{TOOLS}/{file}: {error}")))?;
    // Written last: what was installed half has none.
    let installed = folder.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
        return Ok(());
    }
    println!("bringing {TOOLS}/{file} into {}", folder.display());
    bring(&wanted)
        .and_then(|()| fs::write(&installed, &wanted).context("note what was installed"))
        .map_err(|error| Missing(format!("{error:#}")))
}

/// Fails unless the system has this program.
pub(crate) fn needed(program: &str, version_option: &str) -> Result<()> {
    if version(program, version_option).is_none() {
        bail!(Missing(format!(
            "{program} is missing: `cargo xtask setup`"
        )));
    }
    Ok(())
}

fn version(program: &str, option: &str) -> Option<String> {
    let output = Command::new(program).arg(option).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

/// A folder that is empty and there.
pub(crate) fn emptied(folder: PathBuf) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    Ok(folder)
}

/// Copies a folder.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    run(Command::new("cp").arg("-R").arg(from).arg(to)).map(drop)
}

const TOOLS: &str = "xtask/applications/tools";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_program_is_named() {
        needed("true", "--version").unwrap();
        let error = needed("no-such-program", "--version").unwrap_err();
        assert!(
            error.is::<Missing>() && error.to_string().starts_with("no-such-program"),
            "{error}"
        );
    }
}
