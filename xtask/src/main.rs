//! What the repository derives from its types and promises about itself: `cargo xtask COMMAND`.
//!
//! One file per command. The generators (`schemas`, `fixtures`, `docs`) are functions from types to text in
//! [`Generated`](generated::Generated) form; only `generated` touches the disk for them.

#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a developer reads what these commands print"
)]

mod bench;
mod ci;
mod client;
mod debian;
mod deny;
mod deploy;
mod docs;
mod faults;
mod fixtures;
mod fuzz;
mod generated;
mod nats;
mod page;
mod probes;
mod process;
mod python;
mod schemas;
mod table;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

use generated::Mode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<()> {
    let root = workspace::root();
    match *words {
        ["ci"] => ci::run(&root),
        ["test"] => test::run(&root),
        ["schemas", ref rest @ ..] => schemas::generated().run(&root, mode(rest)?),
        ["fixtures", ref rest @ ..] => fixtures::generated(&root)?.run(&root, mode(rest)?),
        ["docs", ref rest @ ..] => docs::page(&root)?.run(&root, mode(rest)?),
        ["bench", ref rest @ ..] => bench::run(&root, rest),
        ["cluster", ref rest @ ..] => faults::run_cluster(&root, rest),
        ["deny"] => deny::run(&root),
        // Nothing that it finds can be mended without a decision, so both forms check.
        ["deploy", ref rest @ ..] => mode(rest).and_then(|_| deploy::run(&root)),
        ["faults", ref rest @ ..] => faults::run(&root, rest),
        ["fuzz", ref rest @ ..] => fuzz::run(&root, rest),
        ["nats"] => nats::run(&root),
        // Nothing that tidy finds can be mended without a decision, so both forms check.
        ["tidy", ref rest @ ..] => mode(rest).and_then(|_| tidy::run(&root)),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => bail!("`cargo xtask {}` does not exist\n\n{HELP}", words.join(" ")),
    }
}

fn mode(rest: &[&str]) -> Result<Mode> {
    match rest {
        [] => Ok(Mode::Write),
        ["--check"] => Ok(Mode::Check),
        _ => bail!("expected nothing or --check, got `{}`", rest.join(" ")),
    }
}

const HELP: &str = "\
Usage: cargo xtask COMMAND

  ci                  everything that must pass before a change is merged
  test                what the tests need, then all tests and doctests
  schemas [--check]   schemas/events/*.json, from the types of heygen-events
  fixtures [--check]  the fixtures compiled into heygen-testkit, from fixtures/events; checks the files on the way
  docs [--check]      docs/events.md
  bench [OPTIONS]     how fast the release binary is beside bare hyper and beside its peers, and what it costs
  cluster [OPTIONS]   three nodes of NATS, two receivers, two workers: kills, cuts off and pauses them under load; part of faults
  deny                licences, sources, bans, yanked versions and, where it can, known vulnerabilities of what we depend on
  deploy [--check]    the examples in deploy/: manifests, units, configurations and what they name; both forms only check
  faults [OPTIONS]    breaks the release binary in every way it is to survive, and audits what became of each delivery
  fuzz [OPTIONS]      throws at what reads strangers' bytes whatever reaches more of its code
  nats                the nats-server programs that tests start: the current one, and Debian's
  tidy [--check]      layers, dependencies, manifests and the paths that documents name; both forms only check

With --check nothing is written: stale files are named, and the command that mends them.
";

#[cfg(test)]
mod tests {
    use super::*;

    /// The same as `--check`, so that plain `cargo test` notices a stale file; the failure names the mending command.
    #[track_caller]
    fn check(generated: Result<generated::Generated>) {
        let result = generated.and_then(|generated| generated.check(&workspace::root()));
        assert!(result.is_ok(), "{:#}", result.unwrap_err());
    }

    #[test]
    fn schemas_are_up_to_date() {
        check(Ok(schemas::generated()));
    }

    #[test]
    fn fixtures_are_up_to_date() {
        check(fixtures::generated(&workspace::root()));
    }

    #[test]
    fn docs_are_up_to_date() {
        check(docs::page(&workspace::root()));
    }
}
