//! `cargo xtask fuzz`: throws at each target in `fuzz/` what nobody thought of, and counts what came of it.
//!
//! cargo-fuzz builds the targets without a sanitizer: no code of ours is unsafe, and so the stable compiler is enough.
//! [`options`] reads the command line, [`corpus`] makes what fuzzing begins with, [`told`] reads what libFuzzer prints.

mod corpus;
mod options;
mod told;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command as Process, Stdio};

use anyhow::{Context, Result, bail};

use crate::workspace;
use options::{Command, Options};
use told::Told;

/// One program that takes bytes and panics when something does not hold for them.
struct Target {
    /// Its file in `fuzz/fuzz_targets`.
    name: &'static str,
    /// The file of `fuzz/dictionaries` that has its words.
    dictionary: &'static str,
    /// What is done with the bytes, and what must hold.
    what: &'static str,
}

const TARGETS: [Target; 4] = [
    Target {
        name: "event",
        dictionary: "json",
        what: "a body is read, asked and written back equal; what makes it the same event does not depend on its spelling",
    },
    Target {
        name: "signature_header",
        dictionary: "http",
        what: "only what was rightly signed verifies; a diagnosis says the same and tells no secret",
    },
    Target {
        name: "request",
        dictionary: "http",
        what: "whatever a client sends on a connection ends; 200 is said for what was signed and is kept once, and for nothing else",
    },
    Target {
        name: "import",
        dictionary: "json",
        what: "a line of an export is refused, or kept in a file as it says",
    },
];

/// Fuzzes what was asked for, one after the other, and fails when something was found.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<()> {
    let names = TARGETS.map(|target| target.name);
    let options = match Options::parse(words, &names)? {
        Command::Help => {
            print!("{}", help());
            return Ok(());
        }
        Command::Run(options) => options,
    };
    let targets = || {
        TARGETS
            .iter()
            .filter(|target| options.includes(target.name))
    };
    for target in targets() {
        let seeds = corpus::write(root, target.name)?;
        println!("{}: {}; {seeds} seeds", target.name, target.what);
    }
    if options.corpus_only {
        return Ok(());
    }
    ensure_tools(root)?;
    let mut found = Vec::new();
    println!("{}", told::HEAD);
    for target in targets() {
        let told = target.run(root, options.seconds)?;
        println!("{}", told.row(target.name));
        found.extend(told.finding);
    }
    if !found.is_empty() {
        bail!("what was found:\n{}", found.join("\n"));
    }
    Ok(())
}

impl Target {
    fn run(&self, root: &Path, seconds: u64) -> Result<Told> {
        let log = root.join(format!("target/fuzz/{}.log", self.name));
        let file = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        fs::create_dir_all(root.join("fuzz/corpus").join(self.name))
            .context("make the folder of the corpus")?;
        let status = cargo_fuzz(root)
            .args(["run", "--sanitizer", "none", self.name])
            .arg(format!("fuzz/corpus/{}", self.name))
            .arg(format!("target/fuzz/seeds/{}", self.name))
            .arg("--")
            .arg(format!("-dict=fuzz/dictionaries/{}.dict", self.dictionary))
            .arg(format!("-max_total_time={seconds}"))
            .args(LIMITS)
            .stdout(Stdio::null())
            .stderr(file)
            .status()
            .context("start cargo fuzz")?;
        let text = fs::read(&log).with_context(|| format!("read {}", log.display()))?;
        let told = Told::read(&String::from_utf8_lossy(&text));
        if !status.success() && told.finding.is_none() {
            bail!("cargo fuzz failed; {} says why", log.display());
        }
        Ok(told)
    }
}

/// The tools that cargo does not bring, or what to install.
fn ensure_tools(root: &Path) -> Result<()> {
    let runs = |command: &mut Process| {
        let output = command.output();
        output.is_ok_and(|output| output.status.success())
    };
    if !runs(cargo_fuzz(root).arg("--version")) {
        bail!("cargo-fuzz is missing: `cargo install cargo-fuzz --locked`");
    }
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    if !runs(Process::new(&compiler).arg("--version")) {
        bail!(
            "`{compiler}` does not run, and libFuzzer is C++: install a C++ compiler \
             (Debian and Ubuntu: `apt-get install g++`) or name one in CXX"
        );
    }
    Ok(())
}

fn cargo_fuzz(root: &Path) -> Process {
    let mut command = workspace::cargo(root);
    command.arg("fuzz");
    command
}

fn help() -> String {
    let targets: String = TARGETS
        .iter()
        .map(|target| format!("  {:<17} {}\n", target.name, target.what))
        .collect();
    format!("{HELP}\nTargets:\n{targets}")
}

/// A megabyte for the longest body and its head would slow everything down; property tests have long ones.
const LIMITS: [&str; 4] = [
    "-max_len=65536",
    "-timeout=30",
    "-rss_limit_mb=2048",
    "-print_final_stats=1",
];

const HELP: &str = "\
Usage: cargo xtask fuzz [TARGET]... [--seconds N] [--corpus]

Runs the fuzz targets, one after the other, and prints for each how much was tried and how much of the code was reached.
The exit status is 1 when something was found; the bytes are then in fuzz/artifacts, what was said in target/fuzz. Needs
cargo-fuzz (`cargo install cargo-fuzz --locked`) and a C++ compiler; the stable toolchain is enough.

  TARGET       this target only; may be given several times
  --seconds N  for each target [default: 60]
  --corpus     only write what fuzzing begins with: target/fuzz/seeds, from fixtures/ and fuzz/seeds

What a run learns stays in fuzz/corpus, and the next one begins there.

Examples:
  cargo xtask fuzz
  cargo xtask fuzz request --seconds 600
  cargo fuzz run --sanitizer none event FILE     try one file again
";
