//! [`Delivery`]: what a handler receives.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use bytes::Bytes;
use heygen_events::{Event, ParseError};
use heygen_inbox::{ClaimedDelivery, DeliveryId, Header, NewDelivery, Source, StoredDelivery};

/// A stored delivery that is dispatched to a handler.
///
/// Cloning is cheap. The body is parsed at the first call of [`event`](Self::event), once for all
/// clones.
#[derive(Clone)]
pub struct Delivery {
    shared: Arc<Shared>,
}

struct Shared {
    claimed: ClaimedDelivery,
    dead_letter_reason: Option<String>,
    event: OnceLock<Result<Event, ParseError>>,
}

impl Delivery {
    /// A delivery of this body that comes from no inbox, for a unit test of a handler: received now, as
    /// a webhook, without headers, and in its first attempt.
    ///
    /// Anything else is a [`ClaimedDelivery`], whose fields are public.
    ///
    /// # Examples
    ///
    /// ```
    /// use heygen_receiver::Delivery;
    ///
    /// let delivery = Delivery::for_test(r#"{"event_type":"batch.finished","event_data":{}}"#);
    /// assert_eq!(delivery.event()?.event_name(), "batch.finished");
    /// # Ok::<(), heygen_events::ParseError>(())
    /// ```
    #[must_use]
    pub fn for_test(body: impl Into<Bytes>) -> Self {
        let now = SystemTime::now();
        let new = NewDelivery::new(now, Source::Webhook, Vec::new(), body.into());
        ClaimedDelivery::new(DeliveryId::next(now, None, 0), &new, 1).into()
    }

    /// The event, typed.
    ///
    /// # Errors
    ///
    /// [`ParseError`] when the body is not JSON or not an event, although HeyGen signed it;
    /// [`body`](Self::body) has the bytes.
    pub fn event(&self) -> Result<&Event, ParseError> {
        let parse = || Event::from_slice(self.body());
        let event = self.shared.event.get_or_init(parse);
        event.as_ref().map_err(Clone::clone)
    }

    /// The event, owned.
    ///
    /// # Errors
    ///
    /// As [`event`](Self::event).
    pub fn into_event(self) -> Result<Event, ParseError> {
        match Arc::try_unwrap(self.shared) {
            Ok(mut shared) => match shared.event.take() {
                Some(event) => event,
                None => Event::from_slice(&shared.claimed.body),
            },
            Err(shared) => Self { shared }.event().cloned(),
        }
    }

    /// The name of the event as it was stored, without parsing; `None` for a body that is not an
    /// event.
    #[must_use]
    pub fn event_type(&self) -> Option<&str> {
        self.shared.claimed.event_type.as_deref()
    }

    /// Its id in the inbox: the same on every attempt.
    #[must_use]
    pub fn id(&self) -> DeliveryId {
        self.shared.claimed.id
    }

    /// The number of this attempt: 1 for the first.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.shared.claimed.attempt
    }

    /// When it was received, by the receiver's clock.
    #[must_use]
    pub fn received_at(&self) -> SystemTime {
        self.shared.claimed.received_at
    }

    /// Where it came from, and so what proves its origin.
    #[must_use]
    pub fn source(&self) -> Source {
        self.shared.claimed.source
    }

    /// The headers of the request. HeyGen signs none of them.
    #[must_use]
    pub fn headers(&self) -> &[Header] {
        &self.shared.claimed.headers
    }

    /// The body as received.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.shared.claimed.body
    }

    /// Why it was dead-lettered, for the handler of a [`DeadLetterHook`](crate::DeadLetterHook);
    /// `None` for a delivery to be handled.
    #[must_use]
    pub fn dead_letter_reason(&self) -> Option<&str> {
        self.shared.dead_letter_reason.as_deref()
    }

    /// One that was given up with this attempt.
    pub(crate) fn dead_lettered(stored: &StoredDelivery, attempt: u32, reason: String) -> Self {
        let summary = &stored.summary;
        let (headers, body) = (stored.headers.clone(), stored.body.clone());
        let delivery = NewDelivery::new(summary.received_at, summary.source, headers, body);
        Self {
            shared: Arc::new(Shared {
                claimed: ClaimedDelivery::new(summary.id, &delivery, attempt),
                dead_letter_reason: Some(reason),
                event: OnceLock::new(),
            }),
        }
    }
}

/// How a dispatcher makes one. Tests of handlers have [`Delivery::for_test`].
impl From<ClaimedDelivery> for Delivery {
    fn from(claimed: ClaimedDelivery) -> Self {
        Self {
            shared: Arc::new(Shared {
                claimed,
                dead_letter_reason: None,
                event: OnceLock::new(),
            }),
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("claimed", &self.shared.claimed)
            .finish_non_exhaustive()
    }
}

/// The header in which [`Forward`](crate::handlers::Forward) sends the id of a delivery.
pub(crate) const FORWARDED_ID: &str = "heygen-webhooks-id";

/// The header in which it sends the ids under which earlier receivers stored the delivery, in their
/// order and separated by commas.
pub(crate) const FORWARDED_VIA: &str = "heygen-webhooks-via";

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;

    const BODY: &str = r#"{"event_type":"batch.finished","event_data":{}}"#;

    #[test]
    fn delivery_of_a_test_is_new() {
        let begun = SystemTime::now();
        let delivery = Delivery::for_test(BODY);
        assert_eq!(delivery.body(), BODY);
        assert_eq!(
            (delivery.attempt(), delivery.source()),
            (1, Source::Webhook)
        );
        assert!(delivery.headers().is_empty() && delivery.received_at() >= begun);
    }

    #[test]
    fn body_is_parsed_on_demand_and_once_for_all_clones() {
        let delivery = Delivery::for_test(BODY);
        assert_eq!(delivery.event_type(), Some("batch.finished"));
        assert!(!format!("{delivery:?}").is_empty());
        assert!(delivery.shared.event.get().is_none(), "no one has asked");
        let clone = delivery.clone();
        let first: *const Event = clone.event().expect("an event");
        let parsed = delivery.shared.event.get().expect("parsed for the clone");
        assert!(ptr::eq(first, parsed.as_ref().expect("an event")));
        assert!(ptr::eq(first, delivery.event().expect("an event")));
        let event = clone.into_event().expect("an event");
        assert_eq!(&event, delivery.event().expect("an event"));
        assert_eq!(delivery.into_event().expect("an event"), event);
    }

    #[tokio::test]
    async fn parse_error_outlives_its_delivery() {
        async fn handler(delivery: Delivery) -> Result<(), Box<dyn std::error::Error>> {
            delivery.event()?;
            Ok(())
        }

        let unreadable = Delivery::for_test("not JSON");
        assert_eq!(unreadable.event_type(), None);
        let error = handler(unreadable.clone()).await.expect_err("no event");
        assert_eq!(error.to_string(), "body is not JSON");
        assert!(unreadable.into_event().is_err());
        assert!(
            Delivery::for_test(BODY).into_event().is_ok(),
            "never asked before"
        );
    }
}
