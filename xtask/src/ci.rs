//! `cargo xtask ci`: every check, cheapest first, up to the first failure.
//!
//! What compiles into `target/debug` runs one after the other, because cargo locks that folder. Beside it runs what mostly waits,
//! such as for registries and tools of other languages. Most tests wait too: beside them runs what older compilers build, in a
//! folder of their own.

use std::env;
use std::io::{Read as _, Seek as _};
use std::panic::resume_unwind;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use xtask_checks::not_run::{self, InCi};
use xtask_checks::workspace::{self, Member};

use crate::setup::{self, Scope};
use crate::test;

/// Steps that need nothing of each other, but what earlier phases have made: each is what a person types to repeat it.
struct Phase {
    steps: Vec<String>,
    /// Steps that run at the same time, one after the other; they print what they print at their end.
    beside: Vec<String>,
}

/// Runs the steps; stops at the first that fails and says how to repeat it.
pub(crate) fn run(root: &Path) -> Result<()> {
    let members = workspace::members(root)?;
    not_run::clear(root)?;
    // First, because clippy already builds SQLite.
    setup::run(root, Scope::Ci, Scope::Test, false)?;
    let own = env::current_exe().context("find this program")?;
    let started = Instant::now();
    let mut durations = Vec::new();
    for phase in phases(root, &members)? {
        durations.extend(phase.run(root, &own)?);
    }
    println!("\nall {} steps passed", durations.len());
    for (step, duration) in &durations {
        println!("{:>9}  {step}", seconds(*duration));
    }
    println!("{:>9}  in all", seconds(started.elapsed()));
    not_run::list(root, setup::is_ci())
}

fn phases(root: &Path, members: &[Member]) -> Result<[Phase; 4]> {
    let tests = format!("cargo {}", test::CARGO_TEST.join(" "));
    // Built with its neighbours, a crate borrows the features that they turn on; a user's build has no neighbours.
    let published = members.iter().filter(|member| member.is_published());
    let mut last: Vec<String> = published.flat_map(alone).collect();
    last.extend(wasm(root)?);
    last.extend(serde_json());
    last.push("cargo xtask package".to_owned());
    Ok([
        Phase {
            steps: LOOK.map(str::to_owned).into(),
            beside: ["nats", "axe", "languages --prove", "deploy", "deny"]
                .map(|command| format!("cargo xtask {command}"))
                .into(),
        },
        // Alone, because it takes all cores, and the next phase does not.
        Phase {
            steps: vec![
                format!("{tests} --no-run"),
                // As a user builds it, for `dist` and `applications`.
                "cargo build --locked --package heygen-webhooks".to_owned(),
            ],
            beside: Vec::new(),
        },
        // The doctests are among them.
        Phase {
            steps: vec![tests],
            beside: oldest(root, members)?,
        },
        Phase {
            steps: last,
            // The first puts the program there as a user builds it.
            beside: [
                "cargo xtask dist --dev",
                "cargo xtask applications --binary target/debug/heygen-webhooks",
            ]
            .map(str::to_owned)
            .into(),
        },
    ])
}

/// What compiles at most, and runs nothing of ours but generators.
const LOOK: [&str; 9] = [
    "cargo fmt --all --check",
    "cargo xtask tidy",
    "cargo xtask schemas --check",
    "cargo xtask fixtures --check",
    "cargo xtask docs --check",
    "cargo clippy --workspace --all-targets --all-features -- -D warnings",
    // The fuzz targets are a workspace of their own, checked without the C++ of libFuzzer. Nothing runs them here: the property
    // tests hold the same rules.
    "cargo fmt --manifest-path fuzz/Cargo.toml --check",
    "cargo clippy --manifest-path fuzz/Cargo.toml --locked --no-default-features -- -D warnings",
    "RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --all-features",
];

/// Any crate of a user's build may turn these features on for all, and then numbers and maps come in other forms. Left out is what
/// asks for numbers that no `Value` can hold, of which there are none then.
///
/// Each names both crates, so that what they are built from is built once.
fn serde_json() -> [String; 2] {
    let features = "--features=serde_json/arbitrary_precision,serde_json/preserve_order";
    [
        "--test=it -- containers fixtures generated ids questions",
        "--lib",
    ]
    .map(|tests| format!("cargo test -p=heygen-events -p=heygen-testkit {features} {tests}"))
}

/// The member by itself: as most people add it, with nothing turned on, and with each feature. The program is built so anyway.
///
/// Clippy rather than `check`: it takes as long, and denies the warnings that only such a build shows.
fn alone(member: &Member) -> Vec<String> {
    let name = member.name();
    let mut variants = vec![String::new()];
    if name == "heygen-webhooks" {
        variants.clear();
    }
    if member.manifest.contains_key("features") {
        variants.push(" --no-default-features".to_owned());
    }
    let features = member.features().into_iter();
    variants.extend(features.map(|name| format!(" --no-default-features --features {name}")));
    let clippy = |variant| format!("cargo clippy --package {name}{variant} -- -D warnings");
    variants.into_iter().map(clippy).collect()
}

/// The crates with the oldest Rust that they declare, and their public interfaces, where rustup has it. On one core, because some
/// tests watch the clock meanwhile.
fn oldest(root: &Path, members: &[Member]) -> Result<Vec<String>> {
    let mut steps = Vec::new();
    for version in workspace::OLDEST {
        if !setup::succeeds(&format!("rustup run {version} rustc --version")) {
            let what = format!("the build with Rust {version}");
            let why = "rustup does not reach it; clippy's incompatible_msrv ran";
            not_run::note(root, InCi::Passes, &what, why)?;
            continue;
        }
        let named = members.iter().filter(|member| member.builds_with(version));
        let packages: String = named
            .map(|member| format!(" --package {}", member.name()))
            .collect();
        let options = "--config=xtask/oldest.toml --jobs=1 --all-features";
        steps.push(format!(
            "rustup run {version} cargo check {options}{packages}"
        ));
    }
    // After the build that it continues.
    steps.push("cargo xtask public-api".to_owned());
    Ok(steps)
}

/// Functions in the cloud are WebAssembly: what verifies and types compiles for it, and so does an inbox without SQLite.
fn wasm(root: &Path) -> Result<Vec<String>> {
    let target = "wasm32-unknown-unknown";
    let has_target = format!("test -d \"$(rustc --print target-libdir --target {target})\"");
    if !setup::succeeds(&has_target) {
        let what = format!("clippy for {target}");
        let why = "rustup does not reach the target";
        not_run::note(root, InCi::Passes, &what, why)?;
        return Ok(Vec::new());
    }
    let packages = [
        "heygen-events --all-features",
        "heygen-signature --all-features",
        "heygen-inbox --no-default-features",
        "heygen-receiver --no-default-features",
    ];
    let clippy =
        |package| format!("cargo clippy --target {target} --package {package} -- -D warnings");
    Ok(packages.map(clippy).into())
}

impl Phase {
    fn run(self, root: &Path, own: &Path) -> Result<Vec<(String, Duration)>> {
        let Self { steps, beside } = self;
        let has_failed = AtomicBool::new(false);
        let run_all = |steps: Vec<String>, beside_by: Option<&Path>| {
            let mut done = Vec::new();
            for step in steps {
                if has_failed.load(Ordering::Relaxed) {
                    break;
                }
                let result = run_step(&step, root, beside_by);
                has_failed.fetch_or(result.is_err(), Ordering::Relaxed);
                done.push((step, result?));
            }
            Ok(done)
        };
        thread::scope(|scope| {
            let beside = scope.spawn(|| run_all(beside, Some(own)));
            let done: Result<Vec<_>> = run_all(steps, None);
            let beside: Result<Vec<_>> = beside.join().unwrap_or_else(|panic| resume_unwind(panic));
            Ok([done?, beside?].concat())
        })
    }
}

/// Runs it. Beside others it prints at its end, and commands of ours are run by this program, which does not wait for cargo's lock.
fn run_step(step: &str, root: &Path, beside_by: Option<&Path>) -> Result<Duration> {
    let started = Instant::now();
    let mut command = setup::shell(step);
    if let (Some(own), Some(ours)) = (beside_by, step.strip_prefix("cargo xtask ")) {
        command = Command::new(own);
        command.args(ours.split(' '));
    }
    // A file, because a pipe would wait for whatever the step leaves behind.
    let mut said = tempfile::tempfile().context("make a file for what a step says")?;
    if beside_by.is_some() {
        let clone = || said.try_clone().context("make a file for what a step says");
        command.stdout(clone()?).stderr(clone()?);
    } else {
        println!("\n==> {step}");
    }
    let status = command.current_dir(root).status();
    let status = status.with_context(|| format!("start `{step}`"))?;
    if beside_by.is_some() {
        let mut bytes = Vec::new();
        said.rewind()
            .and_then(|()| said.read_to_end(&mut bytes))
            .context("read what a step said")?;
        let text = String::from_utf8_lossy(&bytes);
        println!("\n==> {step}, beside others\n{}", text.trim_end());
    }
    if !status.success() {
        bail!("a step failed; to repeat it: {step}");
    }
    let duration = started.elapsed();
    println!("    done in {}", seconds(duration));
    Ok(duration)
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

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
        let commands = alone(&member).join("\n");
        assert_eq!(
            commands,
            "cargo clippy --package a -- -D warnings\n\
             cargo clippy --package a --no-default-features -- -D warnings\n\
             cargo clippy --package a --no-default-features --features x -- -D warnings\n\
             cargo clippy --package a --no-default-features --features y -- -D warnings"
        );
    }

    #[test]
    fn steps_run_beside_others_and_a_failure_is_named() {
        let (root, own) = (workspace::root(), env::current_exe().unwrap());
        let run = |beside: &str| {
            let [steps, beside] = ["cargo --version", beside].map(|step| vec![step.to_owned()]);
            let done = Phase { steps, beside }.run(&root, &own);
            done.map(|done| done.into_iter().map(|(step, _)| step).collect::<Vec<_>>())
        };
        // This program, with an option that it has under test.
        let expected = ["cargo --version", "cargo xtask --list"];
        assert_eq!(run("cargo xtask --list").unwrap(), expected);
        let expected = "a step failed; to repeat it: cargo no-such-command";
        assert_eq!(
            run("cargo no-such-command").unwrap_err().to_string(),
            expected
        );
    }
}
