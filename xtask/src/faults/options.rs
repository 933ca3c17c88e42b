//! [`Options`]: the command line of `cargo xtask faults`.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use xtask_nats::Program;

/// What the command line asks for.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Command {
    Help,
    Run(Options),
}

#[derive(Debug, Eq, PartialEq)]
pub(super) struct Options {
    /// A short run.
    pub(super) quick: bool,
    /// Only these faults; empty for all.
    pub(super) only: Vec<String>,
    /// Where the random instants come from.
    pub(super) seed: u64,
    /// This binary instead of one that is built.
    pub(super) binary: Option<PathBuf>,
    /// Which `nats-server` a cluster is made of.
    pub(super) nats: Program,
    /// Renew docs/reliability.md.
    pub(super) write: bool,
}

impl Options {
    /// Reads `words`; `names` are the faults there are.
    pub(super) fn parse(words: &[&str], names: &[&str]) -> Result<Command> {
        let mut options = Self {
            quick: false,
            only: Vec::new(),
            seed: seed_of_now(),
            binary: None,
            nats: Program::Current,
            write: false,
        };
        let mut words = words.iter();
        while let Some(&word) = words.next() {
            match word {
                "--help" | "-h" => return Ok(Command::Help),
                "--write" => options.write = true,
                "--quick" => options.quick = true,
                "--only" => {
                    let name = *words.next().context("--only needs the name of a fault")?;
                    if !names.contains(&name) {
                        bail!("there is no fault `{name}`: {}", names.join(", "));
                    }
                    options.only.push(name.to_owned());
                }
                "--binary" => {
                    let binary = *words.next().context("--binary needs a file")?;
                    options.binary = Some(binary.into());
                }
                "--nats" => {
                    let name = *words.next().context("--nats needs `current` or `debian`")?;
                    options.nats = match name {
                        "current" => Program::Current,
                        "debian" => Program::Debian,
                        _ => bail!("--nats needs `current` or `debian`, not `{name}`"),
                    };
                }
                "--seed" => {
                    let seed = *words.next().context("--seed needs a number")?;
                    options.seed = seed
                        .parse()
                        .with_context(|| format!("--seed needs a number, not `{seed}`"))?;
                }
                _ => bail!("`{word}` is no option of `cargo xtask faults`; see --help"),
            }
        }
        let is_whole = options.only.is_empty() || options.only == [super::CLUSTER];
        if options.write && (options.quick || !is_whole || options.nats != Program::Current) {
            bail!(
                "--write is for a full run: leave out --quick, --nats, and --only, but for `--only {}`",
                super::CLUSTER
            );
        }
        Ok(Command::Run(options))
    }

    pub(super) fn includes(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

/// Short enough to be typed again.
fn seed_of_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] = ["kills", "queue", "cluster"];

    #[track_caller]
    fn check(words: &[&str], expected: Result<(bool, &[&str], Option<u64>), &str>) {
        match (Options::parse(words, &NAMES), expected) {
            (Ok(Command::Run(options)), Ok((quick, only, seed))) => {
                assert_eq!(options.quick, quick);
                assert_eq!(options.only, only);
                assert!(seed.is_none_or(|seed| options.seed == seed), "{options:?}");
            }
            (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{error}"),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn the_command_line_is_read() {
        check(&[], Ok((false, &[], None)));
        check(&["--quick"], Ok((true, &[], None)));
        check(
            &["--only", "queue", "--seed", "7"],
            Ok((false, &["queue"], Some(7))),
        );
        check(
            &["--only", "kills", "--only", "queue"],
            Ok((false, &["kills", "queue"], None)),
        );
        check(
            &["--only", "kill"],
            Err("there is no fault `kill`: kills, queue, cluster"),
        );
        check(&["--only"], Err("--only needs"));
        check(&["--binary"], Err("--binary needs"));
        check(&["--seed", "x"], Err("not `x`"));
        check(&["--write", "--quick"], Err("full run"));
        check(&["--only", "kills", "--write"], Err("full run"));
        check(
            &["--only", "cluster", "--write"],
            Ok((false, &["cluster"], None)),
        );
        check(&["--nats", "debian", "--write"], Err("full run"));
        check(&["--nats", "2.9"], Err("not `2.9`"));
        check(&["--fast"], Err("`--fast` is no option"));
        let help = Options::parse(&["--quick", "--help"], &NAMES).unwrap();
        assert_eq!(help, Command::Help);
    }

    #[test]
    fn without_a_choice_every_fault_is_included() {
        let mut options = Options {
            quick: false,
            only: Vec::new(),
            seed: 0,
            binary: None,
            nats: Program::Current,
            write: false,
        };
        assert!(options.includes("kills"));
        options.only.push("queue".to_owned());
        assert!(!options.includes("kills"));
        assert!(options.includes("queue"));
    }
}
