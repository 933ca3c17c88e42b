//! What the repository derives from its types and promises about itself: `cargo xtask COMMAND`.
//!
//! One file per command. The generators (`schemas`, `fixtures`, `docs`) are functions from types to text in
//! [`Generated`](generated::Generated) form; only `generated` touches the disk for them.

#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a developer reads what these commands print"
)]

mod ci;
mod docs;
mod fixtures;
mod generated;
mod public_api;
mod schemas;
mod setup;
mod test;
mod tidy;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};
use xtask_checks::not_run::{self, InCi};
use xtask_checks::{axe, deny, deploy, fuzz, languages, nats, package, tools, workspace};

use setup::Scope;

/// What the repository generates, checks and measures.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything that must pass before a change is merged
    Ci,
    /// All tests and doctests, after what they need
    Test,
    /// What cargo does not bring: names what is missing, asks once, installs it
    Setup {
        /// Install without asking
        #[arg(long)]
        yes: bool,
        /// For this command only
        #[arg(long = "for", value_name = "COMMAND", default_value = "all")]
        scope: Scope,
    },
    /// JSON Schemas and the OpenAPI document in schemas/, from the types of heygen-events
    Schemas(Check),
    /// The fixtures in heygen-testkit, from fixtures/events, which are checked, and what packages/ shares
    Fixtures(Check),
    /// docs/events.md, and the code in docs/applications.md
    Docs(Check),
    /// The deployment examples in deploy/, checked by the tools of their formats
    Deploy,
    /// Dependencies: licences, sources, bans, yanked versions, known vulnerabilities
    Deny,
    /// Layers of crates, circles of files, manifests, paths that documents name
    Tidy,
    /// Generators of other languages on the schemas, compilers and fixtures on their output
    Languages {
        /// Also spoil the schema for each check, which has to notice
        #[arg(long)]
        prove: bool,
        /// Write the types that packages/ keeps, instead of comparing them
        #[arg(long)]
        write: bool,
    },
    /// The public interface of each library, as listed in xtask/public-api/lists
    PublicApi {
        /// Write the lists, instead of comparing them
        #[arg(long)]
        write: bool,
    },
    /// Each package from its archive, and a crate outside of the workspace that uses them
    Package,
    /// The packages for other languages from their archives, and every receiver in docs/applications
    Applications(Rest),
    /// The nats-server programs that tests start
    Nats,
    /// What users install: tarball, .deb, wheel, npm packages and image, each installed and tried
    Dist(Rest),
    /// The axe-core that tests check the dashboard with
    Axe,
    /// Fuzz targets, one after the other
    Fuzz(fuzz::Options),
    /// Breaks the release binary in many ways and audits every delivery
    Faults(Rest),
    /// The part of `faults` about a NATS cluster
    Cluster(Rest),
    /// Pictures of the dashboard in docs/images
    Screenshots,
    /// Speed and size of the release binary, beside peers
    Bench(Rest),
}

#[derive(Debug, Args)]
struct Check {
    /// Write nothing; fail when a file is stale
    #[arg(long)]
    check: bool,
}

/// Words for a command line of its own.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
struct Rest {
    #[arg(
        value_name = "OPTIONS",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    words: Vec<String>,
}

fn main() -> ExitCode {
    match run(CommandLine::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let root = workspace::root();
    match command {
        Command::Ci => ci::run(&root),
        Command::Test => test::run(&root),
        Command::Schemas(check) => schemas::generated()?.run(&root, check.check),
        Command::Fixtures(check) => fixtures::generated(&root)?.run(&root, check.check),
        Command::Docs(check) => docs::page(&root)?.run(&root, check.check),
        Command::Setup { yes, scope } => setup::run(&root, scope, scope, yes),
        Command::Languages { prove, write } => {
            languages::run(&root, xtask_languages::Mode { prove, write })
        }
        Command::PublicApi { write } => public_api::run(&root, write),
        Command::Package => package::run(&root),
        Command::Deploy => deploy::run(&root),
        Command::Deny => deny::run(&root),
        Command::Tidy => tidy::run(&root),
        Command::Nats => nats::run(&root),
        Command::Axe => axe::ensure(&root),
        Command::Fuzz(options) => fuzz::run(&root, &options),
        Command::Dist(rest) => {
            tools::ensure(
                &root,
                "xtask/tools/dist.txt",
                &root.join("target/dist-tools/python"),
            )?;
            separate(&root, "dist", &rest.words)?;
            not_run::note(
                &root,
                InCi::Passes,
                "the stage of deploy/Dockerfile that compiles",
                "its base image comes from a registry of images",
            )
        }
        Command::Faults(rest) => separate(&root, "faults", &rest.words),
        Command::Cluster(rest) => {
            let only = ["--only", "cluster"].map(str::to_owned);
            separate(&root, "faults", &[&only[..], &rest.words].concat())
        }
        Command::Applications(rest) => separate(&root, "applications", &rest.words),
        Command::Screenshots => separate(&root, "screenshots", &[]),
        Command::Bench(rest) => separate(&root, "bench", &rest.words),
    }
}

/// Starts a command that is a crate of its own, so that nothing else here waits for what it is built from.
fn separate(root: &Path, name: &str, words: &[String]) -> Result<()> {
    let mut cargo = workspace::cargo(root);
    cargo.args(["run", "--quiet", "--package", &format!("xtask-{name}")]);
    if name == "bench" {
        // What it measures is in it.
        cargo.arg("--release");
    }
    tools::run(cargo.arg("--").args(words)).with_context(|| format!("cargo xtask {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_well_formed() {
        use clap::CommandFactory as _;
        CommandLine::command().debug_assert();
    }

    /// Options of a command with a command line of its own arrive as they were typed, `--help` included.
    #[test]
    fn trailing_words_are_passed_on() {
        let words = ["xtask", "faults", "--quick", "kills", "--help"];
        match CommandLine::try_parse_from(words).unwrap().command {
            Command::Faults(rest) => assert_eq!(rest.words, words[2..]),
            other => panic!("{other:?}"),
        }
    }

    /// The same as `--check`, so that plain `cargo test` notices a stale file.
    #[test]
    fn generated_files_are_up_to_date() {
        let root = workspace::root();
        let fixtures = fixtures::generated(&root);
        for generated in [schemas::generated(), fixtures, docs::page(&root)] {
            generated.unwrap().check(&root).unwrap();
        }
    }
}
