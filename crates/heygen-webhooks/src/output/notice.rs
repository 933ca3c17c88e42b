//! Warnings to the person at the command line: in the log where the command keeps one, else on standard error.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::output::screen::WARN;
use crate::output::stderr;

#[derive(Clone, Copy, PartialEq)]
enum Destination {
    /// The command may still begin a log.
    Undecided,
    Log,
    StandardError,
}

struct Notices {
    destination: Destination,
    /// Given while the destination was undecided.
    waiting: Vec<String>,
    given: Option<HashSet<String>>,
}

static NOTICES: Mutex<Notices> = Mutex::new(Notices {
    destination: Destination::Undecided,
    waiting: Vec::new(),
    given: None,
});

/// Warns, once of the same.
pub(crate) fn warn(text: String) {
    let destination = {
        let mut notices = notices();
        let given = notices.given.get_or_insert_default();
        if !given.insert(text.clone()) {
            return;
        }
        if notices.destination == Destination::Undecided {
            notices.waiting.push(text);
            return;
        }
        notices.destination
    };
    write(destination, &text);
}

/// From now on warnings stand in the log.
pub(crate) fn to_log() {
    decide(Destination::Log);
}

/// From now on warnings are lines on standard error, unless there is a log already.
pub(crate) fn to_stderr() {
    decide(Destination::StandardError);
}

fn decide(destination: Destination) {
    let waiting = {
        let mut notices = notices();
        if notices.destination == Destination::Undecided {
            notices.destination = destination;
        }
        std::mem::take(&mut notices.waiting)
    };
    waiting.iter().for_each(|text| write(destination, text));
}

fn write(destination: Destination, text: &str) {
    match destination {
        Destination::Log => tracing::warn!("{text}"),
        Destination::StandardError | Destination::Undecided => {
            let warning = stderr::label(WARN, "warning:");
            stderr::say(format!("{warning} {text}\n"));
        }
    }
}

fn notices() -> MutexGuard<'static, Notices> {
    NOTICES.lock().unwrap_or_else(PoisonError::into_inner)
}
