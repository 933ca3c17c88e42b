//! [`Handler`]: your code, and what it says of a delivery.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use crate::delivery::Delivery;

/// Code that is given each kept delivery until it says done.
///
/// A delivery can come more than once: when the process ends while it is being handled, it is handed out again after the
/// next start. Its [`id`](Delivery::id) is the same every time. A panic, or no answer within
/// [`handler_time`](crate::DispatchOptions::handler_time), counts as [`Handled::Retry`].
///
/// Any `async` closure or function from [`Delivery`] to something that becomes [`Handled`] is one: `()` is done, and of a
/// `Result` an error is a retry.
pub trait Handler: Send + Sync + 'static {
    /// Handles one delivery.
    fn handle(&self, delivery: Delivery) -> impl Future<Output = Handled> + Send;

    /// How many destinations it has. Each has [`concurrency`](crate::DispatchOptions::concurrency) of its own, and a pause that one
    /// asks for ([`Handled::Pause`]) holds up no other.
    fn destinations(&self) -> usize {
        1
    }

    /// To which of them an event of that type goes, from 0; `None` is what is not an event.
    fn destination(&self, event_type: Option<&str>) -> usize {
        let _ = event_type;
        0
    }
}

/// What a handler says of a delivery.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Handled {
    /// Handled; never hand it out again.
    Done,
    /// Handled, with something to say about it.
    DoneWithNote {
        /// What to say, for the record.
        note: String,
    },
    /// Not handled: hand it out again.
    Retry {
        /// How long to wait; `None` leaves it to the [`RetrySchedule`](crate::RetrySchedule).
        after: Option<Duration>,
        /// Why, for the record.
        reason: String,
    },
    /// Not handled, because the destination asked for a pause: until that is over nothing is dispatched to it, neither this delivery
    /// nor any other, and then one at a time at first. It does not count as an attempt.
    Pause {
        /// How long, up to 1 h.
        after: Duration,
        /// Why, for the record.
        reason: String,
    },
    /// Not handled, and trying again would not help. It stays in the inbox, visible as dead.
    Dead {
        /// Why, for the record.
        reason: String,
    },
}

impl Handled {
    /// Not handled; hand it out again when the schedule says so.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry {
            after: None,
            reason: reason.into(),
        }
    }

    /// Not handled, because the destination asked for a pause of that length.
    pub fn pause(after: Duration, reason: impl Into<String>) -> Self {
        Self::Pause {
            after,
            reason: reason.into(),
        }
    }

    /// Not handled, and trying again would not help.
    pub fn dead(reason: impl Into<String>) -> Self {
        Self::Dead {
            reason: reason.into(),
        }
    }
}

impl From<()> for Handled {
    fn from((): ()) -> Self {
        Self::Done
    }
}

impl<E: fmt::Display> From<Result<(), E>> for Handled {
    fn from(result: Result<(), E>) -> Self {
        match result {
            Ok(()) => Self::Done,
            Err(error) => Self::retry(error.to_string()),
        }
    }
}

impl<F, Fut> Handler for F
where
    F: Fn(Delivery) -> Fut + Send + Sync + 'static,
    Fut: Future + Send,
    Fut::Output: Into<Handled>,
{
    async fn handle(&self, delivery: Delivery) -> Handled {
        self(delivery).await.into()
    }
}
