//! [`AttemptLog`]: logs the attempts that fail.

use std::time::Duration;

use heygen_inbox::AttemptOutcome;
use heygen_receiver::{ObservedAttempt, Observer};

use crate::output::{joined_lines, tame};

/// Writes to the log which attempts did not end well.
pub(super) struct AttemptLog;

impl Observer for AttemptLog {
    fn attempted(&self, attempt: &ObservedAttempt<'_>) {
        let event_type = attempt.event_type.map(tame);
        let event_type = event_type.as_deref().unwrap_or("(unreadable)");
        match attempt.result {
            AttemptOutcome::Retry => tracing::warn!(
                delivery = %attempt.id,
                attempt = attempt.number,
                event_type,
                "attempt failed, retry {}: {}",
                when_again(attempt),
                joined_lines(attempt.detail.unwrap_or_default())
            ),
            AttemptOutcome::DeadLettered => tracing::error!(
                delivery = %attempt.id,
                attempt = attempt.number,
                event_type,
                "dead-lettered; dispatch it again with `inbox replay {}`: {}",
                attempt.id,
                joined_lines(attempt.detail.unwrap_or_default())
            ),
            _ => tracing::debug!(
                delivery = %attempt.id,
                attempt = attempt.number,
                event_type,
                result = attempt.result.as_str(),
                "handled"
            ),
        }
    }
}

/// `in 10s (attempt 2 of 15)`.
fn when_again(attempt: &ObservedAttempt<'_>) -> String {
    let wait = attempt.retry_in.unwrap_or_default();
    let step: u128 = if wait < Duration::from_secs(10) {
        100
    } else {
        1000
    };
    let millis = (wait.as_millis() + step / 2) / step * step;
    let wait = Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
    let which = match (attempt.counted, attempt.max_attempts) {
        (Some(number), Some(most)) => format!("attempt {number} of {most}"),
        (Some(number), None) => format!("attempt {number}"),
        (None, _) => "this attempt does not count".to_owned(),
    };
    format!("in {wait:?} ({which})")
}
