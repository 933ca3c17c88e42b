//! [`Delivery`]: what a handler is given.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use bytes::Bytes;
use heygen_events::{Event, ParseError};
use heygen_inbox::{ClaimedDelivery, DeliveryId, Header, Source};

/// A verified, stored delivery on its way through a handler.
///
/// Cloning is cheap. The body is parsed when [`event`](Self::event) is first asked for, once for all
/// clones; a handler that never asks parses nothing.
#[derive(Clone)]
pub struct Delivery {
    shared: Arc<Shared>,
}

struct Shared {
    claimed: ClaimedDelivery,
    event: OnceLock<Result<Event, ParseError>>,
}

impl Delivery {
    /// The event, typed.
    ///
    /// # Errors
    ///
    /// [`ParseError`] when the body is not JSON or not an event. It was signed by HeyGen all the same, and
    /// [`body`](Self::body) has it.
    pub fn event(&self) -> Result<&Event, ParseError> {
        let parse = || Event::from_slice(self.body());
        let event = self.shared.event.get_or_init(parse);
        event.as_ref().map_err(Clone::clone)
    }

    /// The event as a value of its own.
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

    /// The name of the event as it was stored, without parsing; `None` for a body that is not an event.
    #[must_use]
    pub fn event_type(&self) -> Option<&str> {
        self.shared.claimed.event_type.as_deref()
    }

    /// The id it is kept under: the same on every attempt.
    #[must_use]
    pub fn id(&self) -> DeliveryId {
        self.shared.claimed.id
    }

    /// 1 when it is handed out for the first time.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.shared.claimed.attempt
    }

    /// When it came in, by the receiver's clock.
    #[must_use]
    pub fn received_at(&self) -> SystemTime {
        self.shared.claimed.received_at
    }

    /// Which way it came in, and so what vouches for it.
    #[must_use]
    pub fn source(&self) -> Source {
        self.shared.claimed.source
    }

    /// The headers it came with. HeyGen signs none of them.
    #[must_use]
    pub fn headers(&self) -> &[Header] {
        &self.shared.claimed.headers
    }

    /// The bytes received.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.shared.claimed.body
    }
}

/// What an inbox gave out is what a handler is given, by a dispatcher or in a test.
impl From<ClaimedDelivery> for Delivery {
    fn from(claimed: ClaimedDelivery) -> Self {
        let event = OnceLock::new();
        Self {
            shared: Arc::new(Shared { claimed, event }),
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

#[cfg(test)]
mod tests {
    use std::ptr;

    use heygen_inbox::{ClaimRequest, Inbox, MemoryInbox, NewDelivery};

    use super::*;

    async fn delivery(body: &'static str) -> Delivery {
        let inbox = MemoryInbox::new();
        let now = SystemTime::now();
        let body = Bytes::from_static(body.as_bytes());
        let new = NewDelivery::new(now, Source::Webhook, Vec::new(), body);
        inbox.append(new).await.expect("room");
        let claim = inbox
            .claim(ClaimRequest::due(1, now))
            .await
            .expect("a claim");
        let claimed = claim.deliveries.into_iter().next().expect("one is due");
        claimed.into()
    }

    const BODY: &str = r#"{"event_type":"batch.finished","event_data":{}}"#;

    #[tokio::test]
    async fn the_body_is_parsed_when_it_is_asked_for_and_once_for_all_clones() {
        let delivery = delivery(BODY).await;
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
    async fn an_error_outlives_its_delivery() {
        async fn handler(delivery: Delivery) -> Result<(), Box<dyn std::error::Error>> {
            delivery.event()?;
            Ok(())
        }

        let unreadable = delivery("not JSON").await;
        assert_eq!(unreadable.event_type(), None);
        let error = handler(unreadable.clone()).await.expect_err("no event");
        assert_eq!(error.to_string(), "body is not JSON");
        assert!(unreadable.into_event().is_err());
        assert!(
            delivery(BODY).await.into_event().is_ok(),
            "never asked before"
        );
    }
}
