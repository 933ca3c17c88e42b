//! `cargo xtask ci`: every check, cheapest first, up to the first failure.
//!
//! What compiles into `target/debug` runs one after the other, because cargo locks that folder. Beside it runs what mostly waits,
//! such as for registries and tools of other languages. The tests wait too: beside them runs the release build, in a folder of
//! its own.

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
    /// Another Rust than the one that runs us.
    toolchain: Option<&'static str>,
    arguments: Vec<String>,
    environment: Option<(&'static str, &'static str)>,
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

fn phases(root: &Path, members: &[Member]) -> Result<[Phase; 3]> {
    // Built with its neighbours, a crate borrows the features that they turn on; a user's build has no neighbours.
    let published = members.iter().filter(|member| member.is_published());
    let mut last: Vec<Step> = published.flat_map(alone).collect();
    last.extend(elsewhere(root, members)?);
    last.extend(serde_json());
    last.push(Step::new(&["xtask", "package"]));
    Ok([
        Phase {
            steps: look(),
            beside: vec![
                Step::new(&["xtask", "nats"]),
                Step::new(&["xtask", "axe"]),
                Step::new(&["xtask", "languages", "--prove"]),
                Step::new(&["xtask", "deploy"]),
                Step::new(&["xtask", "deny"]),
            ],
        },
        // The doctests are among them. Most tests wait, which leaves time for what compiles on one core.
        Phase {
            steps: vec![Step::new(&test::CARGO_TEST)],
            beside: vec![release()],
        },
        Phase {
            steps: last,
            beside: vec![applications(), Step::new(&["xtask", "dist"])],
        },
    ])
}

/// What `dist` packs. Cargo locks `target/release` apart from where it builds tests.
fn release() -> Step {
    let build = ["build", "--release", "--locked", "--jobs=1"];
    Step::new(&[&build[..], &["--package", "heygen-webhooks"]].concat())
}

/// With the program that the tests have built.
fn applications() -> Step {
    let program = "target/debug/heygen-webhooks";
    Step::new(&["xtask", "applications", "--binary", program])
}

/// What compiles at most, and runs nothing of ours but generators.
fn look() -> Vec<Step> {
    let clippy = ["clippy", "--workspace", "--all-targets", "--all-features"];
    let mut steps = vec![
        Step::new(&["fmt", "--all", "--check"]),
        Step::new(&["xtask", "tidy"]),
        Step::new(&["xtask", "schemas", "--check"]),
        Step::new(&["xtask", "fixtures", "--check"]),
        Step::new(&["xtask", "docs", "--check"]),
        Step::new(&[&clippy[..], &DENY_WARNINGS].concat()),
    ];
    steps.extend(fuzz_targets());
    let doc = ["doc", "--workspace", "--no-deps", "--all-features"];
    steps.push(Step {
        environment: Some(("RUSTDOCFLAGS", "-D warnings")),
        ..Step::new(&doc)
    });
    steps
}

/// Any crate of a user's build may turn these features on for all, and then numbers and maps come in other forms. Left out is what
/// asks for numbers that no `Value` can hold, of which there are none then.
///
/// Each names both crates, so that what they are built from is built once.
fn serde_json() -> [Step; 2] {
    let features = "--features=serde_json/arbitrary_precision,serde_json/preserve_order";
    let test = ["test", "-p=heygen-events", "-p=heygen-testkit", features];
    let names = ["containers", "fixtures", "generated", "ids", "questions"];
    [
        Step::new(&[&test[..], &["--test=it", "--"], &names].concat()),
        Step::new(&[&test[..], &["--lib"]].concat()),
    ]
}

/// Other targets and older compilers, where rustup has them.
fn elsewhere(root: &Path, members: &[Member]) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    if has_wasm() {
        steps.extend(wasm());
    } else {
        let what = format!("clippy for {WASM}");
        let why = "rustup does not reach the target";
        not_run::note(root, InCi::Passes, &what, why)?;
    }
    for version in workspace::OLDEST {
        if setup::succeeds(&format!("rustup run {version} rustc --version")) {
            steps.push(oldest(version, members));
        } else {
            let what = format!("the build with Rust {version}");
            let why = "rustup does not reach it; clippy's incompatible_msrv ran";
            not_run::note(root, InCi::Passes, &what, why)?;
        }
    }
    // After the build that it continues.
    steps.push(Step::new(&["xtask", "public-api"]));
    Ok(steps)
}

/// Whether Rust can build for WebAssembly.
fn has_wasm() -> bool {
    setup::succeeds(&format!(
        "test -d \"$(rustc --print target-libdir --target {WASM})\""
    ))
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
    // No one runs it, so that optimising SQLite for each version would be time lost.
    let sqlite = "--config=profile.dev.package.libsqlite3-sys.opt-level=0";
    Step {
        toolchain: Some(version),
        ..Step::new(&[&["check", "--all-features", sqlite], &packages[..]].concat())
    }
}

/// Functions in the cloud are WebAssembly: what verifies and types compiles for it, and so does an inbox without SQLite.
fn wasm() -> [Step; 4] {
    let names = [
        ("heygen-events", "--all-features"),
        ("heygen-signature", "--all-features"),
        ("heygen-inbox", "--no-default-features"),
        ("heygen-receiver", "--no-default-features"),
    ];
    names.map(|(name, features)| {
        let clippy = ["clippy", "--target", WASM, "--package", name, features];
        Step::new(&[&clippy[..], &DENY_WARNINGS].concat())
    })
}

impl Phase {
    fn run(self, root: &Path, own: &Path) -> Result<Vec<(Step, Duration)>> {
        let Self { steps, beside } = self;
        let has_failed = AtomicBool::new(false);
        let note_failure = |result: &Result<Duration>| {
            has_failed.fetch_or(result.is_err(), Ordering::Relaxed);
        };
        thread::scope(|scope| {
            let beside = scope.spawn(|| {
                let mut done = Vec::new();
                for step in beside {
                    if has_failed.load(Ordering::Relaxed) {
                        break;
                    }
                    let result = step.run_beside(root, own);
                    note_failure(&result);
                    done.push((step, result?));
                }
                Ok(done)
            });
            let mut done = Vec::new();
            for step in steps {
                if has_failed.load(Ordering::Relaxed) {
                    break;
                }
                println!("\n==> {step}");
                let result = step.run(root);
                note_failure(&result);
                let duration = result?;
                println!("    done in {}", seconds(duration));
                done.push((step, duration));
            }
            let beside: Result<Vec<_>> = beside.join().unwrap_or_else(|panic| resume_unwind(panic));
            done.extend(beside?);
            Ok(done)
        })
    }
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
        let status = self.command(root).status();
        let status = status.with_context(|| format!("start `{self}`"))?;
        if !status.success() {
            bail!("a step failed; to repeat it: {self}");
        }
        Ok(started.elapsed())
    }

    /// As `run`, but commands of ours do not wait for cargo's lock.
    fn run_beside(&self, root: &Path, own: &Path) -> Result<Duration> {
        let started = Instant::now();
        let mut command = match self.arguments.split_first() {
            Some((first, rest)) if first == "xtask" => {
                let mut command = Command::new(own);
                command.args(rest).current_dir(root);
                command
            }
            _ => self.command(root),
        };
        // A file, because a pipe would wait for whatever the step leaves behind.
        let mut said = tempfile::tempfile().context("make a file for what a step says")?;
        let also = said
            .try_clone()
            .context("make a file for what a step says")?;
        let also_errors = said
            .try_clone()
            .context("make a file for what a step says")?;
        let status = command.stdout(also).stderr(also_errors).status();
        let status = status.with_context(|| format!("start `{self}`"))?;
        let mut bytes = Vec::new();
        said.rewind()
            .and_then(|()| said.read_to_end(&mut bytes))
            .context("read what a step said")?;
        let text = String::from_utf8_lossy(&bytes);
        println!("\n==> {self}, beside others\n{}", text.trim_end());
        if !status.success() {
            bail!("a step failed; to repeat it: {self}");
        }
        let duration = started.elapsed();
        println!("    done in {}", seconds(duration));
        Ok(duration)
    }

    fn command(&self, root: &Path) -> Command {
        let mut cargo = workspace::cargo(root);
        if let Some(version) = self.toolchain {
            cargo = Command::new("rustup");
            cargo.current_dir(root).args(["run", version, "cargo"]);
        }
        cargo.args(&self.arguments).envs(self.environment);
        cargo
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
    fn steps_run_beside_others_and_a_failure_is_named() {
        let (root, own) = (workspace::root(), env::current_exe().unwrap());
        let run = |beside: &[&str]| {
            let steps = vec![Step::new(&["--version"])];
            let beside = vec![Step::new(beside)];
            let done = Phase { steps, beside }.run(&root, &own);
            let names = |done: Vec<(Step, Duration)>| -> Vec<String> {
                done.iter().map(|(step, _)| step.to_string()).collect()
            };
            done.map(names).map_err(|error| error.to_string())
        };
        // This program, with an option that it has under test.
        let expected = ["cargo --version", "cargo xtask --list"];
        assert_eq!(run(&["xtask", "--list"]).unwrap(), expected);
        let expected = "a step failed; to repeat it: cargo no-such-command";
        assert_eq!(run(&["no-such-command"]).unwrap_err(), expected);
    }

    #[test]
    fn a_step_prints_as_it_is_typed() {
        let commands: Vec<String> = look().iter().map(Step::to_string).collect();
        let expected = "RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --all-features";
        assert!(
            commands.iter().any(|command| command == expected),
            "{commands:?}"
        );
    }
}
