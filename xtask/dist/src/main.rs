//! What users install, made from one build and installed again: `cargo xtask dist`.
//!
//! [`stage`] builds the program and gathers what goes with it; [`archives`] packs that for each way to install; [`trials`]
//! installs every archive where nothing else of this repository is, builds the image, and receives an event with each.

#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a developer reads what this prints"
)]

mod archives;
mod stage;
mod system;
mod trials;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use xtask_checks::not_run::{InCi, note};

/// Makes the tarball, .deb, wheel and npm packages in target/dist, with checksums and an SBOM; installs each, and builds the image
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask dist")]
struct Options {
    /// Install nothing, and build no image
    #[arg(long)]
    no_trials: bool,
    /// A dev build instead of the release: takes a third of the time, and proves as much of the archives
    #[arg(long)]
    dev: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.canonicalize().context("find the repository")?;
    let stage = stage::Stage::build(&root, options.dev)?;
    match options.dev {
        true => note(
            &root,
            InCi::Passes,
            "size and start of the release",
            "a dev build was packed: `cargo xtask dist` builds the release",
        )?,
        false => stage.check()?,
    }
    let archives = archives::Archives::pack(&stage)?;
    if !options.no_trials {
        trials::run_all(&stage, &archives)?;
    }
    println!("\nin {}:", stage.out.display());
    print!("{}", archives.checksums);
    Ok(())
}
