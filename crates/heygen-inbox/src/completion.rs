//! [`Completion`]: how an attempt ended.

use std::time::{Duration, SystemTime};

use crate::claim::ClaimedDelivery;
use crate::id::DeliveryId;
use crate::record::{Attempt, AttemptOutcome};
use crate::setters::setters;

/// How an attempt ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Completion {
    /// Which delivery.
    pub id: DeliveryId,
    /// Which attempt: the `attempt` of the [`ClaimedDelivery`].
    pub attempt: u32,
    /// When the handler was called.
    pub started_at: SystemTime,
    /// How long it took.
    pub duration: Duration,
    /// What it ended with.
    pub result: AttemptOutcome,
    /// The handler's note, if any.
    pub detail: Option<String>,
    /// When the next attempt is due; only used with [`AttemptOutcome::Retry`].
    pub due_at: SystemTime,
    /// How much of the time for retries the present round has used by then.
    pub elapsed: Duration,
    /// Whether it counts against the limit of attempts. An interrupted attempt never does.
    pub is_counted: bool,
    /// Whether the claim is undone because the delivery did not reach the handler. Such an attempt
    /// is not recorded, and its number is used again.
    pub is_released: bool,
}

impl Completion {
    /// A completion without a note; a retry is due at once.
    #[must_use]
    pub fn new(
        claimed: &ClaimedDelivery,
        started_at: SystemTime,
        duration: Duration,
        result: AttemptOutcome,
    ) -> Self {
        Self {
            id: claimed.id,
            attempt: claimed.attempt,
            started_at,
            duration,
            result,
            detail: None,
            due_at: started_at + duration,
            elapsed: claimed.elapsed,
            is_counted: true,
            is_released: false,
        }
    }

    /// Undoes the claim of a delivery that did not reach the handler; it is due again at `due_at`.
    #[must_use]
    pub fn released(claimed: &ClaimedDelivery, due_at: SystemTime) -> Self {
        Self {
            due_at,
            is_released: true,
            ..Self::new(claimed, due_at, Duration::ZERO, AttemptOutcome::Retry)
        }
    }

    /// Does not count the attempt against the limit of attempts.
    #[must_use]
    pub fn uncounted(mut self) -> Self {
        self.is_counted = false;
        self
    }

    /// What is stored of it.
    pub(crate) fn to_attempt(&self) -> Attempt {
        Attempt {
            number: self.attempt,
            started_at: self.started_at,
            duration: self.duration,
            result: self.result,
            detail: self.detail.clone(),
        }
    }
}

setters! {
    Completion {
        /// Sets how much of the time for retries the present round has used.
        elapsed(elapsed: Duration) => elapsed;
        /// Adds the handler's note.
        detail(detail: Option<String>) => detail;
        /// Sets when the next attempt is due.
        due_at(due_at: SystemTime) => due_at;
    }
}
