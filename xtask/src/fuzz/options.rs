//! [`Options`]: the command line of `cargo xtask fuzz`.

use anyhow::{Context, Result, bail};

/// What the command line asks for.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Command {
    Help,
    Run(Options),
}

#[derive(Debug, Eq, PartialEq)]
pub(super) struct Options {
    /// Only these; empty for all.
    targets: Vec<String>,
    /// For each.
    pub(super) seconds: u64,
    /// Write the seeds, and run nothing.
    pub(super) corpus_only: bool,
}

impl Options {
    /// Reads `words`; `names` are the targets there are.
    pub(super) fn parse(words: &[&str], names: &[&str]) -> Result<Command> {
        let mut options = Self {
            targets: Vec::new(),
            seconds: 60,
            corpus_only: false,
        };
        let mut words = words.iter();
        while let Some(&word) = words.next() {
            match word {
                "--help" | "-h" => return Ok(Command::Help),
                "--corpus" => options.corpus_only = true,
                "--seconds" => {
                    let seconds = *words.next().context("--seconds needs a number")?;
                    let parsed = seconds.parse().ok().filter(|seconds| *seconds > 0);
                    // libFuzzer takes 0 for no end.
                    options.seconds = parsed.with_context(|| {
                        format!("--seconds needs a number above 0, not `{seconds}`")
                    })?;
                }
                _ if names.contains(&word) => options.targets.push(word.to_owned()),
                _ => bail!(
                    "`{word}` is no target and no option of `cargo xtask fuzz`; the targets are {}",
                    names.join(", ")
                ),
            }
        }
        Ok(Command::Run(options))
    }

    pub(super) fn includes(&self, name: &str) -> bool {
        self.targets.is_empty() || self.targets.iter().any(|target| target == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(words: &[&str], expected: Result<(&[&str], u64), &str>) {
        match (Options::parse(words, &["a", "b"]), expected) {
            (Ok(Command::Run(options)), Ok((targets, seconds))) => {
                assert_eq!(options.targets, targets);
                assert_eq!(options.seconds, seconds);
            }
            (Err(error), Err(start)) => {
                let error = error.to_string();
                assert!(error.starts_with(start), "{error}");
            }
            (parsed, _) => panic!("{parsed:?}"),
        }
    }

    #[test]
    fn words_are_targets_and_options() {
        check(&[], Ok((&[], 60)));
        check(&["b", "--seconds", "7"], Ok((&["b"], 7)));
        check(&["c"], Err("`c` is no target"));
        check(&["--seconds"], Err("--seconds needs"));
        check(&["--seconds", "0"], Err("--seconds needs"));
        assert_eq!(Options::parse(&["a", "-h"], &["a"]).unwrap(), Command::Help);
    }

    #[test]
    fn no_target_means_all() {
        let parse = |words: &[&str]| match Options::parse(words, &["a", "b"]) {
            Ok(Command::Run(options)) => ["a", "b"].map(|name| options.includes(name)),
            other => panic!("{other:?}"),
        };
        assert_eq!(parse(&[]), [true, true]);
        assert_eq!(parse(&["a"]), [true, false]);
    }
}
