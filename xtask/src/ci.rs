//! `cargo xtask ci`: every check, cheapest first, up to the first failure.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use xtask_checks::not_run::{self, InCi};
use xtask_checks::workspace::{self, Member};

use crate::setup::{self, Scope};
use crate::test;

/// One command: what a person types to repeat it.
struct Step {
    /// Another Rust than the one that runs us.
    toolchain: Option<&'static str>,
    arguments: Vec<String>,
    environment: Option<(&'static str, &'static str)>,
}

/// Runs the steps; stops at the first that fails and says how to repeat it.
pub(crate) fn run(root: &Path) -> Result<()> {
    let members = workspace::members(root)?;
    not_run::clear(root)?;
    // First, because clippy already builds SQLite.
    setup::run(root, Scope::Ci, Scope::Test, false)?;
    let started = Instant::now();
    let mut durations = Vec::new();
    let mut steps = steps(&members);
    if has_wasm() {
        steps.extend(wasm());
    } else {
        let what = format!("clippy for {WASM}");
        not_run::note(
            root,
            InCi::Passes,
            &what,
            "rustup does not reach the target",
        )?;
    }
    for version in workspace::OLDEST {
        if setup::succeeds(&format!("rustup run {version} rustc --version")) {
            steps.push(oldest(version, &members));
        } else {
            let what = format!("the build with Rust {version}");
            not_run::note(
                root,
                InCi::Passes,
                &what,
                "rustup does not reach it; clippy's incompatible_msrv ran",
            )?;
        }
    }
    for step in steps {
        println!("\n==> {step}");
        let duration = step.run(root)?;
        println!("    done in {}", seconds(duration));
        durations.push((step, duration));
    }
    println!("\nall {} steps passed", durations.len());
    for (step, duration) in &durations {
        println!("{:>9}  {step}", seconds(*duration));
    }
    println!("{:>9}  in all", seconds(started.elapsed()));
    not_run::list(root, setup::is_ci())
}

fn steps(members: &[Member]) -> Vec<Step> {
    let mut steps = vec![
        Step::new(&["fmt", "--all", "--check"]),
        Step::new(&["xtask", "tidy"]),
        Step::new(&["xtask", "schemas", "--check"]),
        Step::new(&["xtask", "fixtures", "--check"]),
        Step::new(&["xtask", "docs", "--check"]),
        Step::new(&["xtask", "languages", "--prove"]),
        Step::new(&["xtask", "deploy"]),
        Step::new(&["xtask", "deny"]),
    ];
    let clippy = ["clippy", "--workspace", "--all-targets", "--all-features"];
    steps.push(Step::new(&[&clippy[..], &DENY_WARNINGS].concat()));
    steps.extend(fuzz_targets());
    steps.push(Step::new(&["xtask", "nats"]));
    steps.push(Step::new(&["xtask", "axe"]));
    // The doctests are part of it.
    steps.push(Step::new(&test::CARGO_TEST));
    // Any crate of a user's build may turn these on for all, and then numbers and maps come in other forms. Left out is what
    // asks for numbers that no `Value` can hold, of which there are none then.
    let features = "--features=serde_json/arbitrary_precision,serde_json/preserve_order";
    let of_events = ["containers", "fixtures", "generated", "ids", "questions"];
    let events = ["test", "-p=heygen-events", features, "--test=it", "--"];
    steps.push(Step::new(&[&events[..], &of_events].concat()));
    steps.push(Step::new(&["test", "-p=heygen-testkit", features, "--lib"]));
    let doc = ["doc", "--workspace", "--no-deps", "--all-features"];
    steps.push(Step {
        environment: Some(("RUSTDOCFLAGS", "-D warnings")),
        ..Step::new(&doc)
    });
    steps.push(Step::new(&["xtask", "package"]));
    steps.push(Step::new(&["xtask", "applications"]));
    // Built with its neighbours, a crate borrows the features that they turn on; a user's build has no neighbours.
    steps.extend(members.iter().flat_map(alone));
    steps
}

/// The fuzz targets are a workspace of their own, checked without the C++ of libFuzzer. Nothing runs them here: the property
/// tests hold the same rules.
fn fuzz_targets() -> [Step; 2] {
    let place = ["--manifest-path", "fuzz/Cargo.toml"];
    let clippy = ["--locked", "--no-default-features"];
    [
        Step::new(&[&["fmt"], &place[..], &["--check"]].concat()),
        Step::new(&[&["clippy"], &place[..], &clippy[..], &DENY_WARNINGS].concat()),
    ]
}

/// The member by itself: as most people add it, with nothing turned on, and with each feature.
///
/// Clippy rather than `check`: it takes as long, and denies the warnings that only such a build shows.
fn alone(member: &Member) -> Vec<Step> {
    let clippy = ["clippy", "--package", member.name()];
    let mut variants: Vec<Vec<&str>> = vec![vec![]];
    if member.manifest.contains_key("features") {
        variants.push(vec!["--no-default-features"]);
    }
    for feature in member.features() {
        variants.push(vec!["--no-default-features", "--features", feature]);
    }
    variants
        .iter()
        .map(|variant| Step::new(&[&clippy[..], variant, &DENY_WARNINGS].concat()))
        .collect()
}

/// The crates that say that they need this version build with it.
fn oldest(version: &'static str, members: &[Member]) -> Step {
    let named = members.iter().filter(|member| member.needs(version));
    let packages: Vec<&str> = named
        .flat_map(|member| ["--package", member.name()])
        .collect();
    Step {
        toolchain: Some(version),
        ..Step::new(&[&["check", "--all-features"], &packages[..]].concat())
    }
}

/// Functions in the cloud are WebAssembly: what verifies and types compiles for it, and so does an inbox without SQLite.
fn wasm() -> [Step; 3] {
    let names = [
        ("heygen-events", "--all-features"),
        ("heygen-signature", "--all-features"),
        ("heygen-inbox", "--no-default-features"),
    ];
    names.map(|(name, features)| {
        let clippy = ["clippy", "--target", WASM, "--package", name, features];
        Step::new(&[&clippy[..], &DENY_WARNINGS].concat())
    })
}

/// Whether Rust can build for WebAssembly.
fn has_wasm() -> bool {
    setup::succeeds(&format!(
        "test -d \"$(rustc --print target-libdir --target {WASM})\""
    ))
}

impl Step {
    fn new(arguments: &[&str]) -> Self {
        Self {
            arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
            toolchain: None,
            environment: None,
        }
    }

    fn run(&self, root: &Path) -> Result<Duration> {
        let started = Instant::now();
        let mut cargo = workspace::cargo(root);
        if let Some(version) = self.toolchain {
            cargo = Command::new("rustup");
            cargo.current_dir(root).args(["run", version, "cargo"]);
        }
        let status = cargo
            .args(&self.arguments)
            .envs(self.environment)
            .status()
            .with_context(|| format!("start `{self}`"))?;
        if !status.success() {
            bail!("a step failed; to repeat it: {self}");
        }
        Ok(started.elapsed())
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some((name, value)) = self.environment {
            write!(f, "{name}='{value}' ")?;
        }
        write!(f, "cargo ")?;
        if let Some(version) = self.toolchain {
            write!(f, "+{version} ")?;
        }
        write!(f, "{}", self.arguments.join(" "))
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

const WASM: &str = "wasm32-unknown-unknown";
const DENY_WARNINGS: [&str; 3] = ["--", "-D", "warnings"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_feature_is_built_alone() {
        let manifest = "[package]\nname = \"a\"\n[features]\ndefault = [\"x\"]\nx = []\ny = []\n";
        let member = Member {
            folder: "crates/a".to_owned(),
            manifest: manifest.parse().unwrap(),
        };
        let commands: Vec<String> = alone(&member).iter().map(Step::to_string).collect();
        assert_eq!(
            commands,
            [
                "cargo clippy --package a -- -D warnings",
                "cargo clippy --package a --no-default-features -- -D warnings",
                "cargo clippy --package a --no-default-features --features x -- -D warnings",
                "cargo clippy --package a --no-default-features --features y -- -D warnings",
            ]
        );
    }

    #[test]
    fn a_step_prints_as_it_is_typed() {
        let members = [];
        let commands: Vec<String> = steps(&members).iter().map(Step::to_string).collect();
        let expected = "RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --all-features";
        assert!(
            commands.iter().any(|command| command == expected),
            "{commands:?}"
        );
    }
}
