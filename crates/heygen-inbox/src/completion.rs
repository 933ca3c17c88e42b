//! [`Completion`]: how an attempt ended.

use std::time::{Duration, SystemTime};

use crate::claim::ClaimedDelivery;
use crate::id::DeliveryId;
use crate::record::AttemptOutcome;

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
    /// What the handler said about it, if anything.
    pub detail: Option<String>,
    /// When to hand it out again; only of use with [`AttemptOutcome::Retry`].
    pub due_at: SystemTime,
    /// How much of the time for retries the present round has used by then.
    pub elapsed: Duration,
    /// Whether it counts among the attempts that a delivery has. One that ended with its process does not either way.
    pub is_counted: bool,
    /// Whether the delivery goes back as if it had never been claimed: it did not reach the handler. Of such an attempt nothing is
    /// recorded, and its number is given again.
    pub is_released: bool,
}

impl Completion {
    /// The end of an attempt without a word about it, due again at once if it is to be repeated.
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

    /// The delivery goes back as if it had never been claimed, due at `due_at`: it did not reach the handler.
    #[must_use]
    pub fn released(claimed: &ClaimedDelivery, due_at: SystemTime) -> Self {
        Self {
            due_at,
            is_released: true,
            ..Self::new(claimed, due_at, Duration::ZERO, AttemptOutcome::Retry)
        }
    }

    /// Does not count it among the attempts that a delivery has.
    #[must_use]
    pub fn uncounted(mut self) -> Self {
        self.is_counted = false;
        self
    }

    /// Sets how much of the time for retries the present round has used.
    #[must_use]
    pub fn elapsed(mut self, elapsed: Duration) -> Self {
        self.elapsed = elapsed;
        self
    }

    /// Adds what the handler said.
    #[must_use]
    pub fn detail(mut self, detail: Option<String>) -> Self {
        self.detail = detail;
        self
    }

    /// Sets when to hand it out again.
    #[must_use]
    pub fn due_at(mut self, due_at: SystemTime) -> Self {
        self.due_at = due_at;
        self
    }
}
