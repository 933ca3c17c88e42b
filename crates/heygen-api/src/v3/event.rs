//! [`LoggedEvent`] and [`EventQuery`]: the log of delivered events.

use std::fmt;

use heygen_events::{Event, EventType, ParseError};
use serde_json::value::RawValue;

use crate::fields::Mismatch;
use crate::page::PageRequest;

/// One record of the log of delivered events, as received and as read.
///
/// # Wire shape
///
/// `{"event_id", "event_type", "event_data", "created_at"}`: the body of a delivery with two fields more. A record that cannot be
/// read as an event is kept, so that it does not hide its page.
///
/// # Source
///
/// HeyGen's API reference, “List Webhook Events”: documented.
#[derive(Clone)]
pub struct LoggedEvent {
    json: Box<str>,
    event: Result<Event, ParseError>,
}

impl LoggedEvent {
    pub(super) fn read_item(raw: &RawValue, _: &str) -> Result<Self, Mismatch> {
        let json = raw.get();
        Ok(Self {
            event: Event::from_slice(json.as_bytes()),
            json: json.into(),
        })
    }

    /// The event, or why the record is none.
    ///
    /// # Errors
    ///
    /// [`ParseError`] when the record is not an object or has no name.
    pub fn event(&self) -> Result<&Event, &ParseError> {
        self.event.as_ref()
    }

    /// The record exactly as received.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }
}

/// Shows the event and not the text, which says the same.
impl fmt::Debug for LoggedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LoggedEvent").field(&self.event).finish()
    }
}

/// Which delivered events are wanted: all, unless it says otherwise.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[must_use]
pub struct EventQuery {
    pub(super) event_type: Option<EventType>,
    pub(super) entity_id: Option<String>,
    pub(super) page: PageRequest,
}

impl EventQuery {
    /// All events, from the first page on.
    pub fn new() -> Self {
        Self::default()
    }

    /// Events of this type alone.
    pub fn event_type(mut self, event_type: impl Into<EventType>) -> Self {
        self.event_type = Some(event_type.into());
        self
    }

    /// Events of this resource alone.
    pub fn entity_id(mut self, entity_id: impl Into<String>) -> Self {
        self.entity_id = Some(entity_id.into());
        self
    }

    /// Which page, and how long.
    pub fn page(mut self, page: PageRequest) -> Self {
        self.page = page;
        self
    }
}
