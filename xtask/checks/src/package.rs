//! `cargo xtask package`: what would be published, compiled and tested from its archives alone.
//!
//! The archives are unpacked into a workspace under `target/`, where the crates find each other and nothing else of this
//! repository. `xtask/downstream` stands beside them, as a crate of their users.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use toml::{Table, Value};

use crate::{tools, workspace};

/// Packs, unpacks and tests.
pub fn run(root: &Path) -> Result<()> {
    let mut members = workspace::members(root)?;
    members.retain(workspace::Member::is_published);
    let names: Vec<&str> = members.iter().map(workspace::Member::name).collect();
    let packages = names.iter().flat_map(|name| ["--package", name]);
    tools::run(
        workspace::cargo(root)
            .args(["package", "--quiet", "--no-verify", "--allow-dirty"])
            .args(packages),
    )?;

    let folder = root.join("target/packages");
    if folder.exists() {
        fs::remove_dir_all(&folder).context("empty target/packages")?;
    }
    fs::create_dir_all(folder.join("downstream/src")).context("make target/packages")?;
    let manifest = workspace::parse(root, "Cargo.toml")?;
    let version = manifest["workspace"]["package"]["version"].as_str();
    let version = version.context("the workspace has no version")?;
    for name in &names {
        let archive = root.join(format!("target/package/{name}-{version}.crate"));
        tools::run(
            Command::new("tar")
                // With the time of now: archives hold one time for all, by which cargo sees no change.
                .arg("-xzmf")
                .arg(archive)
                .current_dir(&folder),
        )?;
        fs::rename(folder.join(format!("{name}-{version}")), folder.join(name))
            .with_context(|| format!("rename {name}"))?;
        for file in ["LICENSE-APACHE", "LICENSE-MIT", "README.md"] {
            let text = workspace::read(&folder, &format!("{name}/{file}"))?;
            // A link that was packed as a file holds the path it leads to.
            anyhow::ensure!(text.lines().count() > 3, "{name}/{file} is no text");
        }
    }
    for file in ["Cargo.toml", "src/lib.rs"] {
        let from = root.join("xtask/downstream").join(file);
        fs::copy(from, folder.join("downstream").join(file)).context("copy xtask/downstream")?;
    }
    // The same versions as everywhere, so that what is built can be used again.
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).context("copy Cargo.lock")?;
    let text = scratch(&names, &manifest).to_string();
    fs::write(folder.join("Cargo.toml"), text).context("write the manifest")?;
    // Unit tests of the stores on NATS start servers, which no package brings.
    let without_servers = ["--exclude", "heygen-inbox", "--workspace", "--all-features"];
    let inbox = [
        "--package",
        "heygen-inbox",
        "--features",
        "conformance,transfer",
    ];
    for arguments in [without_servers, inbox] {
        tools::run(
            workspace::cargo(&folder)
                .args(["test", "--target-dir"])
                .arg(root.join("target"))
                .args(arguments)
                .env("HEYGEN_REPOSITORY", root),
        )
        .context("a package does not stand alone; they are in target/packages")?;
    }
    Ok(())
}

/// The manifest of the workspace of packages, built as this one is.
fn scratch(names: &[&str], manifest: &Table) -> Table {
    let names = names.iter().map(|name| (*name).to_owned());
    let path = |name: String| Table::from_iter([("path".to_owned(), Value::from(name))]);
    let patches: Table = names
        .clone()
        .map(|name| (name.clone(), path(name).into()))
        .collect();
    let members: Vec<Value> = names
        .chain(["downstream".to_owned()])
        .map(Value::from)
        .collect();
    let workspace = [("resolver", Value::from("3")), ("members", members.into())];
    let mut scratch = Table::new();
    scratch.insert("workspace".to_owned(), table(workspace));
    scratch.insert("patch".to_owned(), table([("crates-io", patches.into())]));
    scratch.extend(
        manifest
            .get_key_value("profile")
            .map(|(k, v)| (k.clone(), v.clone())),
    );
    scratch
}

fn table<const N: usize>(entries: [(&str, Value); N]) -> Value {
    let entries = entries.map(|(key, value)| (key.to_owned(), value));
    Table::from_iter(entries).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_find_each_other_and_keep_the_profiles() {
        let manifest = "[profile.dev]\ndebug = false\n".parse().unwrap();
        let found = scratch(&["a"], &manifest);
        assert_eq!(found["patch"]["crates-io"]["a"]["path"].as_str(), Some("a"));
        assert_eq!(found["profile"], manifest["profile"]);
        let members = found["workspace"]["members"].as_array().unwrap();
        assert_eq!(members, &["a".into(), "downstream".into()]);
    }
}
