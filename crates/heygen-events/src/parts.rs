//! [`EventParts`]: the parts of an event.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::document::{CREATED_AT, EVENT_DATA, EVENT_ID, EVENT_TYPE};
use crate::id::EventId;
use crate::payload::Payload;

/// The parts of an event.
///
/// Unknown fields of `event_data` are not included; read
/// [`Event::unknown_fields`](crate::Event::unknown_fields) first.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EventParts {
    /// HeyGen's id of the event.
    pub event_id: Option<EventId>,
    /// When HeyGen created the event, as sent.
    pub created_at: Option<String>,
    /// The data, typed by the event's name.
    pub payload: Payload,
    /// Other top-level fields, and an `event_id` or `created_at` that is neither text nor number.
    pub extra: Map<String, Value>,
}

impl EventParts {
    /// The parts of an event with this data and no other fields.
    #[must_use]
    pub fn new(payload: Payload) -> Self {
        Self {
            event_id: None,
            created_at: None,
            payload,
            extra: Map::new(),
        }
    }
}

impl Serialize for EventParts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let mut written = vec![EVENT_TYPE, EVENT_DATA];
        map.serialize_entry(EVENT_TYPE, self.payload.event_name())?;
        if let Some(id) = &self.event_id {
            written.push(EVENT_ID);
            map.serialize_entry(EVENT_ID, id)?;
        }
        if self.payload.has_data() {
            map.serialize_entry(EVENT_DATA, &self.payload)?;
        }
        if let Some(text) = &self.created_at {
            written.push(CREATED_AT);
            map.serialize_entry(CREATED_AT, text)?;
        }
        // `extra` must not repeat a key that is written above.
        for (key, value) in &self.extra {
            if !written.contains(&key.as_str()) {
                map.serialize_entry(key, value)?;
            }
        }
        map.end()
    }
}
