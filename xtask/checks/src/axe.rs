//! `cargo xtask axe`: axe-core, with which tests check that the dashboard is accessible.
//!
//! `xtask/tools/axe` pins it, with the hash that npm checks. Nothing of it is run but in the browser of the tests.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{tools, workspace};

/// Installs it where it is missing or of another version.
pub fn ensure(root: &Path) -> Result<()> {
    let folder = root.join("target/axe");
    let files = ["package.json", "package-lock.json"];
    let wanted = files.map(|name| workspace::read(root, &format!("xtask/tools/axe/{name}")));
    let [manifest, lock] = wanted;
    let (manifest, lock) = (manifest?, lock?);
    // Written last: what was installed half has none.
    let installed = folder.join("installed");
    if fs::read_to_string(&installed).is_ok_and(|text| text == lock) {
        return Ok(());
    }
    println!("installing xtask/tools/axe into {}", folder.display());
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    for (name, text) in files.into_iter().zip([&manifest, &lock]) {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    }
    let options = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
    tools::run(Command::new("npm").args(options).current_dir(&folder))?;
    fs::write(installed, lock).context("note what was installed")
}
