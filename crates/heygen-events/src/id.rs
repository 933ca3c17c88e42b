//! Ids as opaque strings that cannot be mixed up.
//!
//! HeyGen's real ids are 32 lower-case hex digits, its examples show others (`ep_abc123`), and a few fields hold
//! numbers; so nothing is assumed about the text. An id read from a JSON number has that number's digits as its text and is
//! written back as a number. Two ids are equal when their texts are.

use std::borrow::{Borrow, Cow};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Number;
use serde_json::value::RawValue;

use crate::payload::field::{FieldType, required};

macro_rules! ids {
    ($($(#[doc = $doc:literal])+ $name:ident;)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone)]
        pub struct $name {
            text: Box<str>,
            /// Whether it came as a JSON number, which is then how it leaves.
            number: bool,
        }

        impl $name {
            /// An id of this text.
            #[must_use]
            pub fn new(text: impl Into<Box<str>>) -> Self {
                Self { text: text.into(), number: false }
            }

            /// The text, exactly as received.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.text
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::new(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.text
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.text
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.text)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.text).finish()
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.text == other.text
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.text == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                &*self.text == *other
            }
        }

        impl Eq for $name {}

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.text.cmp(&other.text)
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.text.hash(state);
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                write_text(&self.text, self.number, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                required(deserializer)
            }
        }

        impl FieldType for $name {
            const WANTS: &'static str = "a string or an integer of 64 bits";

            fn from_text(text: &str) -> Option<Self> {
                Some(Self::new(text))
            }

            // Only integers: a fraction, or more digits than fit, would not come back as the text that was sent.
            fn from_number(number: &Number) -> Option<Self> {
                (!number.is_f64()).then(|| Self::from_digits(&number.to_string()))
            }

            fn write<S: Serializer>(&self, _: bool, serializer: S) -> Result<S::Ok, S::Error> {
                self.serialize(serializer)
            }

            fn text(&self) -> Option<Cow<'_, str>> {
                Some(Cow::Borrowed(&self.text))
            }

            #[cfg(feature = "schema")]
            fn schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": ["string", "integer"] })
            }
        }

        impl $name {
            /// The id whose JSON number is written `digits`.
            pub(crate) fn from_digits(digits: &str) -> Self {
                Self { text: digits.into(), number: true }
            }
        }
    )+};
}

ids! {
    /// A video: `video_id`.
    VideoId;
    /// A translation of a video: `video_translate_id`.
    VideoTranslateId;
    /// What the caller gave when starting a job, echoed by HeyGen: `callback_id`.
    CallbackId;
    /// A delivered event, where the body carries its id: `event_id`.
    EventId;
    /// A personalized video project: `project_id`.
    ProjectId;
    /// The folder a video was put into: `folder_id`. HeyGen also sends `null` or an empty string.
    FolderId;
    /// A HyperFrames render: `render_id`.
    RenderId;
    /// A Video Agent session: `session_id`.
    SessionId;
    /// An AI clipping job: its `id`.
    ClippingJobId;
    /// One clip of an AI clipping job: its `id`.
    ClipId;
    /// A registered webhook endpoint: `endpoint_id`.
    EndpointId;
}

/// Writes `text` as a JSON number if it came as one and still reads as one, else as a string.
pub(crate) fn write_text<S: Serializer>(
    text: &str,
    number: bool,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if number && let Ok(number) = text.parse::<Number>() {
        return match RawValue::from_string(text.to_owned()) {
            // An id of more digits than a number holds would come back as another id.
            Ok(digits) if number.to_string() != text => digits.serialize(serializer),
            Ok(_) | Err(_) => number.serialize(serializer),
        };
    }
    serializer.serialize_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, text: Option<&str>) {
        let read = serde_json::from_str::<VideoId>(json).ok();
        assert_eq!(read.as_ref().map(VideoId::as_str), text, "{json}");
        if let Some(id) = read {
            assert_eq!(serde_json::to_string(&id).unwrap(), json);
        }
    }

    #[test]
    fn strings_and_integers_read_and_leave_as_they_came() {
        check(
            r#""2541b1cb8c604ec09ae49f47ab36df90""#,
            Some("2541b1cb8c604ec09ae49f47ab36df90"),
        );
        check(r#""""#, Some(""));
        check(r#""42""#, Some("42"));
        check("42", Some("42"));
        check("-42", Some("-42"));
        check("18446744073709551615", Some("18446744073709551615"));
    }

    #[test]
    fn anything_else_is_not_an_id() {
        check("null", None);
        check("1.5", None);
        check("18446744073709551616", None);
        check("true", None);
        check("[]", None);
        check("{}", None);
    }

    #[test]
    fn equality_is_by_text() {
        let number: VideoId = serde_json::from_str("42").unwrap();
        assert_eq!(number, VideoId::from("42"));
        assert_eq!(number, "42");
        assert_ne!(number, VideoId::from("042"));
        assert_eq!(number.to_string(), "42");
    }
}
