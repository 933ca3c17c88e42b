//! Warnings to the person at the command line: in the log where the command keeps one, else on standard error.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::output::stderr;

/// Where warnings go.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// The command may still begin a log.
    Undecided,
    Log,
    StandardError,
}

struct Notices {
    way: Way,
    /// Given while the way was undecided.
    waiting: Vec<String>,
    told: Option<HashSet<String>>,
}

static NOTICES: Mutex<Notices> = Mutex::new(Notices {
    way: Way::Undecided,
    waiting: Vec::new(),
    told: None,
});

/// Warns, once of the same.
pub(crate) fn warn(text: String) {
    let way = {
        let mut notices = notices();
        let told = notices.told.get_or_insert_default();
        if !told.insert(text.clone()) {
            return;
        }
        if notices.way == Way::Undecided {
            notices.waiting.push(text);
            return;
        }
        notices.way
    };
    write(way, &text);
}

/// From now on warnings stand in the log.
pub(crate) fn to_log() {
    decide(Way::Log);
}

/// From now on warnings are lines on standard error, unless there is a log already.
pub(crate) fn to_stderr() {
    decide(Way::StandardError);
}

fn decide(way: Way) {
    let waiting = {
        let mut notices = notices();
        if notices.way == Way::Undecided {
            notices.way = way;
        }
        std::mem::take(&mut notices.waiting)
    };
    waiting.iter().for_each(|text| write(way, text));
}

fn write(way: Way, text: &str) {
    match way {
        Way::Log => tracing::warn!("{text}"),
        Way::StandardError | Way::Undecided => stderr::say(format!("warning: {text}\n")),
    }
}

fn notices() -> MutexGuard<'static, Notices> {
    NOTICES.lock().unwrap_or_else(PoisonError::into_inner)
}
