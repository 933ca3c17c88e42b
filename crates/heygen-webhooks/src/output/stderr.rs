//! Standard error, which the log shares with the last word of a command. It never holds anything up: see [`Lines`].

use std::io::{self, Write as _};
use std::sync::OnceLock;

use crate::output::lines::Lines;

/// Says something on standard error that is no event, as the last word of a command.
pub(crate) fn say(text: String) {
    match lines() {
        Ok(lines) => lines.offer(text),
        // Without a thread there is nothing better, and nothing to do if it fails.
        Err(_) => drop(io::stderr().write_all(text.as_bytes())),
    }
}

/// Returns once the log is written, or after a second: before the process ends.
pub(crate) fn flush() {
    if let Some(lines) = STDERR.get() {
        lines.report_dropped();
        lines.flush();
    }
}

pub(super) fn lines() -> io::Result<&'static Lines> {
    if let Some(lines) = STDERR.get() {
        return Ok(lines);
    }
    let lines = Lines::stderr()?;
    Ok(STDERR.get_or_init(|| lines))
}

static STDERR: OnceLock<Lines> = OnceLock::new();
