//! Ids as opaque strings that cannot be mixed up, and [`Text`].
//!
//! HeyGen's real ids are 32 lower-case hex digits, its examples show others (`ep_abc123`), and a
//! few fields hold numbers, so nothing is assumed about the text. The text of an id that was a JSON
//! number is its digits.

use std::borrow::Borrow;
use std::convert::Infallible;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::lenient;

macro_rules! ids {
    ($($(#[doc = $doc:literal])+ $name:ident is $reader:tt, $types:tt;)+) => {$(
        $(#[doc = $doc])+
        #[derive(
            Clone, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
        )]
        pub struct $name(#[serde(deserialize_with = $reader)] Box<str>);

        impl $name {
            /// An id or text with this content.
            #[must_use]
            pub fn new(text: impl Into<Box<str>>) -> Self {
                Self(text.into())
            }

            /// The text, exactly as received.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
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

        impl From<u64> for $name {
            fn from(number: u64) -> Self {
                Self::new(number.to_string())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }

        impl FromStr for $name {
            type Err = Infallible;

            fn from_str(text: &str) -> Result<Self, Infallible> {
                Ok(Self::new(text))
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                &*self.0 == *other
            }
        }

        impl PartialEq<String> for $name {
            fn eq(&self, other: &String) -> bool {
                &*self.0 == other.as_str()
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": $types })
            }
        }
    )+};
}

ids! {
    /// Any other text of a payload: a message, a link, a state.
    Text is "lenient::text", "string";
    /// A video: `video_id`.
    VideoId is "lenient::id", ["string", "integer"];
    /// A translation of a video: `video_translate_id`.
    VideoTranslateId is "lenient::id", ["string", "integer"];
    /// The `callback_id` given when a job was started, which HeyGen echoes.
    CallbackId is "lenient::id", ["string", "integer"];
    /// A delivered event, where the body carries its id: `event_id`.
    EventId is "lenient::id", ["string", "integer"];
    /// A personalized video project: `project_id`.
    ProjectId is "lenient::id", ["string", "integer"];
    /// The folder a video was put into: `folder_id`. HeyGen also sends `null` or an empty string.
    FolderId is "lenient::id", ["string", "integer"];
    /// A HyperFrames render: `render_id`.
    RenderId is "lenient::id", ["string", "integer"];
    /// A Video Agent session: `session_id`.
    SessionId is "lenient::id", ["string", "integer"];
    /// An AI clipping job: its `id`.
    ClippingJobId is "lenient::id", ["string", "integer"];
    /// One clip of an AI clipping job: its `id`.
    ClipId is "lenient::id", ["string", "integer"];
    /// A registered webhook endpoint: `endpoint_id`.
    EndpointId is "lenient::id", ["string", "integer"];
}
