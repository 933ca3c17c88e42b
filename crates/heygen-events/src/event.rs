//! [`Event`]: a name and its data, with the received text.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

use crate::answers::Answers;
use crate::document::{self, Document};
use crate::error::ParseError;
use crate::event_type::EventType;
use crate::id::EventId;
use crate::node::{Node, one_line};
use crate::outcome::{MediaKind, Outcome};
use crate::parts::EventParts;
use crate::payload::Payload;
use crate::reader;

/// A webhook event: the received text, and its content as types.
///
/// `serde_json` serializes it as the received text, on one line. To change an event, call
/// [`into_parts`](Self::into_parts) and build a new one from the parts.
///
/// # Wire shape
///
/// `{"event_type": string, "event_data": object}`. In the delivery log, and perhaps in deliveries,
/// there are also `event_id` and `created_at`. If `event_type` is missing, a string under `event`
/// is the name. If a key is repeated, its last value counts.
///
/// # Source
///
/// HeyGen documentation, “Webhook Events”: documented. The key `event`: HeyGen's own n8n trigger
/// reads it; no delivery with it is known.
#[derive(Clone)]
pub struct Event {
    event_id: Option<EventId>,
    created_at: Option<String>,
    payload: Payload,
    text: Box<str>,
    answers: OnceLock<Box<Answers>>,
}

impl Event {
    /// An event with this data and no other fields.
    #[must_use]
    pub fn new(payload: Payload) -> Self {
        EventParts::new(payload).into()
    }

    /// Parses a body.
    ///
    /// # Errors
    ///
    /// [`Syntax`](crate::ParseErrorKind::Syntax) when the body is not JSON;
    /// [`Envelope`](crate::ParseErrorKind::Envelope) when it is not an object, or has no name that
    /// is a string. Data that does not match its type is not an error, but [`Payload::Malformed`].
    ///
    /// # Examples
    ///
    /// ```
    /// use heygen_events::Event;
    ///
    /// let event = Event::from_slice(br#"{"event_type":"avatar_video.fail","event_data":["?"]}"#)?;
    /// assert_eq!(event.event_name(), "avatar_video.fail");
    /// assert!(!event.is_well_formed());
    /// # Ok::<(), heygen_events::ParseError>(())
    /// ```
    pub fn from_slice(body: &[u8]) -> Result<Self, ParseError> {
        Self::of(&Document::from_slice(body)?)
    }

    /// Makes an event from a body that is already parsed into a [`Document`], and computes all
    /// answers at once, so that the text is not parsed again.
    ///
    /// # Errors
    ///
    /// As [`from_slice`](Self::from_slice); never [`Syntax`](crate::ParseErrorKind::Syntax).
    pub fn read(document: &Document<'_>) -> Result<Self, ParseError> {
        let event = Self::of(document)?;
        event
            .answers
            .get_or_init(|| Box::new(Answers::of(document, &event.payload)));
        Ok(event)
    }

    /// Makes an event from parsed JSON, such as an entry of the delivery log.
    ///
    /// # Errors
    ///
    /// As [`from_slice`](Self::from_slice); never [`Syntax`](crate::ParseErrorKind::Syntax).
    pub fn from_value(value: &Value) -> Result<Self, ParseError> {
        Self::from_slice(value.to_string().as_bytes())
    }

    fn of(document: &Document<'_>) -> Result<Self, ParseError> {
        let name = document.event_name()?;
        let root = document.root();
        Ok(Self {
            event_id: plain(root.get(document::EVENT_ID)).map(EventId::from),
            created_at: plain(root.get(document::CREATED_AT)),
            payload: Payload::read(EventType::from(name), document),
            text: document.text().into(),
            answers: OnceLock::new(),
        })
    }

    /// The text as received.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.text
    }

    /// HeyGen's id of the event; a number is given as its digits. Entries of the delivery log have
    /// it; whether deliveries do is not documented.
    #[must_use]
    pub fn event_id(&self) -> Option<&EventId> {
        self.event_id.as_ref()
    }

    /// When HeyGen created the event, as sent: ISO 8601 with `Z` in the delivery log. A number is
    /// given as its digits.
    #[must_use]
    pub fn created_at(&self) -> Option<&str> {
        self.created_at.as_deref()
    }

    /// The data, typed by the event's name.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The data, owned.
    #[must_use]
    pub fn into_payload(self) -> Payload {
        self.payload
    }

    /// Splits the event into parts. An event built from parts is serialized from its typed data.
    ///
    /// # Examples
    ///
    /// ```
    /// use heygen_events::{Event, Payload};
    ///
    /// let event: Event = r#"{"event_type":"avatar_video.fail","event_data":{"video_id":7}}"#.parse()?;
    /// let mut parts = event.into_parts();
    /// if let Payload::AvatarVideoFail(video) = &mut parts.payload {
    ///     video.msg = Some("no credit".into());
    /// }
    /// let data = r#"{"video_id":"7","msg":"no credit"}"#;
    /// assert!(Event::from(parts).json().contains(data));
    /// # Ok::<(), heygen_events::ParseError>(())
    /// ```
    #[must_use]
    pub fn into_parts(self) -> EventParts {
        let extra = self.extra().into_iter().collect();
        EventParts {
            event_id: self.event_id,
            created_at: self.created_at,
            payload: self.payload,
            extra,
        }
    }

    /// Deserializes the data into a type of your own, from the received text, for known, unknown
    /// and malformed events alike. Missing data deserializes as `null`.
    ///
    /// It continues to work when a later version knows the name or another field.
    ///
    /// # Errors
    ///
    /// [`Payload`](crate::ParseErrorKind::Payload) when the data does not match the type. The error
    /// quotes nothing of the data.
    ///
    /// # Examples
    ///
    /// ```
    /// use heygen_events::Event;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Podcast {
    ///     minutes: u32,
    /// }
    ///
    /// let body = r#"{"event_type":"podcast.success","event_data":{"minutes":42}}"#;
    /// let podcast: Podcast = body.parse::<Event>()?.data()?;
    /// assert_eq!(podcast.minutes, 42);
    /// # Ok::<(), heygen_events::ParseError>(())
    /// ```
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, ParseError> {
        let document = Document::from_slice(self.text.as_bytes())?;
        let raw = document.raw(document::EVENT_DATA);
        serde_json::from_str(raw.map_or("null", RawValue::get)).or_else(|_| {
            // Again from the tree, where the last of a repeated key counts and errors do not quote
            // the data.
            let node = document
                .root()
                .get(document::EVENT_DATA)
                .unwrap_or(&Node::Null);
            reader::read(node).map_err(|mismatch| ParseError::payload(self.event_type(), mismatch))
        })
    }

    /// The name, as a type.
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

    /// Whether the data matches the type of the name. The data of an unknown name always does,
    /// unless no [`Value`] can hold it.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        self.payload_error().is_none()
    }

    /// Why the data does not match its type, if it does not.
    #[must_use]
    pub fn payload_error(&self) -> Option<&ParseError> {
        match &self.payload {
            Payload::Malformed(malformed) => Some(malformed.reason()),
            _ => None,
        }
    }

    /// How the job ended, according to the name.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        Outcome::of_name(self.event_name())
    }

    /// What the event is about: the id of the video, translation, render, job, …
    ///
    /// The first that is present: the usual id of this family of events, `video_id`,
    /// `video_translate_id`, `render_id`, `<subject>_id` (`batch_id` for `batch.finished`),
    /// `session_id`, `project_id`, `id`, and the ids of avatar and proofread jobs: `avatar_id`,
    /// `generation_id`, `group_id`, `proofread_id`.
    ///
    /// # Source
    ///
    /// HeyGen's API reference documents the last four for the jobs; that events carry them is
    /// assumed.
    #[must_use]
    pub fn subject_id(&self) -> Option<&str> {
        self.answers().subject_id.as_deref()
    }

    /// The `callback_id` given when the job was started, from the data or, as observed for the
    /// Video Agent, from the top level.
    #[must_use]
    pub fn callback_id(&self) -> Option<&str> {
        self.answers().callback_id.as_deref()
    }

    /// The `callback_url` given when the job was started, from the same places as
    /// [`callback_id`](Self::callback_id).
    #[must_use]
    pub fn callback_url(&self) -> Option<&str> {
        self.answers().callback_url.as_deref()
    }

    /// The link to the result: the preview for a gif event, the captions for a caption event,
    /// otherwise the video. `None` for a failure.
    ///
    /// For a clipping job it is the first completed clip that has a link; the others are in
    /// [`AiClipping::clips`](crate::payload::AiClipping::clips). Links are presigned: they expire,
    /// and anyone who has one can use it.
    #[must_use]
    pub fn media_url(&self) -> Option<&str> {
        self.answers().media_url.as_deref()
    }

    /// What [`media_url`](Self::media_url) links to, if known.
    ///
    /// Known from the name for events whose success brings media, even without a link. For an
    /// unknown event it is derived from the words of the name, then from the link: a `video_url`,
    /// or the extension of a video file.
    #[must_use]
    pub fn media_kind(&self) -> Option<MediaKind> {
        self.answers().media_kind
    }

    /// Why the job failed, for a person to read; `None` for a success.
    ///
    /// From `msg`, `message`, `failure_message`, `error_message`, `error` (a string, or an object
    /// with a `message`), or `error_msg`, which is documented for training jobs and assumed for
    /// their events.
    #[must_use]
    pub fn failure_message(&self) -> Option<&str> {
        self.answers().failure_message.as_deref()
    }

    /// Whether a success that should bring media has no link. This happens; fetch the job from
    /// HeyGen's API then.
    #[must_use]
    pub fn is_missing_media(&self) -> bool {
        let event_type = self.event_type();
        let brings_media = event_type.is_known() && event_type.media_kind().is_some();
        brings_media && self.outcome() == Outcome::Success && self.media_url().is_none()
    }

    /// Whether a failure has no reason.
    #[must_use]
    pub fn is_missing_reason(&self) -> bool {
        self.outcome() == Outcome::Failure && self.failure_message().is_none()
    }

    /// The fields that this version does not know, by name: those of the data and of the top level
    /// by their own name, those of a clip as `clips[].name`. A value that no [`Value`] can hold is
    /// given as its text.
    ///
    /// Empty for untyped, unknown and malformed data, which has no known fields.
    #[must_use]
    pub fn unknown_fields(&self) -> &BTreeMap<String, Value> {
        &self.answers().unknown_fields
    }

    /// Computed once, by parsing the text.
    fn answers(&self) -> &Answers {
        self.answers.get_or_init(|| {
            let document = Document::from_slice(self.text.as_bytes());
            let answers = document.map(|document| Answers::of(&document, &self.payload));
            answers.unwrap_or_default().into()
        })
    }

    fn extra(&self) -> BTreeMap<String, Value> {
        let Ok(document) = Document::from_slice(self.text.as_bytes()) else {
            return BTreeMap::new();
        };
        let root = document.root();
        let name_key = match root.get(document::EVENT_TYPE) {
            Some(Node::Text(_)) => document::EVENT_TYPE,
            _ => document::EVENT,
        };
        let is_read = |key: &str| match key {
            document::EVENT_DATA => true,
            document::EVENT_ID => self.event_id.is_some(),
            document::CREATED_AT => self.created_at.is_some(),
            _ => key == name_key,
        };
        let extra = root.fields().iter().filter(|(key, _)| !is_read(key));
        extra
            .map(|(key, node)| (key.to_string(), node.to_value()))
            .collect()
    }
}

/// A string that is not empty, or the digits of a number that a `Value` can hold.
fn plain(node: Option<&Node<'_>>) -> Option<String> {
    match node? {
        Node::Raw(raw) if raw.get().parse::<Number>().is_err() => None,
        node => node.text().filter(|text| !text.is_empty()).map(Into::into),
    }
}

impl From<EventParts> for Event {
    #[expect(
        clippy::expect_used,
        reason = "an object with string keys that has a name"
    )]
    fn from(parts: EventParts) -> Self {
        let text = serde_json::to_vec(&parts).expect("parts are JSON");
        Self::from_slice(&text).expect("parts are an event")
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

/// Equal when the content is. For typed data the spelling (`42` or `"42"`, `null` or missing) does
/// not matter.
impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
            || (self.event_id == other.event_id
                && self.created_at == other.created_at
                && self.payload == other.payload
                && self.unknown_fields() == other.unknown_fields()
                && self.extra() == other.extra())
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("event_id", &self.event_id)
            .field("created_at", &self.created_at)
            .field("payload", &self.payload)
            .finish_non_exhaustive()
    }
}

/// `serde_json` writes the received text. Other serializers, such as `serde_json::to_value` and
/// serde's flattened or tagged containers, get a [`Value`] of equal JSON, or an error if no
/// [`Value`] can hold it.
impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Every other serializer writes a `RawValue` as a struct of one field. A serializer is
        // known only by the name of its type; should that change, equal JSON is written.
        let takes_text =
            std::any::type_name::<S>().starts_with("&mut serde_json::ser::Serializer<");
        if takes_text {
            // On one line, for programs that write one event a line.
            let raw = RawValue::from_string(one_line(&self.text)).map_err(S::Error::custom)?;
            return raw.serialize(serializer);
        }
        let value: Value = serde_json::from_str(&self.text).map_err(S::Error::custom)?;
        value.serialize(serializer)
    }
}

/// From the text if `serde_json` has it, otherwise, as in serde's flattened, tagged and untagged
/// containers, from a [`Value`].
impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(RAW_VALUE, RawOrValue)
    }
}

/// Visits what a deserializer returns for a raw value: one entry that holds the text, or the value
/// itself.
struct RawOrValue;

impl<'de> Visitor<'de> for RawOrValue {
    type Value = Event;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Event, D::Error> {
        let value = Value::deserialize(inner)?;
        Event::from_value(&value).map_err(D::Error::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Event, A::Error> {
        let map = Map::deserialize(MapAccessDeserializer::new(map))?;
        let event = match map.get(RAW_VALUE) {
            Some(Value::String(text)) if map.len() == 1 => text.parse(),
            _ => Event::from_value(&Value::Object(map)),
        };
        event.map_err(A::Error::custom)
    }
}

/// The name by which `serde_json` recognises and marks a raw value.
const RAW_VALUE: &str = "$serde_json::private::RawValue";
