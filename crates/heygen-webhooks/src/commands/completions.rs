//! `completions`: the script that a package installs for a shell.

use crate::cli::{Completions, definition};
use crate::failure::Failure;
use crate::output;

pub(super) fn run(options: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(
        options.shell,
        &mut definition(),
        "heygen-webhooks",
        &mut script,
    );
    output::write_bytes(script)?;
    Ok(())
}
