//! [`Envelope`]: the name of an event and its data as received, read without copying the body.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Number, Value};

use crate::event::NameKey;
use crate::id::EventId;
use crate::lookup::raw_text;
use crate::payload::field::Key;
use crate::{Event, EventType, ParseError, Payload};

/// What surrounds the data of an event, borrowed from the body: step one of two.
///
/// Reading it checks that the whole body is JSON, but decodes nothing of `event_data`.
/// [`to_event`](Self::to_event) is step two.
///
/// # Wire shape
///
/// `{"event_type": string, "event_data": object}`. In the delivery log, and perhaps in deliveries, `event_id` and
/// `created_at` stand beside them. Where `event_type` is missing, a string under `event` is the name. Of a repeated key
/// the last one counts.
///
/// # Source
///
/// HeyGen documentation, “Webhook Events”: documented. The key `event`: HeyGen's own n8n trigger reads it; no delivery
/// with it is known.
///
/// # Examples
///
/// ```
/// use heygen_events::{Envelope, EventType};
///
/// let body = br#"{"event_type":"video_agent.fail","event_data":{"video_id":"v1","msg":"out of credit"}}"#;
/// let envelope = Envelope::from_slice(body)?;
/// assert_eq!(envelope.event_type(), EventType::VideoAgentFail);
/// assert_eq!(envelope.data_json(), Some(r#"{"video_id":"v1","msg":"out of credit"}"#));
/// # Ok::<(), heygen_events::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Envelope<'a> {
    name: Cow<'a, str>,
    name_key: NameKey,
    event_id: Option<Plain<'a>>,
    created_at: Option<Plain<'a>>,
    data: Option<&'a RawValue>,
    /// Every other top-level field, and those above whose value does not serve.
    rest: Fields<'a>,
}

impl<'a> Envelope<'a> {
    /// Reads the envelope of a body.
    ///
    /// # Errors
    ///
    /// [`Syntax`](crate::ParseErrorKind::Syntax) when the body is not JSON;
    /// [`Envelope`](crate::ParseErrorKind::Envelope) when it is not an object, or has no name that is a string.
    pub fn from_slice(body: &'a [u8]) -> Result<Self, ParseError> {
        let Ok(text) = std::str::from_utf8(body) else {
            // Only serde_json makes its errors, so it is asked to find what is known.
            let found = serde_json::from_slice::<&RawValue>(body).err();
            return Err(ParseError::syntax(
                found.unwrap_or_else(|| Error::custom("not UTF-8")),
            ));
        };
        match Top::read(text, Keys::Decoded).or_else(|_| Top::read(text, Keys::AsSpelled)) {
            Ok(top) => Self::from_top(top),
            // An array is refused at its first byte, when nobody has seen yet whether the rest is JSON, and a number that
            // is out of range (`1e999`) as if it were none. The error of a refusal may quote the body, so it goes no further.
            Err(_) => Err(match serde_json::from_str::<&RawValue>(text) {
                Ok(_) => ParseError::envelope(Error::custom("the body is not an object")),
                Err(error) => ParseError::syntax(error),
            }),
        }
    }

    /// The name as a type.
    #[must_use]
    pub fn event_type(&self) -> EventType {
        EventType::from(self.event_name())
    }

    /// The name as received.
    #[must_use]
    pub fn event_name(&self) -> &str {
        &self.name
    }

    /// HeyGen's id of the event, where the body carries one: a number reads as its digits, an empty string as none.
    #[must_use]
    pub fn event_id(&self) -> Option<&str> {
        self.event_id.as_ref().map(|id| &*id.text)
    }

    /// The text of `event_data` as received, or `None` when it is missing.
    #[must_use]
    pub fn data_json(&self) -> Option<&'a str> {
        self.data.map(RawValue::get)
    }

    /// Reads the data too. Data that does not fit its type is kept as [`Payload::Unfit`].
    #[must_use]
    pub fn to_event(&self) -> Event {
        let mut event = Event::new(Payload::read(self.event_type(), self.data));
        event.event_id = self.event_id.as_ref().map(|id| match id.number {
            true => EventId::from_digits(&id.text),
            false => EventId::new(&*id.text),
        });
        event.created_at = self.created_at.as_ref().map(|at| at.text.to_string());
        event.as_read.created_at_is_number = self.created_at.as_ref().is_some_and(|at| at.number);
        event.as_read.name_key = self.name_key;
        for (key, raw) in &self.rest {
            match serde_json::from_str::<Value>(raw.get()) {
                Ok(value) => drop(event.extra.insert(key.to_string(), value)),
                Err(_) => event
                    .as_read
                    .beyond_value
                    .push((key.as_ref().into(), (*raw).to_owned())),
            }
        }
        event
    }

    fn from_top(top: Top<'a>) -> Result<Self, ParseError> {
        let mut rest = top.rest;
        let (name, name_key) = match (top.event_type.and_then(text), top.event.and_then(text)) {
            (Some(name), _) => {
                rest.extend(top.event.map(|raw| (Cow::Borrowed(EVENT), raw)));
                (name, NameKey::EventType)
            }
            (None, Some(name)) => {
                rest.extend(top.event_type.map(|raw| (Cow::Borrowed(EVENT_TYPE), raw)));
                (name, NameKey::Event)
            }
            (None, None) => {
                let found = top.event_type.map_or("missing", |_| "not a string");
                return Err(ParseError::envelope(Error::custom(format_args!(
                    "{EVENT_TYPE}: {found}"
                ))));
            }
        };
        let event_id = top.event_id.and_then(plain);
        if event_id.is_none() {
            rest.extend(top.event_id.map(|raw| (Cow::Borrowed(EVENT_ID), raw)));
        }
        let created_at = top.created_at.and_then(plain);
        if created_at.is_none() {
            rest.extend(top.created_at.map(|raw| (Cow::Borrowed(CREATED_AT), raw)));
        }
        Ok(Self {
            name,
            name_key,
            event_id,
            created_at,
            data: top.data,
            rest,
        })
    }
}

pub(crate) const EVENT_TYPE: &str = "event_type";
pub(crate) const EVENT: &str = "event";
pub(crate) const EVENT_DATA: &str = "event_data";
pub(crate) const EVENT_ID: &str = "event_id";
pub(crate) const CREATED_AT: &str = "created_at";

type Fields<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// A string that is not empty, or a number.
#[derive(Clone, Debug)]
struct Plain<'a> {
    text: Cow<'a, str>,
    number: bool,
}

/// The top level of a body, before anything in it is decoded.
#[derive(Default)]
struct Top<'a> {
    event_type: Option<&'a RawValue>,
    event: Option<&'a RawValue>,
    data: Option<&'a RawValue>,
    event_id: Option<&'a RawValue>,
    created_at: Option<&'a RawValue>,
    rest: Fields<'a>,
}

/// A key that is not Unicode text (a lone surrogate) cannot be decoded. Then all keys are taken as raw text first, which is
/// slower, and such a key stands as it was spelled: odd, but seen.
enum Keys {
    Decoded,
    AsSpelled,
}

impl<'a> Top<'a> {
    fn read(body: &'a str, keys: Keys) -> Result<Self, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_str(body);
        let top = deserializer.deserialize_map(keys)?;
        deserializer.end().map(|()| top)
    }
}

impl<'de> Visitor<'de> for Keys {
    type Value = Top<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Top<'de>, A::Error> {
        let mut top = Top::default();
        loop {
            let key = match self {
                Self::Decoded => map.next_key_seed(Key)?,
                Self::AsSpelled => map
                    .next_key::<&RawValue>()?
                    .map(|raw| raw_text(raw).unwrap_or(Cow::Borrowed(raw.get()))),
            };
            let Some(key) = key else {
                return Ok(top);
            };
            let value = map.next_value()?;
            match &*key {
                EVENT_TYPE => top.event_type = Some(value),
                EVENT => top.event = Some(value),
                EVENT_DATA => top.data = Some(value),
                EVENT_ID => top.event_id = Some(value),
                CREATED_AT => top.created_at = Some(value),
                _ => drop(top.rest.insert(key, value)),
            }
        }
    }
}

fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    raw_text(raw).filter(|_| !is_number(raw))
}

/// A number counts only if it could be written back.
fn plain(raw: &RawValue) -> Option<Plain<'_>> {
    let number = is_number(raw);
    let text = raw_text(raw)?;
    let serves = if number {
        text.parse::<Number>().is_ok()
    } else {
        !text.is_empty()
    };
    serves.then_some(Plain { text, number })
}

fn is_number(raw: &RawValue) -> bool {
    raw.get()
        .starts_with(|first: char| first == '-' || first.is_ascii_digit())
}
