//! [`Observer`]: is told what a receiver and a dispatcher do. [`Observers`]: any number of them.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use heygen_inbox::{Appended, AttemptOutcome, DeliveryId, Drift, Header, Source};
use heygen_signature::{Diagnosis, HEYGEN_SIGNATURE, SIGNATURE, find_signature};
use http::HeaderMap;

use crate::rejection::Rejection;

#[cfg(feature = "sqlite")]
mod ring;

/// Is told what a receiver and a dispatcher do, to count it or to keep it.
///
/// Called in the middle of a request or an attempt, so that it must return at once; every method does nothing by default.
/// Given to [`ReceiverOptions::observers`](crate::ReceiverOptions::observers) and
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
/// struct Strangers(AtomicU64);
///
/// impl Observer for Strangers {
///     fn rejected(&self, rejected: &ObservedRejection<'_>) {
///         if rejected.rejection == Rejection::Unauthorized {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
///
/// let strangers = Arc::new(Strangers::default());
/// let mut options = ReceiverOptions::default();
/// options.observers.add(Arc::clone(&strangers));
/// ```
pub trait Observer: Send + Sync + 'static {
    /// A delivery was kept, or found to be here already.
    fn kept(&self, kept: &ObservedDelivery<'_>) {
        let _ = kept;
    }

    /// A request was turned away.
    fn rejected(&self, rejected: &ObservedRejection<'_>) {
        let _ = rejected;
    }

    /// A handler was given a delivery, and that has ended.
    fn attempted(&self, attempt: &ObservedAttempt<'_>) {
        let _ = attempt;
    }
}

/// Any number of observers. Clones share them.
#[derive(Clone, Default)]
pub struct Observers {
    all: Vec<Arc<dyn Observer>>,
}

/// A delivery that was kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ObservedDelivery<'a> {
    /// Whether it was new, and the id it is kept under.
    pub appended: Appended,
    /// Which way it came in.
    pub source: Source,
    /// How long the inbox took.
    pub commit_time: Duration,
    /// In what it differs from what this version knows.
    pub drift: &'a [Drift],
}

/// A request that was turned away.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ObservedRejection<'a> {
    /// When.
    pub at: SystemTime,
    /// What the peer was told.
    pub rejection: Rejection,
    /// Why, in a word that stays the same: the rejection's [`label`](Rejection::label), or for an unauthorized one
    /// `missing-signature`, `malformed-signature`, `ambiguous-signature` or `signature-mismatch`.
    pub reason: &'static str,
    /// The post, where it was one to the webhook path or to a callback path with a valid token, and came so far that
    /// something was the matter with the post itself; and where it carries a well-formed signature, wherever it came to.
    pub post: Option<ObservedPost<'a>>,
}

/// What is known of a post that was turned away. It shows no header values but signatures: the others may be credentials.
#[derive(Clone)]
#[non_exhaustive]
pub struct ObservedPost<'a> {
    headers: &'a HeaderMap,
    /// The body, where it was read whole.
    pub body: Option<&'a Bytes>,
    /// What exactly is the matter with the signature. Finding out costs much, so that in a flood only few are looked at.
    pub diagnosis: Option<&'a Diagnosis>,
}

/// A handler's attempt at a delivery that has ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ObservedAttempt<'a> {
    /// Which delivery it was.
    pub id: DeliveryId,
    /// Which handing-out of it: 1 for the first.
    pub number: u32,
    /// The name of the event; `None` when the body could not be read as one.
    pub event_type: Option<&'a str>,
    /// What it ended with.
    pub result: AttemptOutcome,
    /// What was said about it, if anything.
    pub detail: Option<&'a str>,
    /// How long the handler took.
    pub duration: Duration,
    /// After how long the next attempt is made, of one that is to be repeated.
    pub retry_in: Option<Duration>,
    /// How many attempts count so far, with this one; `None` when this one does not.
    pub counted: Option<u32>,
    /// How many attempts there may be, where their number is limited.
    pub max_attempts: Option<u32>,
}

impl Observers {
    /// One more.
    pub fn add(&mut self, observer: impl Observer) {
        self.all.push(Arc::new(observer));
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(crate) fn kept(&self, kept: &ObservedDelivery<'_>) {
        self.each(|observer| observer.kept(kept));
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

    /// One that panics keeps neither an answer nor a record from being given, nor the others from
    /// seeing it.
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

    /// Whether they make one well-formed signature, of whomever.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        find_signature(self.headers).is_ok()
    }
}

impl<T: Observer + ?Sized> Observer for Arc<T> {
    fn kept(&self, kept: &ObservedDelivery<'_>) {
        (**self).kept(kept);
    }

    fn rejected(&self, rejected: &ObservedRejection<'_>) {
        (**self).rejected(rejected);
    }

    fn attempted(&self, attempt: &ObservedAttempt<'_>) {
        (**self).attempted(attempt);
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
