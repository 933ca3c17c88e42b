//! [`EventBuilder`]: builds a body from the sample of an event.

use std::mem;

use bytes::Bytes;
use heygen_events::EventType;
use serde_json::Value;

use crate::{
    fixtures::{self, Fixture},
    json::Json,
    random,
};

/// Builds the body of an event from its sample.
///
/// Every builder has new ids, so two builders make two events. New ids replace the top-level
/// `event_id` and the ids of the job in `event_data`: `id` and fields that end in `_id`, except
/// `callback_id` and `folder_id`. They are 32 hexadecimal digits, and are replaced inside links
/// too. If none of these fields has a value, `callback_id` gets a new one.
/// [`keep_ids`](Self::keep_ids) keeps the ids of the sample. One builder always builds the same
/// body.
///
/// Fields keep the order in which HeyGen documents them. New fields are appended.
///
/// # Examples
///
/// ```
/// use heygen_events::{Event, EventType};
/// use heygen_testkit::EventBuilder;
///
/// let body = EventBuilder::new(EventType::AvatarVideoFail)
///     .set("msg", "the voice is gone")
///     .null("callback_id")
///     .body();
///
/// let event = Event::from_slice(&body)?;
/// assert_eq!(event.failure_message(), Some("the voice is gone"));
/// assert_eq!(event.callback_id(), None);
/// # Ok::<(), heygen_events::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct EventBuilder {
    sample: Json,
    ids: Vec<(Value, Value)>,
    edits: Vec<Edit>,
}

#[derive(Clone, Debug)]
enum Edit {
    Set(String, Json),
    Without(String),
}

impl EventBuilder {
    /// Starts from [`fixtures::sample`], or from empty data if the event has no sample.
    #[must_use]
    pub fn new(event_type: impl Into<EventType>) -> Self {
        let event_type = event_type.into();
        match fixtures::sample(event_type.as_str()) {
            Some(fixture) => Self::from_fixture(fixture),
            None => {
                let mut empty = Json::object();
                *empty.field_mut(EVENT_TYPE) = Json::Scalar(event_type.as_str().into());
                *empty.field_mut(EVENT_DATA) = Json::object();
                Self::from_json(empty)
            }
        }
    }

    /// Starts from any fixture, for example an odd or malformed one.
    #[must_use]
    pub fn from_fixture(fixture: &Fixture) -> Self {
        Self::from_json(fixture.json())
    }

    /// Starts from a body of your own. Its fields keep their order; the last of repeated ones counts.
    ///
    /// # Errors
    ///
    /// If the body is not JSON.
    pub fn from_body(body: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body).map(Self::from_json)
    }

    fn from_json(sample: Json) -> Self {
        Self {
            ids: fresh_ids(&sample),
            sample,
            edits: Vec::new(),
        }
    }

    /// Sets a field of `event_data`. Dots name nested fields: `clips.0.status`,
    /// `contact_info.email`.
    #[must_use]
    pub fn set(self, field: &str, value: impl Into<Value>) -> Self {
        self.set_json(field, value.into().into())
    }

    pub(crate) fn set_json(self, field: &str, value: Json) -> Self {
        self.edit(Edit::Set(format!("{EVENT_DATA}.{field}"), value))
    }

    /// Sets a field of `event_data` to `null`.
    #[must_use]
    pub fn null(self, field: &str) -> Self {
        self.set(field, Value::Null)
    }

    /// Removes a field of `event_data`.
    #[must_use]
    pub fn without(self, field: &str) -> Self {
        self.edit(Edit::Without(format!("{EVENT_DATA}.{field}")))
    }

    /// Replaces `event_data`, for example with data that does not match its type.
    #[must_use]
    pub fn data(self, value: impl Into<Value>) -> Self {
        self.top(EVENT_DATA, value)
    }

    /// Sets a top-level field, such as `event_id`.
    #[must_use]
    pub fn top(self, field: &str, value: impl Into<Value>) -> Self {
        self.edit(Edit::Set(field.to_owned(), value.into().into()))
    }

    /// Removes a top-level field, such as `event_data`.
    #[must_use]
    pub fn without_top(self, field: &str) -> Self {
        self.edit(Edit::Without(field.to_owned()))
    }

    /// Keeps the ids of the sample, so every body is the same event.
    #[must_use]
    pub fn keep_ids(mut self) -> Self {
        self.ids.clear();
        self
    }

    /// Generates new ids: the next event with the same edits.
    #[must_use]
    pub fn renew_ids(mut self) -> Self {
        self.ids = fresh_ids(&self.sample);
        self
    }

    /// The body as compact JSON.
    #[must_use]
    pub fn body(&self) -> Bytes {
        self.build().compact()
    }

    /// The body as Python's `json.dumps` writes it: the same event as other bytes, with another
    /// signature.
    #[must_use]
    pub fn spaced_body(&self) -> Bytes {
        self.build().spaced()
    }

    /// Changes the sample, before its ids are replaced and fields are set.
    #[cfg(feature = "sandbox")]
    pub(crate) fn edit_sample(mut self, edit: impl FnOnce(&mut Json)) -> Self {
        edit(&mut self.sample);
        self
    }

    /// Gives the id in a field of `event_data` this value, also where it stands in links.
    #[cfg(feature = "sandbox")]
    pub(crate) fn with_id(mut self, field: &str, id: &str) -> Self {
        let data = self.sample.field(EVENT_DATA);
        if let Some(Json::Scalar(old)) = data.and_then(|data| data.field(field))
            && let Some((_, new)) = self.ids.iter_mut().find(|(known, _)| known == old)
        {
            *new = id.into();
        }
        self
    }

    fn edit(mut self, edit: Edit) -> Self {
        self.edits.push(edit);
        self
    }

    pub(crate) fn build(&self) -> Json {
        let mut json = self.sample.clone();
        replace_ids(&mut json, &self.ids);
        for edit in &self.edits {
            match edit {
                Edit::Set(path, value) => *json.at_mut(path) = value.clone(),
                Edit::Without(path) => json.remove(path),
            }
        }
        json
    }
}

/// The ids in a body, each with its new value.
fn fresh_ids(sample: &Json) -> Vec<(Value, Value)> {
    let mut ids = Vec::new();
    if let Some(data) = sample.field(EVENT_DATA) {
        collect_ids(data, is_job_id, &mut ids);
        if ids.is_empty() {
            collect_ids(data, |field| field == CALLBACK_ID, &mut ids);
        }
    }
    if let Some(event_id) = sample.field(EVENT_ID) {
        collect_ids(event_id, |_| true, &mut ids);
    }
    ids
}

fn is_job_id(field: &str) -> bool {
    is_id(field) && !matches!(field, CALLBACK_ID | "folder_id")
}

fn is_id(field: &str) -> bool {
    field == "id" || field.ends_with("_id")
}

fn collect_ids(json: &Json, is_wanted: impl Fn(&str) -> bool, ids: &mut Vec<(Value, Value)>) {
    json.clone().edit_scalars(&mut |name, old| {
        if is_wanted(name) && ids.iter().all(|(known, _)| known != old) {
            ids.extend(new_id(old).map(|new| (old.clone(), new)));
        }
    });
}

/// A new id of the same type, or `None` for a value that is no id.
fn new_id(old: &Value) -> Option<Value> {
    match old {
        Value::String(old) if !old.is_empty() => {
            let prefix = if old.starts_with(EVENT_ID_PREFIX) {
                EVENT_ID_PREFIX
            } else {
                ""
            };
            Some(format!("{prefix}{}", random::id()).into())
        }
        // 53 bits: every language reads them exactly.
        Value::Number(_) => Some((random::number() >> 11).into()),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}

/// Replaces old ids, also inside longer strings if the old id is long enough to be unambiguous.
fn replace_ids(json: &mut Json, ids: &[(Value, Value)]) {
    json.edit_scalars(&mut |name, value| match value {
        Value::String(text) => {
            for (old, new) in ids {
                let (Some(old), Some(new)) = (old.as_str(), new.as_str()) else {
                    continue;
                };
                if text == old || old.len() >= DISTINCT_LENGTH {
                    *text = mem::take(text).replace(old, new);
                }
            }
        }
        value if is_id(name) => {
            if let Some((_, new)) = ids.iter().find(|(old, _)| old == value) {
                *value = new.clone();
            }
        }
        _ => {}
    });
}

const EVENT_TYPE: &str = "event_type";
const EVENT_DATA: &str = "event_data";
const EVENT_ID: &str = "event_id";
const CALLBACK_ID: &str = "callback_id";

/// The prefix of event ids in HeyGen's documentation.
const EVENT_ID_PREFIX: &str = "evt_";

/// Shorter ids may occur in a string by chance.
const DISTINCT_LENGTH: usize = 16;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(body: &Bytes) -> Value {
        serde_json::from_slice(body).unwrap()
    }

    #[track_caller]
    fn check(builder: &EventBuilder, expected: &Value) {
        assert_eq!(&value(&builder.body()), expected);
        assert_eq!(&value(&builder.spaced_body()), expected);
    }

    #[test]
    fn edits_apply_in_order() {
        let builder = || {
            EventBuilder::new("video_translate.fail")
                .keep_ids()
                .data(json!({"a": 1}))
        };
        let check_data = |builder: &EventBuilder, data: Value| {
            check(
                builder,
                &json!({"event_type": "video_translate.fail", "event_data": data}),
            );
        };
        check_data(&builder(), json!({"a": 1}));
        check_data(
            &builder().set("a", 2).set("b.c", "d"),
            json!({"a": 2, "b": {"c": "d"}}),
        );
        check_data(&builder().set("a", 2).without("a"), json!({}));
        check_data(&builder().without("a").set("a", 2), json!({"a": 2}));
        check_data(&builder().null("a"), json!({"a": null}));
        check_data(&builder().data(json!([])), json!([]));
        check(
            &builder().without_top("event_data"),
            &json!({"event_type": "video_translate.fail"}),
        );
        check(
            &builder().top("event_id", "e1"),
            &json!({"event_type": "video_translate.fail", "event_data": {"a": 1}, "event_id": "e1"}),
        );
    }

    #[test]
    fn unknown_event_starts_with_empty_data() {
        check(
            &EventBuilder::new("unknown.event").set("x_id", 1),
            &json!({"event_type": "unknown.event", "event_data": {"x_id": 1}}),
        );
    }

    #[test]
    fn fields_keep_their_order() {
        let body = EventBuilder::new("avatar_video.fail")
            .set("video_id", "v1")
            .set("msg", "no")
            .body();
        let expected = concat!(
            r#"{"event_type":"avatar_video.fail","event_data":{"#,
            r#""video_id":"v1","msg":"no","callback_id":"order-1042"}}"#
        );
        assert_eq!(body, expected);
    }

    #[test]
    fn body_of_ones_own_keeps_its_order() {
        let body =
            r#"{"event_type":"a.b","z":1,"event_data":{"video_id":"v1","a":{"y":2,"x":1.5}}}"#;
        let builder = EventBuilder::from_body(body.as_bytes()).unwrap();
        assert_ne!(builder.body(), body);
        let kept = builder.keep_ids().set("b", 3).body();
        assert_eq!(kept, body.replace("1.5}", "1.5},\"b\":3"));
        assert!(EventBuilder::from_body(b"no").is_err());
    }

    #[test]
    fn every_builder_has_new_ids() {
        for fixture in fixtures::samples() {
            let builder = EventBuilder::new(fixture.event_type);
            assert_eq!(
                builder.body(),
                builder.clone().body(),
                "{}",
                fixture.event_type
            );
            let another = EventBuilder::new(fixture.event_type);
            assert_ne!(builder.body(), another.body(), "{}", fixture.event_type);
            assert_ne!(
                builder.body(),
                builder.clone().renew_ids().body(),
                "{}",
                fixture.event_type
            );
            let with_kept_ids = value(&builder.keep_ids().body());
            assert_eq!(
                with_kept_ids,
                serde_json::from_str::<Value>(fixture.body).unwrap()
            );
        }
    }

    #[test]
    fn ids_are_replaced_inside_links() {
        let old =
            serde_json::from_str::<Value>(fixtures::AI_CLIPPING_SUCCESS_RESOURCE.body).unwrap();
        let new = value(&EventBuilder::new("ai_clipping.success").body());
        for pointer in [
            "/event_data/id",
            "/event_data/clips/0/id",
            "/event_data/clips/1/id",
        ] {
            let (old, new) = (old.pointer(pointer).unwrap(), new.pointer(pointer).unwrap());
            assert_ne!(old, new);
            let new = new.as_str().unwrap();
            assert_eq!(new.len(), 32);
            assert!(
                new.bytes()
                    .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
            );
        }
        let clip = &new["event_data"]["clips"][0];
        assert!(
            clip["video_url"]
                .as_str()
                .unwrap()
                .contains(clip["id"].as_str().unwrap())
        );
        assert_eq!(
            new["event_data"]["callback_id"],
            old["event_data"]["callback_id"]
        );
    }

    #[test]
    fn numbers_stay_numbers_and_event_ids_keep_their_prefix() {
        let old = &fixtures::AVATAR_VIDEO_SUCCESS_ODD_NUMBER_IDS;
        let new = value(&EventBuilder::from_fixture(old).body());
        let old = serde_json::from_str::<Value>(old.body).unwrap();
        assert!(new["event_data"]["video_id"].is_u64());
        assert_ne!(new["event_data"]["video_id"], old["event_data"]["video_id"]);
        assert_eq!(new["event_data"]["folder_id"], 17);

        let old = &fixtures::AVATAR_VIDEO_SUCCESS_ODD_LOG_RECORD;
        let new = value(&EventBuilder::from_fixture(old).body());
        let old = serde_json::from_str::<Value>(old.body).unwrap();
        assert!(new["event_id"].as_str().unwrap().starts_with("evt_"));
        assert_ne!(new["event_id"], old["event_id"]);
    }
}
