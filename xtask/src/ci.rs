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

/// One command: what a person types to repeat it.
struct Step {
    environment: Option<(&'static str, &'static str)>,
    /// Another Rust than the one that runs us.
    toolchain: Option<&'static str>,
    /// For cargo, with one blank between words.
    words: String,
}

/// Steps that need nothing of each other, but what earlier phases have made.
struct Phase {
    steps: Vec<Step>,
    /// Steps that run at the same time, one after the other; they print what they print at their end.
    beside: Vec<Step>,
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
    let ours = |command: &str| Step::new(format!("xtask {command}"));
    let tests = test::CARGO_TEST.join(" ");
    // Built with its neighbours, a crate borrows the features that they turn on; a user's build has no neighbours.
    let published = members.iter().filter(|member| member.is_published());
    let mut last: Vec<Step> = published.flat_map(alone).collect();
    last.extend(wasm(root)?);
    last.extend(serde_json());
    last.push(ours("package"));
    Ok([
        Phase {
            steps: look(),
            beside: ["nats", "axe", "languages --prove", "deploy", "deny"]
                .map(ours)
                .into(),
        },
        // Alone, because it takes all cores, and the next phase does not.
        Phase {
            steps: vec![
                Step::new(format!("{tests} --no-run")),
                // As a user builds it, for `dist` and `applications`.
                Step::new("build --locked --package heygen-webhooks"),
            ],
            beside: Vec::new(),
        },
        // The doctests are among them.
        Phase {
            steps: vec![Step::new(tests)],
            beside: oldest(root, members)?,
        },
        Phase {
            steps: last,
            beside: vec![
                // First, as it puts the program there as a user builds it.
                ours("dist --dev"),
                ours("applications --binary target/debug/heygen-webhooks"),
            ],
        },
    ])
}

/// What compiles at most, and runs nothing of ours but generators.
fn look() -> Vec<Step> {
    let mut steps: Vec<Step> = [
        "fmt --all --check",
        "xtask tidy",
        "xtask schemas --check",
        "xtask fixtures --check",
        "xtask docs --check",
        "clippy --workspace --all-targets --all-features -- -D warnings",
        // The fuzz targets are a workspace of their own, checked without the C++ of libFuzzer. Nothing runs them here: the
        // property tests hold the same rules.
        "fmt --manifest-path fuzz/Cargo.toml --check",
        "clippy --manifest-path fuzz/Cargo.toml --locked --no-default-features -- -D warnings",
    ]
    .map(Step::new)
    .into();
    steps.push(Step {
        environment: Some(("RUSTDOCFLAGS", "-D warnings")),
        ..Step::new("doc --workspace --no-deps --all-features")
    });
    steps
}

/// Any crate of a user's build may turn these features on for all, and then numbers and maps come in other forms. Left out is what
/// asks for numbers that no `Value` can hold, of which there are none then.
///
/// Each names both crates, so that what they are built from is built once.
fn serde_json() -> [Step; 2] {
    let features = "--features=serde_json/arbitrary_precision,serde_json/preserve_order";
    [
        "--test=it -- containers fixtures generated ids questions",
        "--lib",
    ]
    .map(|tests| {
        Step::new(format!(
            "test -p=heygen-events -p=heygen-testkit {features} {tests}"
        ))
    })
}

/// The member by itself: as most people add it, with nothing turned on, and with each feature. The program is built so anyway.
///
/// Clippy rather than `check`: it takes as long, and denies the warnings that only such a build shows.
fn alone(member: &Member) -> Vec<Step> {
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
    variants
        .iter()
        .map(|variant| Step::new(format!("clippy --package {name}{variant} -- -D warnings")))
        .collect()
}

/// The crates with the oldest Rust that they declare, and their public interfaces, where rustup has it. On one core, because some
/// tests watch the clock meanwhile.
fn oldest(root: &Path, members: &[Member]) -> Result<Vec<Step>> {
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
        steps.push(Step {
            toolchain: Some(version),
            ..Step::new(format!("check {options}{packages}"))
        });
    }
    // After the build that it continues.
    steps.push(Step::new("xtask public-api"));
    Ok(steps)
}

/// Functions in the cloud are WebAssembly: what verifies and types compiles for it, and so does an inbox without SQLite.
fn wasm(root: &Path) -> Result<Vec<Step>> {
    let has_target = format!("test -d \"$(rustc --print target-libdir --target {WASM})\"");
    if !setup::succeeds(&has_target) {
        let what = format!("clippy for {WASM}");
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
    let clippy = |package| format!("clippy --target {WASM} --package {package} -- -D warnings");
    Ok(packages.map(|package| Step::new(clippy(package))).into())
}

impl Phase {
    fn run(self, root: &Path, own: &Path) -> Result<Vec<(Step, Duration)>> {
        let Self { steps, beside } = self;
        let has_failed = AtomicBool::new(false);
        let run_all = |steps: Vec<Step>, beside_by: Option<&Path>| {
            let mut done = Vec::new();
            for step in steps {
                if has_failed.load(Ordering::Relaxed) {
                    break;
                }
                let result = step.run(root, beside_by);
                has_failed.fetch_or(result.is_err(), Ordering::Relaxed);
                done.push((step, result?));
            }
            Ok(done)
        };
        thread::scope(|scope| {
            let beside = scope.spawn(|| run_all(beside, Some(own)));
            let done: Result<Vec<_>> = run_all(steps, None);
            let beside: Result<Vec<_>> = beside.join().unwrap_or_else(|panic| resume_unwind(panic));
            Ok([done?, beside?].into_iter().flatten().collect())
        })
    }
}

impl Step {
    fn new(words: impl Into<String>) -> Self {
        Self {
            environment: None,
            toolchain: None,
            words: words.into(),
        }
    }

    /// Runs it. Beside others it prints at its end, and commands of ours are run by this program, which does not wait for cargo's
    /// lock.
    fn run(&self, root: &Path, beside_by: Option<&Path>) -> Result<Duration> {
        let started = Instant::now();
        let mut command = self.command(root, beside_by);
        // A file, because a pipe would wait for whatever the step leaves behind.
        let mut said = tempfile::tempfile().context("make a file for what a step says")?;
        if beside_by.is_some() {
            let clone = || said.try_clone().context("make a file for what a step says");
            command.stdout(clone()?).stderr(clone()?);
        } else {
            println!("\n==> {self}");
        }
        let status = command.status();
        let status = status.with_context(|| format!("start `{self}`"))?;
        if beside_by.is_some() {
            let mut bytes = Vec::new();
            said.rewind()
                .and_then(|()| said.read_to_end(&mut bytes))
                .context("read what a step said")?;
            let text = String::from_utf8_lossy(&bytes);
            println!("\n==> {self}, beside others\n{}", text.trim_end());
        }
        if !status.success() {
            bail!("a step failed; to repeat it: {self}");
        }
        let duration = started.elapsed();
        println!("    done in {}", seconds(duration));
        Ok(duration)
    }

    fn command(&self, root: &Path, beside_by: Option<&Path>) -> Command {
        let mut words = self.words.as_str();
        let mut command = workspace::cargo(root);
        if let Some(version) = self.toolchain {
            command = Command::new("rustup");
            command.args(["run", version, "cargo"]);
        } else if let (Some(own), Some(ours)) = (beside_by, words.strip_prefix("xtask ")) {
            command = Command::new(own);
            words = ours;
        }
        command.args(words.split(' ')).envs(self.environment);
        command.current_dir(root);
        command
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
        write!(f, "{}", self.words)
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

const WASM: &str = "wasm32-unknown-unknown";

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
    fn steps_run_beside_others_and_a_failure_is_named() {
        let (root, own) = (workspace::root(), env::current_exe().unwrap());
        let run = |beside: &str| {
            let steps = vec![Step::new("--version")];
            let beside = vec![Step::new(beside)];
            let done = Phase { steps, beside }.run(&root, &own);
            let names = |done: Vec<(Step, Duration)>| -> Vec<String> {
                done.iter().map(|(step, _)| step.to_string()).collect()
            };
            done.map(names).map_err(|error| error.to_string())
        };
        // This program, with an option that it has under test.
        let expected = ["cargo --version", "cargo xtask --list"];
        assert_eq!(run("xtask --list").unwrap(), expected);
        let expected = "a step failed; to repeat it: cargo no-such-command";
        assert_eq!(run("no-such-command").unwrap_err(), expected);
    }

    #[test]
    fn a_step_prints_as_it_is_typed() {
        let expected = "RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --all-features";
        assert!(look().iter().any(|step| step.to_string() == expected));
    }
}
