//! `completions` and `man`: what a package installs beside the program.

use std::fs;

use anyhow::Context as _;

use crate::cli::{Completions, Man, definition};
use crate::failure::Failure;
use crate::output;

pub(super) fn completions(options: &Completions) -> Result<(), Failure> {
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

pub(super) fn man(options: &Man) -> Result<(), Failure> {
    let Some(folder) = &options.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(definition()).render(&mut page)?;
        output::write_bytes(page)?;
        return Ok(());
    };
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make folder {}", folder.display()))?;
    clap_mangen::generate_to(definition(), folder)
        .with_context(|| format!("cannot write man pages to {}", folder.display()))?;
    Ok(())
}
