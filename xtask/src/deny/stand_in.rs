//! A database of advisories about nothing.
//!
//! cargo-deny asks the registry for yanked versions only while it checks advisories, and does that only with a database
//! that has at least one. So where `RustSec`'s is out of reach it gets this one, in a folder apart from the true ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use toml::{Table, Value};

use super::FOLDER;
use crate::workspace;

/// Makes the database, and the configuration that uses it: `deny.toml` with another folder for databases.
pub(super) fn write(root: &Path) -> Result<PathBuf> {
    let origin = origin(root);
    let databases = root.join(FOLDER).join("databases");
    for folder in [&origin, &databases] {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
        }
    }
    let folder = origin.join("crates/nothing");
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    fs::write(folder.join("RUSTSEC-1970-0001.md"), ADVISORY).context("write the advisory")?;
    for arguments in [
        &["init", "--quiet", "--initial-branch", "main"][..],
        &["add", "."],
        &[
            "-c",
            "user.name=xtask",
            "-c",
            "user.email=xtask@localhost",
            "commit",
            "--quiet",
            "--message",
            "nothing",
        ],
    ] {
        let status = Command::new("git")
            .args(arguments)
            .current_dir(&origin)
            .status()
            .context("start git")?;
        if !status.success() {
            bail!("git {} failed", arguments.join(" "));
        }
    }
    let config = config(workspace::parse(root, "deny.toml")?, &databases)?;
    let path = root.join(FOLDER).join("yanked.toml");
    fs::write(&path, config.to_string()).with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}

/// Has git take the stand-in where the program asks for `RustSec`'s.
pub(super) fn use_for<'a>(root: &Path, command: &'a mut Command) -> &'a mut Command {
    command
        .env("GIT_CONFIG_COUNT", "1")
        .env(
            "GIT_CONFIG_KEY_0",
            format!("url.{}.insteadOf", origin(root).display()),
        )
        .env("GIT_CONFIG_VALUE_0", RUSTSEC)
}

fn config(mut config: Table, databases: &Path) -> Result<Table> {
    let advisories = config
        .get_mut("advisories")
        .and_then(Value::as_table_mut)
        .context("deny.toml has no [advisories]")?;
    let databases = databases.display().to_string();
    advisories.insert("db-path".to_owned(), databases.into());
    advisories.insert("db-urls".to_owned(), vec![RUSTSEC].into());
    // What it makes an exception for is nothing that the stand-in knows.
    advisories.insert("ignore".to_owned(), Value::Array(Vec::new()));
    Ok(config)
}

fn origin(root: &Path) -> PathBuf {
    root.join(FOLDER).join("stand-in")
}

const RUSTSEC: &str = "https://github.com/RustSec/advisory-db";

const ADVISORY: &str = "\
```toml
[advisory]
id = \"RUSTSEC-1970-0001\"
package = \"nothing\"
date = \"1970-01-01\"

[versions]
patched = []
```

# Nothing

About no crate.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_stay_as_they_are() {
        let rules: Table =
            "[advisories]\nyanked = 'deny'\nignore = ['A']\n[bans]\nwildcards = 'deny'"
                .parse()
                .unwrap();
        let config = config(rules, Path::new("/d")).unwrap();
        assert_eq!(config["advisories"]["yanked"].as_str(), Some("deny"));
        assert_eq!(config["advisories"]["db-path"].as_str(), Some("/d"));
        assert_eq!(config["bans"]["wildcards"].as_str(), Some("deny"));
    }
}
