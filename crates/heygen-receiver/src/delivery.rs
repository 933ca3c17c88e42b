//! [`Delivery`]: what a handler is given.

use std::time::SystemTime;

use bytes::Bytes;
use heygen_events::{Event, ParseError};
use heygen_inbox::{Claimed, DeliveryId, Header, Source};

/// A verified, kept delivery on its way through a handler.
#[derive(Debug)]
pub struct Delivery {
    claimed: Claimed,
    event: Result<Event, ParseError>,
}

impl Delivery {
    pub(crate) fn new(claimed: Claimed) -> Self {
        let event = Event::from_slice(&claimed.body);
        Self { claimed, event }
    }

    /// The event, typed.
    ///
    /// # Errors
    ///
    /// [`ParseError`] when the body is not JSON or not an event. It was signed by HeyGen all the same, and
    /// [`body`](Self::body) has it.
    pub fn event(&self) -> Result<&Event, &ParseError> {
        self.event.as_ref()
    }

    /// The id it is kept under: the same on every attempt.
    #[must_use]
    pub fn id(&self) -> DeliveryId {
        self.claimed.id
    }

    /// 1 when it is handed out for the first time.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.claimed.attempt
    }

    /// When it came in, by the receiver's clock.
    #[must_use]
    pub fn received_at(&self) -> SystemTime {
        self.claimed.received_at
    }

    /// Which way it came in, and so what vouches for it.
    #[must_use]
    pub fn source(&self) -> Source {
        self.claimed.source
    }

    /// The headers it came with. HeyGen signs none of them.
    #[must_use]
    pub fn headers(&self) -> &[Header] {
        &self.claimed.headers
    }

    /// The bytes received.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.claimed.body
    }
}
