//! The commit that a release build was made of, for `--version`.

use std::env;
use std::path::Path;
use std::process::Command;

/// Set where there is no repository, such as in a container's build.
const COMMIT: &str = "HEYGEN_WEBHOOKS_COMMIT";

fn main() {
    println!("cargo::rerun-if-env-changed={COMMIT}");
    println!("cargo::rerun-if-changed=build.rs");
    let commit = env::var(COMMIT).ok().filter(|commit| !commit.is_empty());
    if let Some(commit) = commit.or_else(of_the_repository) {
        println!("cargo::rustc-env={COMMIT}={commit}");
    }
}

/// Not for debug builds, which would be made again after each commit.
fn of_the_repository() -> Option<String> {
    if env::var("PROFILE").ok()? != "release" || !Path::new("../../.git").exists() {
        return None;
    }
    // It has a line more after each commit and checkout.
    let log = "../../.git/logs/HEAD";
    if Path::new(log).exists() {
        println!("cargo::rerun-if-changed={log}");
    }
    let output = Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
