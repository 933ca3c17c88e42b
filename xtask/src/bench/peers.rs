//! [`Peers`]: what others would receive with, installed beside the programs in the target directory, where it stays.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};

use crate::debian;

/// Where the peers are, or why they are not there.
#[derive(Debug)]
pub(super) struct Peers {
    folder: PathBuf,
    python: Result<PathBuf, String>,
    node: Result<PathBuf, String>,
    fastify: Result<(), String>,
    webhook: Result<PathBuf, String>,
}

/// The files of the repository that the peers run.
const FILES: &[(&str, &str)] = &[
    (
        "flask_app.py",
        include_str!("../../bench/peers/flask_app.py"),
    ),
    (
        "flask_durable_app.py",
        include_str!("../../bench/peers/flask_durable_app.py"),
    ),
    ("requirements.txt", REQUIREMENTS),
    ("package.json", PACKAGE),
    ("verify.js", include_str!("../../bench/peers/verify.js")),
    (
        "node_http.js",
        include_str!("../../bench/peers/node_http.js"),
    ),
    (
        "node_fastify.js",
        include_str!("../../bench/peers/node_fastify.js"),
    ),
    ("hooks.json", include_str!("../../bench/peers/hooks.json")),
];

const REQUIREMENTS: &str = include_str!("../../bench/peers/requirements.txt");
const PACKAGE: &str = include_str!("../../bench/peers/package.json");

impl Peers {
    /// Installs what is missing. What cannot be installed is a reason in the table, and no failure of the command.
    pub(super) fn install(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        for (name, text) in FILES {
            fs::write(folder.join(name), text).with_context(|| format!("write {name}"))?;
        }
        let node = on_the_path("node")
            .context("`node` is not installed (Debian and Ubuntu: `apt-get install nodejs npm`)");
        let fastify = match &node {
            Ok(_) => install_fastify(folder),
            Err(_) => Err(anyhow!("`node` is not installed")),
        };
        Ok(Self {
            folder: folder.to_owned(),
            python: install_flask(folder).map_err(|error| told(&error)),
            node: node.map_err(|error| told(&error)),
            fastify: fastify.map_err(|error| told(&error)),
            webhook: install_webhook(folder).map_err(|error| told(&error)),
        })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// With Flask and gunicorn.
    pub(super) fn python(&self) -> Result<&Path> {
        here(&self.python).map(PathBuf::as_path)
    }

    /// With what `script` needs.
    pub(super) fn node(&self, script: &str) -> Result<&Path> {
        if script.contains("fastify") {
            here(&self.fastify)?;
        }
        here(&self.node).map(PathBuf::as_path)
    }

    pub(super) fn webhook(&self) -> Result<&Path> {
        here(&self.webhook).map(PathBuf::as_path)
    }

    /// What was measured, in which version: a line for the page.
    pub(super) fn versions(&self) -> String {
        let mut versions = Vec::new();
        if let Ok(python) = &self.python {
            versions.extend(said(python, &["--version"]));
            versions.extend(REQUIREMENTS.lines().map(|line| line.replace("==", " ")));
        }
        if let Ok(node) = &self.node {
            versions.extend(said(node, &["--version"]).map(|version| format!("node {version}")));
        }
        if self.fastify.is_ok() {
            let package: serde_json::Value = serde_json::from_str(PACKAGE).unwrap_or_default();
            let version = package["dependencies"]["fastify"].as_str();
            versions.extend(version.map(|version| format!("fastify {version}")));
        }
        if let Ok(webhook) = &self.webhook {
            versions.extend(said(webhook, &["-version"]));
        }
        versions.join(", ")
    }
}

fn here<T>(found: &Result<T, String>) -> Result<&T> {
    found.as_ref().map_err(|reason| anyhow!("{reason}"))
}

fn install_flask(folder: &Path) -> Result<PathBuf> {
    let venv = folder.join("venv");
    let python = venv.join("bin/python");
    if is_installed(&venv, REQUIREMENTS) {
        return Ok(python);
    }
    eprintln!("installing Flask and gunicorn");
    // Half of an earlier one would be in the way.
    let _ = fs::remove_dir_all(&venv);
    let mut command = Command::new("python3");
    command.args(["-m", "venv"]).arg(&venv);
    run(command).context("`python3 -m venv`")?;
    let mut command = Command::new(&python);
    command
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
        ])
        .arg(folder.join("requirements.txt"));
    run(command).context("`pip install`")?;
    note_installed(&venv, REQUIREMENTS)?;
    Ok(python)
}

fn install_fastify(folder: &Path) -> Result<()> {
    let modules = folder.join("node_modules");
    if is_installed(&modules, PACKAGE) {
        return Ok(());
    }
    eprintln!("installing Fastify");
    let mut command = Command::new("npm");
    command
        .args([
            "install",
            "--no-audit",
            "--no-fund",
            "--no-package-lock",
            "--ignore-scripts",
        ])
        .current_dir(folder);
    run(command).context("`npm install`")?;
    note_installed(&modules, PACKAGE)
}

fn install_webhook(folder: &Path) -> Result<PathBuf> {
    if let Some(found) = on_the_path("webhook") {
        return Ok(found);
    }
    let home = folder.join("webhook");
    let binary = home.join("usr/bin/webhook");
    if binary.is_file() {
        return Ok(binary);
    }
    eprintln!("unpacking webhook");
    fs::create_dir_all(&home).with_context(|| format!("create {}", home.display()))?;
    // Installed, it would be started as a service at once.
    debian::unpack("webhook", &home)?;
    match binary.is_file() {
        true => Ok(binary),
        false => bail!("the package of `webhook` holds no such program"),
    }
}

/// Whether exactly this was installed into `folder`, to its end.
fn is_installed(folder: &Path, what: &str) -> bool {
    fs::read_to_string(folder.join(STAMP)).is_ok_and(|stamp| stamp == what)
}

fn note_installed(folder: &Path, what: &str) -> Result<()> {
    fs::write(folder.join(STAMP), what).context("note what was installed")
}

fn run(mut command: Command) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start {}", command.get_program().display()))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let last = text.lines().rev().find(|line| !line.trim().is_empty());
        bail!("{} ({})", last.unwrap_or("no word of why"), output.status);
    }
    Ok(())
}

fn on_the_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(program));
    places.find(|place| place.is_file())
}

fn said(program: &Path, words: &[&str]) -> Option<String> {
    let output = Command::new(program).args(words).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().next().map(str::to_owned)
}

/// In one line, for a table.
fn told(error: &anyhow::Error) -> String {
    format!("{error:#}").replace(['\n', '|'], " ")
}

const STAMP: &str = "installed";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_a_reason() {
        let missing = || Err("not installed".to_owned());
        let peers = Peers {
            folder: PathBuf::new(),
            python: missing(),
            node: Ok("/usr/bin/node".into()),
            fastify: missing().map(|_: PathBuf| ()),
            webhook: missing(),
        };
        assert_eq!(peers.python().unwrap_err().to_string(), "not installed");
        assert!(peers.node("node_http.js").is_ok());
        assert!(peers.node("node_fastify.js").is_err());
        assert!(peers.webhook().is_err());
        assert_eq!(told(&anyhow!("a|b").context("c\nd")), "c d: a b");
    }

    #[test]
    fn installed_is_what_was_installed_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_installed(folder.path(), "a==1"));
        note_installed(folder.path(), "a==1").unwrap();
        assert!(is_installed(folder.path(), "a==1"));
        assert!(!is_installed(folder.path(), "a==2"));
    }

    #[test]
    fn versions_are_pinned() {
        assert!(REQUIREMENTS.lines().all(|line| line.contains("==")));
        let package: serde_json::Value = serde_json::from_str(PACKAGE).unwrap();
        let fastify = package["dependencies"]["fastify"].as_str().unwrap();
        assert!(fastify.starts_with(|first: char| first.is_ascii_digit()));
    }
}
