//! The usual spelling of an event, read in one pass: the name first, the data after it, each once.
//!
//! [`Envelope`](crate::Envelope) reads every spelling, in two steps: what the data is can only be known when the name was
//! read. HeyGen writes the name first, so that its bodies can be had for half of that. Whatever is not as usual, misfits
//! among it, is left to the two steps, and both read the same event from what both can read.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::envelope::{CREATED_AT, EVENT_DATA, EVENT_ID, EVENT_TYPE};
use crate::id::EventId;
use crate::payload::field::Key;
use crate::{Event, EventType, Payload};

/// `None` for what is not as usual, which may be an event all the same.
pub(crate) fn read(body: &[u8]) -> Option<Event> {
    let text = std::str::from_utf8(body).ok()?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let event = deserializer.deserialize_map(Usual).ok()?;
    deserializer.end().ok()?;
    Some(event)
}

struct Usual;

impl<'de> Visitor<'de> for Usual {
    type Value = Event;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event in its usual spelling")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Event, A::Error> {
        let mut event_type = None;
        let mut payload = None;
        let (mut event_id, mut created_at) = (None, None);
        let mut extra = Map::new();
        while let Some(key) = map.next_key_seed(Key)? {
            match &*key {
                EVENT_TYPE if event_type.is_none() => {
                    let name = map.next_value_seed(Text)?;
                    event_type = Some(EventType::from(&*name));
                }
                EVENT_DATA if payload.is_none() => {
                    let event_type = event_type.as_ref().ok_or_else(unusual)?;
                    payload = Some(map.next_value_seed(Data { event_type })?);
                }
                EVENT_ID if event_id.is_none() => event_id = Some(map.next_value_seed(Text)?),
                CREATED_AT if created_at.is_none() => created_at = Some(map.next_value_seed(Text)?),
                EVENT_TYPE | EVENT_DATA | EVENT_ID | CREATED_AT => return Err(unusual()),
                _ => drop(extra.insert(key.into_owned(), map.next_value::<Value>()?)),
            }
        }
        let event_type = event_type.ok_or_else(unusual)?;
        let mut event = Event::new(payload.unwrap_or_else(|| Payload::read(event_type, None)));
        event.event_id = event_id.map(EventId::new);
        event.created_at = created_at.map(Cow::into_owned);
        event.extra = extra;
        Ok(event)
    }
}

struct Data<'a> {
    event_type: &'a EventType,
}

impl<'de> DeserializeSeed<'de> for Data<'_> {
    type Value = Payload;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Payload, D::Error> {
        Payload::read_fitting(self.event_type, deserializer)
    }
}

/// A string that is not empty: the empty one is no id and no time.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let text = Key.deserialize(deserializer)?;
        match text.is_empty() {
            true => Err(unusual()),
            false => Ok(text),
        }
    }
}

/// It goes no further than [`read`].
fn unusual<E: Error>() -> E {
    E::custom("not as usual")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Envelope;

    #[track_caller]
    fn check(body: &str, is_usual: bool) {
        let usual = read(body.as_bytes());
        assert_eq!(usual.is_some(), is_usual, "{body}");
        let in_two_steps =
            Envelope::from_slice(body.as_bytes()).map(|envelope| envelope.to_event());
        let Some(usual) = usual else { return };
        let in_two_steps = in_two_steps.expect("an event");
        assert_eq!(usual, in_two_steps, "{body}");
        let written = |event| serde_json::to_string(event).expect("JSON");
        assert_eq!(written(&usual), written(&in_two_steps), "{body}");
    }

    #[test]
    fn what_is_usual_is_read_as_in_two_steps_and_the_rest_is_left_to_them() {
        let data = r#""event_data":{"video_id":"a","url":null,"new":[1.50,"\u00e9"]}"#;
        let name = r#""event_type":"avatar_video.success""#;
        check(&format!("{{{name},{data}}}"), true);
        check(&format!(" {{ {name} , {data} }} "), true);
        check(
            &format!(r#"{{"event_id":"e","created_at":"2026",{name},{data}}}"#),
            true,
        );
        check(
            &format!(r#"{{{name},{data},"event":7,"more":{{"a":1e2}},"more":null}}"#),
            true,
        );
        check(
            r#"{"event_type":"avatar_video.success","event_data":{"video_id":7}}"#,
            true,
        );
        check(&format!("{{{name}}}"), true);
        check(r#"{"event_type":"podcast.success"}"#, true);
        check(
            &format!(r#"{{"event_type":"podcast.success",{data}}}"#),
            true,
        );
        check(
            r#"{"event_type":"podcast.success","event_data":null}"#,
            true,
        );

        check(&format!("{{{data},{name}}}"), false);
        check(&format!("{{{name},{data},{data}}}"), false);
        check(&format!("{{{name},{name},{data}}}"), false);
        check(&format!("{{{name},{data}}} x"), false);
        check(&format!("{{{name},{data}"), false);
        check(&format!(r#"{{{name},{data},"more":1e999}}"#), false);
        check(&format!(r#"{{"event_id":"",{name},{data}}}"#), false);
        check(&format!(r#"{{"event_id":7,{name},{data}}}"#), false);
        check(
            &format!(r#"{{"event":"avatar_video.success",{data}}}"#),
            false,
        );
        check(&format!(r#"{{"event_type":7,{data}}}"#), false);
        check(
            r#"{"event_type":"avatar_video.success","event_data":{}}"#,
            false,
        );
        check(
            r#"{"event_type":"avatar_video.success","event_data":null}"#,
            false,
        );
        check("[]", false);
    }
}
