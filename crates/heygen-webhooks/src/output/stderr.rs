//! Standard error, which the log shares with the last word of a command. It never holds anything up: see [`LineSink`].

use std::io::{self, Write as _};
use std::sync::OnceLock;

use anstyle::Style;
use heygen_receiver::handlers::LineSink;

use crate::output::screen;

/// Says something on standard error that is no event, as the last word of a command.
pub(crate) fn say(text: String) {
    match lines() {
        Ok(lines) => lines.offer(text),
        // Without a thread there is nothing better, and nothing to do if it fails.
        Err(_) => drop(io::stderr().write_all(text.as_bytes())),
    }
}

/// What a word of it begins with, in colour where there is some.
pub(crate) fn label(style: Style, text: &str) -> String {
    match screen::shows_color(&io::stderr()) {
        true => format!("{style}{text}{style:#}"),
        false => text.to_owned(),
    }
}

/// Returns once the log is written, or after a second: before the process ends.
pub(crate) fn flush() {
    if let Some(lines) = STDERR.get() {
        lines.report_dropped();
        lines.flush();
    }
}

pub(crate) fn dropped() -> u64 {
    STDERR.get().map_or(0, LineSink::dropped)
}

pub(super) fn lines() -> io::Result<&'static LineSink> {
    if let Some(lines) = STDERR.get() {
        return Ok(lines);
    }
    let lines = LineSink::stderr()?;
    Ok(STDERR.get_or_init(|| lines))
}

static STDERR: OnceLock<LineSink> = OnceLock::new();
