//! [`Observation`]: the result of a request, and findings from results.

use std::time::Duration;

use http::StatusCode;

use crate::drill::scorecard::Verdict;
use crate::sender::{Attempt, AttemptErrorKind};

/// A verdict and its reason.
pub(super) type Finding = (Verdict, String);

/// The result of one request.
#[derive(Clone, Debug)]
pub(super) struct Observation {
    pub(super) status: Option<StatusCode>,
    pub(super) timed_out: bool,
    pub(super) duration: Duration,
    pub(super) summary: String,
}

impl Observation {
    pub(super) fn of(attempt: Option<&Attempt>) -> Self {
        let Some(attempt) = attempt else {
            return Self {
                status: None,
                timed_out: false,
                duration: Duration::ZERO,
                summary: "nothing was sent".to_owned(),
            };
        };
        let after = millis(attempt.duration);
        let (timed_out, summary) = match &attempt.result {
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
            summary,
        }
    }

    pub(super) fn accepted(&self) -> bool {
        self.status.is_some_and(|status| status.is_success())
    }
}

pub(super) fn accepted(seen: &Observation) -> Finding {
    let verdict = if seen.accepted() {
        Verdict::Pass
    } else {
        Verdict::Fail
    };
    (verdict, seen.summary.clone())
}

pub(super) fn noted(seen: &Observation) -> Finding {
    let answer = if seen.accepted() {
        "accepted"
    } else {
        "not accepted"
    };
    (Verdict::Note, format!("{answer}: {}", seen.summary))
}

pub(super) fn summarize(all: &[Observation], sent: usize, what: &str) -> Finding {
    let slowest = all
        .iter()
        .map(|seen| seen.duration)
        .max()
        .unwrap_or_default();
    let accepted = all.iter().filter(|seen| seen.accepted()).count();
    let summary = format!(
        "{accepted} of {sent} {what}, the slowest after {}",
        millis(slowest)
    );
    match all.iter().find(|seen| !seen.accepted()) {
        Some(seen) => (
            Verdict::Fail,
            format!("{summary}; one of the others: {}", seen.summary),
        ),
        None if accepted < sent => (Verdict::Fail, summary),
        None => (Verdict::Pass, summary),
    }
}

pub(super) fn millis(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}

/// The largest number of characters to quote of an answer.
const MAX_QUOTE: usize = 120;
