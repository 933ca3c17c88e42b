//! `cargo xtask public-api`: what users of the libraries can name changes on purpose alone.

use std::path::Path;

use anyhow::Result;

use xtask_checks::not_run::{self, InCi};
use xtask_checks::workspace::{self, OLDEST};

use crate::setup;

/// Compares every library under `crates/` with its list, or writes the list.
pub(crate) fn run(root: &Path, writes: bool) -> Result<()> {
    // Not the newest Rust: what rustdoc writes differs from version to version.
    let rust = OLDEST[1];
    if !setup::succeeds(&format!("rustup run {rust} rustc --version")) {
        let why = format!("rustup does not reach Rust {rust}");
        return not_run::note(root, InCi::Passes, "the public interfaces", &why);
    }
    let members = workspace::members(root)?;
    let libraries = members.iter().filter(|member| {
        let is_library = root.join(&member.folder).join("src/lib.rs").exists();
        member.folder.starts_with("crates/") && is_library
    });
    let mut words: Vec<String> = writes.then(|| "--write".to_owned()).into_iter().collect();
    words.push(rust.to_owned());
    words.extend(libraries.map(|library| library.name().to_owned()));
    crate::separate(root, "public-api", &words)
}
