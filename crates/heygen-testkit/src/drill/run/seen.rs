//! [`Seen`]: what came of a request, and what that says.

use std::time::Duration;

use http::StatusCode;

use crate::drill::scorecard::Verdict;
use crate::sender::{Attempt, AttemptErrorKind};

/// A verdict, and what it rests on.
pub(super) type Told = (Verdict, String);

/// What came of one request.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) status: Option<StatusCode>,
    pub(super) timed_out: bool,
    pub(super) duration: Duration,
    pub(super) words: String,
}

impl Seen {
    pub(super) fn of(attempt: Option<&Attempt>) -> Self {
        let Some(attempt) = attempt else {
            return Self {
                status: None,
                timed_out: false,
                duration: Duration::ZERO,
                words: "nothing was sent".to_owned(),
            };
        };
        let after = millis(attempt.duration);
        let (timed_out, words) = match &attempt.result {
            Ok(answer) if answer.status.is_success() => {
                (false, format!("{} after {after}", answer.status))
            }
            Ok(answer) => {
                let text = answer.text();
                let line: String = text
                    .trim()
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .chars()
                    .take(MAX_QUOTE)
                    .collect();
                let quote = if line.is_empty() {
                    line
                } else {
                    format!(" “{line}”")
                };
                (false, format!("{} after {after}{quote}", answer.status))
            }
            Err(error) => (
                error.kind() == AttemptErrorKind::Timeout,
                format!("no answer after {after}: {error}"),
            ),
        };
        Self {
            status: attempt.status(),
            timed_out,
            duration: attempt.duration,
            words,
        }
    }

    pub(super) fn accepted(&self) -> bool {
        self.status.is_some_and(|status| status.is_success())
    }
}

pub(super) fn accepted(seen: &Seen) -> Told {
    let verdict = if seen.accepted() {
        Verdict::Pass
    } else {
        Verdict::Fail
    };
    (verdict, seen.words.clone())
}

pub(super) fn noted(seen: &Seen) -> Told {
    let taken = if seen.accepted() {
        "taken"
    } else {
        "not taken"
    };
    (Verdict::Note, format!("{taken}: {}", seen.words))
}

pub(super) fn told_of_many(all: &[Seen], sent: usize, what: &str) -> Told {
    let slowest = all
        .iter()
        .map(|seen| seen.duration)
        .max()
        .unwrap_or_default();
    let accepted = all.iter().filter(|seen| seen.accepted()).count();
    let words = format!(
        "{accepted} of {sent} {what}, the slowest after {}",
        millis(slowest)
    );
    match all.iter().find(|seen| !seen.accepted()) {
        Some(seen) => (
            Verdict::Fail,
            format!("{words}; one of the others: {}", seen.words),
        ),
        None if accepted < sent => (Verdict::Fail, words),
        None => (Verdict::Pass, words),
    }
}

pub(super) fn millis(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}

/// How many characters of an answer are quoted.
const MAX_QUOTE: usize = 120;
