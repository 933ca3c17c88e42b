//! `cargo xtask fuzz`: throws at each target in `fuzz/` what nobody thought of, and counts what came of it.
//!
//! cargo-fuzz builds the targets without a sanitizer: no code of ours is unsafe, and so the stable compiler is enough.
//! `corpus` makes what fuzzing begins with, `told` reads what libFuzzer prints.

mod corpus;
mod told;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::workspace;
use told::Told;

/// What to fuzz.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Options {
    /// These targets only [default: all]
    #[arg(value_parser = PossibleValuesParser::new(TARGETS.map(|target| target.name)))]
    targets: Vec<String>,
    /// How long to run each target
    // libFuzzer takes 0 for no end.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Only write what fuzzing begins with: target/fuzz/seeds, from fixtures/ and fuzz/seeds
    #[arg(long = "corpus")]
    corpus_only: bool,
}

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
pub fn run(root: &Path, options: &Options) -> Result<()> {
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

impl Options {
    fn includes(&self, name: &str) -> bool {
        self.targets.is_empty() || self.targets.iter().any(|target| target == name)
    }
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
    let runs = |command: &mut Command| {
        let output = command.output();
        output.is_ok_and(|output| output.status.success())
    };
    if !runs(cargo_fuzz(root).arg("--version")) {
        bail!("cargo-fuzz is missing: `cargo install cargo-fuzz --locked`");
    }
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    if !runs(Command::new(&compiler).arg("--version")) {
        bail!(
            "`{compiler}` does not run, and libFuzzer is C++: install a C++ compiler \
             (Debian and Ubuntu: `apt-get install g++`) or name one in CXX"
        );
    }
    Ok(())
}

fn cargo_fuzz(root: &Path) -> Command {
    let mut command = workspace::cargo(root);
    command.arg("fuzz");
    command
}

/// A megabyte for the longest body and its head would slow everything down; property tests have long ones.
const LIMITS: [&str; 4] = [
    "-max_len=65536",
    "-timeout=30",
    "-rss_limit_mb=2048",
    "-print_final_stats=1",
];

const AFTER_HELP: &str = "\
Prints for each target how much was tried and how much of the code was reached. Fails when something was found: the bytes are
then in fuzz/artifacts, the log is in target/fuzz. Needs cargo-fuzz (`cargo install cargo-fuzz --locked`) and a C++ compiler;
the stable toolchain is enough. What a run learns stays in fuzz/corpus, and the next one begins there.

Examples:
  cargo xtask fuzz
  cargo xtask fuzz request --seconds 600
  cargo fuzz run --sanitizer none event FILE     try one file again";

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    #[track_caller]
    fn check(words: &[&str], expected: Option<(&[&str], u64)>) {
        let parsed = Line::try_parse_from(["fuzz"].iter().chain(words));
        let Some((targets, seconds)) = expected else {
            assert!(parsed.is_err(), "{words:?}");
            return;
        };
        let options = parsed.expect("a sound command line").options;
        assert_eq!(options.seconds, seconds);
        let included = TARGETS.map(|target| target.name);
        let included = included.into_iter().filter(|name| options.includes(name));
        assert_eq!(included.collect::<Vec<_>>(), targets);
    }

    #[test]
    fn words_are_targets_and_options() {
        check(&[], Some((&TARGETS.map(|target| target.name), 60)));
        check(&["import", "--seconds", "7"], Some((&["import"], 7)));
        check(&["other"], None);
        check(&["--seconds"], None);
        check(&["--seconds", "0"], None);
    }
}
