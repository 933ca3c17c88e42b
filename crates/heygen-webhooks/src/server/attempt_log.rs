//! [`AttemptLog`]: logs the attempts that fail.

use heygen_inbox::AttemptOutcome;
use heygen_receiver::{ObservedAttempt, Observer};

use crate::output::activity::when_again;
use crate::output::{joined_lines, tame};

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
