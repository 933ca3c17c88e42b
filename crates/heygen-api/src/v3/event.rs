//! [`LoggedEvent`] and [`EventQuery`]: HeyGen's event log.

use std::fmt;

use heygen_events::{Event, EventType, ParseError};
use serde_json::value::RawValue;

use crate::fields::Mismatch;
use crate::page::PageRequest;

/// One record of the event log: the text as received, and the event in it.
///
/// # Wire shape
///
/// `{"event_id", "event_type", "event_data", "created_at"}`: the body of a delivery and two more
/// fields. A record that is no event does not fail its page: [`event`](Self::event) is the error
/// then.
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

    /// The event.
    ///
    /// # Errors
    ///
    /// [`ParseError`] if the record is not an object or has no event name.
    pub fn event(&self) -> Result<&Event, &ParseError> {
        self.event.as_ref()
    }

    /// The record exactly as received.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }
}

/// Shows the event without the text, which has the same content.
impl fmt::Debug for LoggedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LoggedEvent").field(&self.event).finish()
    }
}

/// Which records of the event log to list. Default: all.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[must_use]
pub struct EventQuery {
    pub(super) event_type: Option<EventType>,
    pub(super) entity_id: Option<String>,
    pub(super) page: PageRequest,
}

impl EventQuery {
    /// All records, starting at the first page.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only events of this type.
    pub fn with_event_type(mut self, event_type: impl Into<EventType>) -> Self {
        self.event_type = Some(event_type.into());
        self
    }

    /// Only events of this resource.
    pub fn with_entity_id(mut self, entity_id: impl Into<String>) -> Self {
        self.entity_id = Some(entity_id.into());
        self
    }

    /// Sets the page and its length.
    pub fn with_page(mut self, page: PageRequest) -> Self {
        self.page = page;
        self
    }
}
