//! [`Observer`]: notified of what a receiver and a dispatcher do. [`Observers`]: any number of
//! them.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use heygen_events::Outcome;
use heygen_inbox::{Appended, AttemptOutcome, DeliveryId, Drift, Header, Source};
use heygen_signature::{Diagnosis, HEYGEN_SIGNATURE, SIGNATURE, find_signature};
use http::HeaderMap;

use crate::rejection::Rejection;

#[cfg(feature = "sqlite")]
mod ring;

/// Notified of what a receiver and a dispatcher do, to count or to record it.
///
/// Called during a request or an attempt, so it must return at once. Every method does nothing by
/// default. Add it to [`ReceiverOptions::observers`](crate::ReceiverOptions::observers) and
/// [`DispatchOptions::observers`](crate::DispatchOptions::observers).
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use heygen_receiver::{ObservedRejection, Observer, ReceiverOptions, Rejection};
///
/// #[derive(Default)]
/// struct Unauthorized(AtomicU64);
///
/// impl Observer for Unauthorized {
///     fn rejected(&self, rejected: &ObservedRejection<'_>) {
///         if rejected.rejection == Rejection::Unauthorized {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
///
/// let unauthorized = Arc::new(Unauthorized::default());
/// let options = ReceiverOptions::default().with_observer(Arc::clone(&unauthorized));
/// # let _ = options;
/// ```
pub trait Observer: Send + Sync + 'static {
    /// A delivery was stored, or found to be a duplicate.
    fn stored(&self, stored: &ObservedDelivery<'_>) {
        let _ = stored;
    }

    /// A request was rejected.
    fn rejected(&self, rejected: &ObservedRejection<'_>) {
        let _ = rejected;
    }

    /// An attempt of a handler ended.
    fn attempted(&self, attempt: &ObservedAttempt<'_>) {
        let _ = attempt;
    }

    /// The dispatcher has looked for due deliveries. It does so at least once a second while it and
    /// the inbox work, so that silence means that one of them hangs.
    fn polled(&self) {}

    /// Whether the dispatcher stalls: its claims have failed for 30 s or longer without one success,
    /// one has not returned for that long, or there is no room for more because no result of what
    /// runs could be recorded for that long. Reported at least once a second while the inbox
    /// answers, so mostly `false`.
    fn stalled(&self, is_stalled: bool) {
        let _ = is_stalled;
    }
}

/// Any number of observers. Clones share them.
#[derive(Clone, Default)]
pub struct Observers {
    all: Vec<Arc<dyn Observer>>,
}

/// A delivery that was stored.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ObservedDelivery<'a> {
    /// Whether it was new, and its id in the inbox.
    pub appended: Appended,
    /// Where it came from.
    pub source: Source,
    /// The name of the event; `None` when the body could not be read as one.
    pub event_type: Option<&'a str>,
    /// How the job behind the event ended, according to its name; `None` likewise.
    pub outcome: Option<Outcome>,
    /// How long the inbox took.
    pub commit_time: Duration,
    /// Names and fields that this version does not know, and data that does not match its type.
    pub drift: &'a [Drift],
}

/// A request that was rejected.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ObservedRejection<'a> {
    /// When it was rejected.
    pub at: SystemTime,
    /// What the sender was answered.
    pub rejection: Rejection,
    /// Why, as a stable word: the rejection's [`label`](Rejection::label), or for an unauthorized
    /// one `missing-signature`, `malformed-signature`, `ambiguous-signature` or
    /// `signature-mismatch`.
    pub reason: &'static str,
    /// The POST, if it was sent to the webhook path or to a callback path with a valid token and
    /// was itself at fault, or if it carries a well-formed signature, whatever its path.
    pub post: Option<ObservedPost<'a>>,
}

/// A POST that was rejected. Of its header values only signatures are shown: others may be
/// credentials.
#[derive(Clone)]
#[non_exhaustive]
pub struct ObservedPost<'a> {
    headers: &'a HeaderMap,
    /// The body, if it was read to its end.
    pub body: Option<&'a Bytes>,
    /// What is wrong with the signature. A diagnosis is expensive, so in a flood only a few have
    /// one.
    pub diagnosis: Option<&'a Diagnosis>,
}

/// A handler's attempt at a delivery that has ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ObservedAttempt<'a> {
    /// Which delivery it was.
    pub id: DeliveryId,
    /// Which attempt at it: 1 for the first.
    pub number: u32,
    /// The name of the event; `None` when the body could not be read as one.
    pub event_type: Option<&'a str>,
    /// The result.
    pub result: AttemptOutcome,
    /// The reason or note recorded with it, if any.
    pub detail: Option<&'a str>,
    /// How long the handler took.
    pub duration: Duration,
    /// How long until the next attempt, if there is one.
    pub retry_in: Option<Duration>,
    /// How many attempts count so far, this one included; `None` when this one does not count.
    pub counted: Option<u32>,
    /// The maximum of attempts, if there is one.
    pub max_attempts: Option<u32>,
}

impl Observers {
    /// Adds an observer.
    pub fn add(&mut self, observer: impl Observer) {
        self.all.push(Arc::new(observer));
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(crate) fn stored(&self, stored: &ObservedDelivery<'_>) {
        self.each(|observer| observer.stored(stored));
    }

    pub(crate) fn rejected(
        &self,
        rejection: Rejection,
        reason: &'static str,
        post: Option<ObservedPost<'_>>,
    ) {
        if self.all.is_empty() {
            return;
        }
        let rejected = ObservedRejection {
            at: SystemTime::now(),
            rejection,
            reason,
            post,
        };
        self.each(|observer| observer.rejected(&rejected));
    }

    pub(crate) fn attempted(&self, attempt: &ObservedAttempt<'_>) {
        self.each(|observer| observer.attempted(attempt));
    }

    pub(crate) fn polled(&self) {
        self.each(Observer::polled);
    }

    pub(crate) fn stalled(&self, is_stalled: bool) {
        self.each(|observer| observer.stalled(is_stalled));
    }

    /// A panic of one neither stops the request or attempt nor hides it from the others.
    fn each(&self, call: impl Fn(&dyn Observer)) {
        for observer in &self.all {
            let called = catch_unwind(AssertUnwindSafe(|| call(&**observer)));
            if called.is_err() {
                tracing::error!("an observer panicked");
            }
        }
    }
}

impl<'a> ObservedPost<'a> {
    pub(crate) fn new(headers: &'a HeaderMap) -> Self {
        Self {
            headers,
            body: None,
            diagnosis: None,
        }
    }

    /// The names of all its headers, in lower case.
    pub fn header_names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.headers.keys().map(http::HeaderName::as_str)
    }

    /// Its `Signature` and `Heygen-Signature` headers.
    pub fn signatures(&self) -> impl Iterator<Item = Header> + use<'a> {
        let headers = self.headers.iter();
        headers
            .filter(|(name, _)| {
                [SIGNATURE, HEYGEN_SIGNATURE]
                    .iter()
                    .any(|known| name == known)
            })
            .map(|(name, value)| Header::new(name.as_str(), value.as_bytes()))
    }

    /// Whether it carries one well-formed signature, valid or not.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        find_signature(self.headers).is_ok()
    }
}

impl<T: Observer + ?Sized> Observer for Arc<T> {
    fn stored(&self, stored: &ObservedDelivery<'_>) {
        (**self).stored(stored);
    }

    fn rejected(&self, rejected: &ObservedRejection<'_>) {
        (**self).rejected(rejected);
    }

    fn attempted(&self, attempt: &ObservedAttempt<'_>) {
        (**self).attempted(attempt);
    }

    fn polled(&self) {
        (**self).polled();
    }

    fn stalled(&self, is_stalled: bool) {
        (**self).stalled(is_stalled);
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observers")
            .field("len", &self.all.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ObservedPost<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.header_names().collect();
        f.debug_struct("ObservedPost")
            .field("header_names", &names)
            .field("body_bytes", &self.body.map(Bytes::len))
            .field("diagnosis", &self.diagnosis)
            .finish()
    }
}
