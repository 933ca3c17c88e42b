//! [`Event`]: a name and its data, with what stood around them.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::envelope::{CREATED_AT, EVENT, EVENT_DATA, EVENT_ID, EVENT_TYPE};
use crate::id::{EventId, write_text};
use crate::{Envelope, EventType, ParseError, Payload, usual};

/// One webhook event.
///
/// Written with serde it gives JSON equal to what was read. One thing cannot be told by equal JSON: data that no
/// [`Value`] can hold (a lone surrogate, `1e999`, nesting deeper than 128) is written as it was spelled, which `serde_json`
/// does to text and bytes, while `serde_json::to_value` fails on it.
///
/// # Wire shape
///
/// See [`Envelope`].
#[derive(Clone)]
#[non_exhaustive]
pub struct Event {
    /// HeyGen's id of the event. Certain in the delivery log; whether deliveries carry it is not documented.
    pub event_id: Option<EventId>,
    /// When HeyGen made the event, as sent: ISO 8601 with `Z` in the delivery log. A number reads as its digits.
    pub created_at: Option<String>,
    /// The data, typed by the event's name.
    pub payload: Payload,
    /// Other top-level fields, and an `event_id` or `created_at` that is not text or number (`null`, `""`, an object).
    pub extra: Map<String, Value>,
    pub(crate) as_read: AsRead,
}

/// How it was spelled, so that writing it back changes nothing.
#[derive(Clone, Default)]
pub(crate) struct AsRead {
    pub(crate) name_key: NameKey,
    pub(crate) created_at_is_number: bool,
    /// Top-level fields that no `Value` can hold.
    pub(crate) beyond_value: Vec<(Box<str>, Box<RawValue>)>,
}

/// Which key the name stood under.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum NameKey {
    #[default]
    EventType,
    Event,
}

impl Event {
    /// An event with this data and nothing around it.
    #[must_use]
    pub fn new(payload: Payload) -> Self {
        Self {
            event_id: None,
            created_at: None,
            payload,
            extra: Map::new(),
            as_read: AsRead::default(),
        }
    }

    /// Reads a body.
    ///
    /// The body is borrowed and read once. Every other way to read an event ends here.
    ///
    /// # Errors
    ///
    /// [`Syntax`](crate::ParseErrorKind::Syntax) when the body is not JSON;
    /// [`Envelope`](crate::ParseErrorKind::Envelope) when it is not an object, or has no name that is a string.
    /// Data that does not fit is not an error, but [`Payload::Unfit`].
    ///
    /// # Examples
    ///
    /// ```
    /// use heygen_events::Event;
    ///
    /// let event = Event::from_slice(br#"{"event_type":"avatar_video.fail","event_data":["?"]}"#)?;
    /// assert_eq!(event.event_name(), "avatar_video.fail");
    /// assert!(!event.fits());
    /// # Ok::<(), heygen_events::ParseError>(())
    /// ```
    pub fn from_slice(body: &[u8]) -> Result<Self, ParseError> {
        match usual::read(body) {
            Some(event) => Ok(event),
            None => Envelope::from_slice(body).map(|envelope| envelope.to_event()),
        }
    }

    /// Reads an event that is already parsed JSON, such as a record of the delivery log.
    ///
    /// # Errors
    ///
    /// As [`from_slice`](Self::from_slice); never [`Syntax`](crate::ParseErrorKind::Syntax).
    pub fn from_value(value: &Value) -> Result<Self, ParseError> {
        Self::from_slice(value.to_string().as_bytes())
    }

    /// The name as a type.
    #[must_use]
    pub fn event_type(&self) -> EventType {
        self.payload.event_type()
    }

    /// The name as received.
    #[must_use]
    pub fn event_name(&self) -> &str {
        self.payload.event_name()
    }

    /// Whether this version knows the name.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.event_type().is_known()
    }

    /// Whether the data fits the type of the name. The data of an unknown name always does, if a [`Value`] can hold it.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.misfit().is_none()
    }

    /// Why the data does not fit, if it does not.
    #[must_use]
    pub fn misfit(&self) -> Option<&ParseError> {
        match &self.payload {
            Payload::Unfit(unfit) => Some(unfit.reason()),
            _ => None,
        }
    }

    fn name_key(&self) -> &'static str {
        match self.as_read.name_key {
            NameKey::EventType => EVENT_TYPE,
            NameKey::Event => EVENT,
        }
    }
}

impl From<Payload> for Event {
    fn from(payload: Payload) -> Self {
        Self::new(payload)
    }
}

impl FromStr for Event {
    type Err = ParseError;

    fn from_str(body: &str) -> Result<Self, ParseError> {
        Self::from_slice(body.as_bytes())
    }
}

impl TryFrom<&[u8]> for Event {
    type Error = ParseError;

    fn try_from(body: &[u8]) -> Result<Self, ParseError> {
        Self::from_slice(body)
    }
}

/// Equal when they say the same; how it was spelled (`42` or `"42"`, `null` or missing) does not count.
impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        let beyond = |event: &Self| {
            let fields = event.as_read.beyond_value.iter();
            fields
                .map(|(key, raw)| (key.clone(), raw.get().to_owned()))
                .collect::<Vec<_>>()
        };
        self.event_id == other.event_id
            && self.created_at == other.created_at
            && self.payload == other.payload
            && self.extra == other.extra
            && beyond(self) == beyond(other)
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("event_id", &self.event_id)
            .field("created_at", &self.created_at)
            .field("payload", &self.payload)
            .field("extra", &self.extra)
            .finish_non_exhaustive()
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(self.name_key(), self.event_name())?;
        if let Some(id) = &self.event_id {
            map.serialize_entry(EVENT_ID, id)?;
        }
        if self.payload.has_data() {
            map.serialize_entry(EVENT_DATA, &self.payload)?;
        }
        if let Some(text) = &self.created_at {
            let number = self.as_read.created_at_is_number;
            map.serialize_entry(CREATED_AT, &Text { text, number })?;
        }
        // What was put into `extra` by hand must not repeat a key that is written above.
        let written = |key: &str| {
            key == self.name_key()
                || key == EVENT_DATA
                || (key == EVENT_ID && self.event_id.is_some())
                || (key == CREATED_AT && self.created_at.is_some())
        };
        for (key, value) in self.extra.iter().filter(|(key, _)| !written(key)) {
            map.serialize_entry(key, value)?;
        }
        for (key, raw) in &self.as_read.beyond_value {
            map.serialize_entry(key, raw)?;
        }
        map.end()
    }
}

/// From `serde_json` only, since the text itself is taken first: that is what lets an event survive data it cannot decode.
impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::from_slice(raw.get().as_bytes()).map_err(D::Error::custom)
    }
}

struct Text<'a> {
    text: &'a str,
    number: bool,
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write_text(self.text, self.number, serializer)
    }
}
