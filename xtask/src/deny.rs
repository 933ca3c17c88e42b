//! `cargo xtask deny`: what is in the tree of dependencies, against `deny.toml`.
//!
//! Licences, bans, sources and yanked versions are told by manifests and the registry, and are always checked. What is known
//! to be vulnerable stands in `RustSec`'s database, a git repository that not every machine reaches: where it is neither
//! reached nor on the disk, that part is not run, and says so; [`not_run`] lets `ci` say it once more at its end.

mod stand_in;
mod tool;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Checks everything that can be checked here.
pub(crate) fn run(root: &Path) -> Result<()> {
    let note = root.join(NOTE);
    if note.exists() {
        fs::remove_file(&note).with_context(|| format!("remove {NOTE}"))?;
    }
    let tool = tool::ensure(root)?;
    let deny = || {
        let mut command = Command::new(&tool);
        command.current_dir(root);
        command
    };
    check(deny().args([
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]))?;
    let fetched = deny().args(["fetch", "db"]).output();
    if fetched.context("start cargo-deny")?.status.success() {
        return check(deny().args(["check", "advisories"]));
    }
    if let Some(database) = database() {
        println!(
            "RustSec's database is not reached; as it was when {} was fetched:",
            database.display()
        );
        return check(deny().args(["--offline", "check", "advisories"]));
    }
    // cargo-deny looks for yanked versions only where it has a database.
    let config = stand_in::write(root)?;
    check(
        stand_in::use_for(root, deny().arg("--config").arg(config)).args(["check", "advisories"]),
    )?;
    println!("{NOT_RUN}");
    fs::write(&note, NOT_RUN).with_context(|| format!("write {NOTE}"))
}

/// What the last [`run`] could not check, in one line.
pub(crate) fn not_run(root: &Path) -> Option<String> {
    fs::read_to_string(root.join(NOTE)).ok()
}

fn check(command: &mut Command) -> Result<()> {
    let status = command.status().context("start cargo-deny")?;
    if !status.success() {
        bail!("cargo-deny has objections; deny.toml says what is allowed");
    }
    Ok(())
}

/// Where cargo-deny has put `RustSec`'s database, if it ever reached it.
fn database() -> Option<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| {
        let home = env::var_os("HOME")?;
        Some(Path::new(&home).join(".cargo"))
    })?;
    let entries = fs::read_dir(home.join("advisory-dbs")).ok()?;
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.join("crates").is_dir())
}

/// Everything that is made here, relative to the root.
const FOLDER: &str = "target/deny";
const NOTE: &str = "target/deny/not-run.txt";

const NOT_RUN: &str = "NOT RUN: known vulnerabilities (advisories), because RustSec's database is out of reach; \
                       yanked versions, licences, bans and sources were checked";
