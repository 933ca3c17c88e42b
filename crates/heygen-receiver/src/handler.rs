//! [`Handler`]: your code. [`Disposition`]: its result for a delivery.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use crate::delivery::Delivery;

/// Code that is called with each stored delivery until it acknowledges it.
///
/// A delivery can come more than once: when the process ends during an attempt, the delivery is
/// dispatched again after the next start. Its [`id`](Delivery::id) is the same every time. A panic,
/// or no answer within [`handler_timeout`](crate::DispatchOptions::handler_timeout), counts as
/// [`Disposition::Retry`].
///
/// Any `async` function or closure from [`Delivery`] to something that converts into
/// [`Disposition`] is a handler: `()` acknowledges, an `Err` retries, and `Result<Disposition, E>`
/// can return every disposition.
///
/// # Examples
///
/// State is shared by a type of your own, or by a closure that clones it for each call:
///
/// ```
/// use std::sync::Arc;
///
/// use heygen_receiver::{Delivery, Disposition, Handler};
///
/// struct Database;
/// # impl Database { async fn save(&self, _: &str) -> Result<(), std::io::Error> { Ok(()) } }
///
/// struct App {
///     database: Arc<Database>,
/// }
///
/// impl Handler for App {
///     async fn handle(&self, delivery: Delivery) -> Disposition {
///         self.database.save(delivery.event_type().unwrap_or_default()).await.into()
///     }
/// }
///
/// fn closure(database: Arc<Database>) -> impl Handler {
///     move |delivery: Delivery| {
///         let database = Arc::clone(&database);
///         async move { database.save(delivery.event_type().unwrap_or_default()).await }
///     }
/// }
/// ```
pub trait Handler: Send + Sync + 'static {
    /// Handles one delivery.
    fn handle(&self, delivery: Delivery) -> impl Future<Output = Disposition> + Send;

    /// The number of its destinations. Each has its own
    /// [`concurrency`](crate::DispatchOptions::concurrency), and a pause of one
    /// ([`Disposition::Pause`]) does not delay the others.
    fn destinations(&self) -> usize {
        1
    }

    /// Which destination an event of this type goes to, counted from 0; `None` is a body that is
    /// not an event.
    fn destination(&self, event_type: Option<&str>) -> usize {
        let _ = event_type;
        0
    }
}

/// The result of a handler for a delivery.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Disposition {
    /// Acknowledged: the delivery is not dispatched again.
    Ack,
    /// Acknowledged, with a note for the record.
    AckWithNote {
        /// The note.
        note: String,
    },
    /// Try again later.
    Retry {
        /// How long to wait; `None` leaves it to the [`RetrySchedule`](crate::RetrySchedule).
        after: Option<Duration>,
        /// Why, for the record.
        reason: String,
    },
    /// The destination asked for a pause: until its end nothing is dispatched to it, neither this
    /// delivery nor another, and then one delivery at a time. It does not count as an attempt. When
    /// the same delivery asks again after others were acknowledged, it waits alone.
    Pause {
        /// How long, up to 1 h. Zero is a retry.
        after: Duration,
        /// Why, for the record.
        reason: String,
    },
    /// Trying again would not help: the delivery is dead-lettered. It stays in the inbox, visible
    /// and ready to be replayed.
    DeadLetter {
        /// Why, for the record.
        reason: String,
    },
}

impl Disposition {
    /// Try again when the schedule says so.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry {
            after: None,
            reason: reason.into(),
        }
    }

    /// The destination asked for a pause of that length.
    pub fn pause(after: Duration, reason: impl Into<String>) -> Self {
        Self::Pause {
            after,
            reason: reason.into(),
        }
    }

    /// Trying again would not help.
    pub fn dead_letter(reason: impl Into<String>) -> Self {
        Self::DeadLetter {
            reason: reason.into(),
        }
    }
}

impl From<()> for Disposition {
    fn from((): ()) -> Self {
        Self::Ack
    }
}

/// An error is a retry. Its alternate form (`{:#}`) is recorded, in which anyhow and eyre write the
/// causes too.
impl<T: Into<Self>, E: fmt::Display> From<Result<T, E>> for Disposition {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(disposition) => disposition.into(),
            Err(error) => Self::retry(format!("{error:#}")),
        }
    }
}

impl<F, Fut> Handler for F
where
    F: Fn(Delivery) -> Fut + Send + Sync + 'static,
    Fut: Future + Send,
    Fut::Output: Into<Disposition>,
{
    async fn handle(&self, delivery: Delivery) -> Disposition {
        self(delivery).await.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(result: impl Into<Disposition>, expected: &Disposition) {
        assert_eq!(&result.into(), expected);
    }

    /// Writes its cause in the alternate form only, as anyhow's errors do.
    struct WithCause;

    impl fmt::Display for WithCause {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("saving order 42")?;
            match f.alternate() {
                true => f.write_str(": connection refused"),
                false => Ok(()),
            }
        }
    }

    #[test]
    fn results_are_dispositions() {
        check((), &Disposition::Ack);
        check(Ok::<(), WithCause>(()), &Disposition::Ack);
        check(
            Err::<(), _>(WithCause),
            &Disposition::retry("saving order 42: connection refused"),
        );
        let dead = Disposition::dead_letter("no such order");
        check(Ok::<_, WithCause>(dead.clone()), &dead);
        check(
            Err::<Disposition, _>(WithCause),
            &Disposition::retry("saving order 42: connection refused"),
        );
    }
}
