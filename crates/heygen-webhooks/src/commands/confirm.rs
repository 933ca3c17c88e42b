//! Asking before much is changed.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use crate::commands::management::note;
use crate::failure::Failure;
use crate::output::tame_lines;

/// Whether there is someone to ask. If not, `--yes` is required.
pub(super) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Only a clear yes passes.
pub(super) fn confirm(question: &str) -> Result<(), Failure> {
    if !can_ask() {
        return Err(Failure::usage(format!(
            "{question} There is no terminal to ask on: give --yes to continue without confirmation, or --dry-run to change nothing"
        )));
    }
    let mut stderr = io::stderr().lock();
    write!(stderr, "{} [y/N] ", tame_lines(question))?;
    stderr.flush()?;
    drop(stderr);
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    note("nothing was changed");
    Err(Failure::Said)
}
