//! `cargo xtask applications`: the packages for other languages, built, installed from their archives and tested there; and
//! every receiver of `docs/applications`, started, checked by `drill`, and put behind `serve --forward`.
//!
//! The types that are generated in the packages are compared by `cargo xtask languages`.
//! Versions are pinned in `xtask/applications/tools`; what is brought lies under `target/applications`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer reads what this command prints"
)]

mod npm;
mod process;
mod python;
mod receiver;
mod report;
mod tools;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use receiver::RECEIVERS;
use report::Report;

/// Tests packages/ from their archives, and every receiver of docs/applications.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask applications")]
struct Options {
    /// Only what has this in its name
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// The binary `heygen-webhooks`, instead of one that is built
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// Where things are.
struct Places {
    /// The root of the repository.
    root: PathBuf,
    /// `target/applications`.
    target: PathBuf,
    /// The binary `heygen-webhooks`.
    binary: PathBuf,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all is well.
fn run(options: &Options) -> Result<bool> {
    let root = root();
    let binary = match &options.binary {
        Some(binary) => fs::canonicalize(binary).context("find the binary")?,
        None => tools::build_binary(&root)?,
    };
    let places = Places {
        target: root.join("target/applications"),
        binary,
        root,
    };
    fs::create_dir_all(&places.target).context("create target/applications")?;
    let is_wanted = |name: &str| {
        options
            .only
            .as_deref()
            .is_none_or(|only| name.contains(only))
    };
    let mut report = Report::default();
    let node = tools::node(&places);
    let python = tools::python(&places);
    // The receivers use the packages, so these are installed also when only a receiver is wanted.
    let npm = npm::check(&places, &node, is_wanted("packages/npm"));
    report.add("packages/npm", &npm);
    let pip = python::check(&places, &python, is_wanted("packages/python"));
    report.add("packages/python", &pip);
    for receiver in RECEIVERS.iter().filter(|receiver| is_wanted(receiver.file)) {
        report.add(
            &format!("docs/applications/{}", receiver.file),
            &receiver.check(&places),
        );
    }
    report.print(&places.root)
}

/// Cargo tells at run time where the manifest is; a checkout may have been moved since it was built.
fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    here.ancestors().nth(2).map_or(here.clone(), Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, line: &str) {
        let text = fs::read_to_string(root().join(path)).unwrap();
        assert!(text.lines().any(|found| found.trim() == line), "{path}");
    }

    #[test]
    fn packages_have_the_version_of_the_workspace() {
        let version = env!("CARGO_PKG_VERSION");
        check(
            "packages/npm/package.json",
            &format!("\"version\": \"{version}\","),
        );
        check(
            "packages/python/pyproject.toml",
            &format!("version = \"{version}\""),
        );
    }

    /// Copies, because neither npm nor pip packs what a link points to.
    #[test]
    fn packages_carry_the_licences_of_the_workspace() {
        for license in ["LICENSE-APACHE", "LICENSE-MIT"] {
            let expected = fs::read_to_string(root().join(license)).unwrap();
            for package in ["packages/npm", "packages/python"] {
                let found = fs::read_to_string(root().join(package).join(license)).unwrap();
                assert_eq!(found, expected, "{package}");
            }
        }
    }
}
