//! [`Options`]: the command line of `cargo xtask bench`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// What the command line asks for.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Command {
    Help,
    Run(Options),
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Options {
    /// A short run.
    pub(super) quick: bool,
    /// Only these parts; empty for all.
    pub(super) only: Vec<String>,
    /// Only these servers in the table of servers; empty for all.
    pub(super) servers: Vec<String>,
    /// How often everything is measured.
    pub(super) rounds: usize,
    /// How long one measurement takes.
    pub(super) seconds: u64,
    /// This binary instead of one that is built.
    pub(super) binary: Option<PathBuf>,
    /// Renew docs/benchmarks.md.
    pub(super) write: bool,
    /// A mark that is missed fails the command.
    pub(super) strict: bool,
}

impl Options {
    /// Reads `words`; `parts` and `servers` are those there are.
    pub(super) fn parse(words: &[&str], parts: &[&str], servers: &[&str]) -> Result<Command> {
        let quick = words.contains(&"--quick");
        let mut options = Self {
            quick,
            only: Vec::new(),
            servers: Vec::new(),
            rounds: if quick { 1 } else { 3 },
            seconds: if quick { 1 } else { 4 },
            binary: None,
            write: false,
            strict: false,
        };
        let mut words = words.iter();
        while let Some(&word) = words.next() {
            let mut value = |what: &str| {
                let value = words.next().copied();
                value.with_context(|| format!("{word} needs {what}"))
            };
            match word {
                "--help" | "-h" => return Ok(Command::Help),
                "--quick" => {}
                "--write" => options.write = true,
                "--strict" => options.strict = true,
                "--only" => {
                    let part = one_of("part", value("the name of a part")?, parts)?;
                    options.only.push(part);
                }
                "--server" => {
                    let server = one_of("server", value("the name of a server")?, servers)?;
                    options.servers.push(server);
                }
                "--rounds" => options.rounds = number(word, value("a number")?)?,
                "--seconds" => options.seconds = number(word, value("a number")?)?,
                "--binary" => options.binary = Some(value("a file")?.into()),
                _ => bail!("`{word}` is no option of `cargo xtask bench`; see --help"),
            }
        }
        let is_whole = options.only.is_empty() && options.servers.is_empty() && !options.quick;
        if options.write && !is_whole {
            bail!("--write is for a full run: leave out --quick, --only and --server");
        }
        Ok(Command::Run(options))
    }

    pub(super) fn includes(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == part)
    }

    pub(super) fn includes_server(&self, server: &str) -> bool {
        self.servers.is_empty() || self.servers.iter().any(|only| only == server)
    }
}

fn one_of(kind: &str, name: &str, names: &[&str]) -> Result<String> {
    match names.contains(&name) {
        true => Ok(name.to_owned()),
        false => bail!("there is no {kind} `{name}`: {}", names.join(", ")),
    }
}

/// At least 1: nothing is measured in no time.
fn number<T: std::str::FromStr + PartialOrd + From<u8>>(option: &str, word: &str) -> Result<T> {
    match word.parse() {
        Ok(number) if number >= T::from(1) => Ok(number),
        _ => bail!("{option} needs a number from 1 on, not `{word}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: [&str; 2] = ["serve", "store"];
    const SERVERS: [&str; 2] = ["limit", "durable"];

    /// Rounds, seconds, parts, servers.
    type Read<'a> = (usize, u64, &'a [&'a str], &'a [&'a str]);

    #[track_caller]
    fn check(words: &[&str], expected: Result<Read<'_>, &str>) {
        match (Options::parse(words, &PARTS, &SERVERS), expected) {
            (Ok(Command::Run(options)), Ok((rounds, seconds, only, servers))) => {
                assert_eq!((options.rounds, options.seconds), (rounds, seconds));
                assert_eq!(options.only, only);
                assert_eq!(options.servers, servers);
            }
            (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{error}"),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn the_command_line_is_read() {
        check(&[], Ok((3, 4, &[], &[])));
        check(
            &["--write", "--strict", "--rounds", "5"],
            Ok((5, 4, &[], &[])),
        );
        check(&["--quick"], Ok((1, 1, &[], &[])));
        check(&["--rounds", "2", "--quick"], Ok((2, 1, &[], &[])));
        check(
            &[
                "--only",
                "serve",
                "--server",
                "limit",
                "--server",
                "durable",
                "--seconds",
                "9",
            ],
            Ok((3, 9, &["serve"], &["limit", "durable"])),
        );
        check(&["--only", "speed"], Err("no part `speed`: serve, store"));
        check(&["--server", "x"], Err("no server `x`: limit, durable"));
        check(&["--rounds", "0"], Err("from 1 on"));
        check(&["--seconds"], Err("--seconds needs a number"));
        check(&["--write", "--quick"], Err("full run"));
        check(&["--write", "--server", "limit"], Err("full run"));
        check(&["--fast"], Err("`--fast` is no option"));
        let help = Options::parse(&["--quick", "--help"], &PARTS, &SERVERS).unwrap();
        assert_eq!(help, Command::Help);
    }

    #[test]
    fn without_a_choice_everything_is_included() {
        let Command::Run(mut options) = Options::parse(&[], &PARTS, &SERVERS).unwrap() else {
            panic!("no run");
        };
        assert!(options.includes("store") && options.includes_server("limit"));
        options.only.push("serve".to_owned());
        options.servers.push("durable".to_owned());
        assert!(options.includes("serve") && !options.includes("store"));
        assert!(options.includes_server("durable") && !options.includes_server("limit"));
    }
}
