//! [`Payload`]: the data of each event, typed by its name. One file per family of events.
//!
//! The structs are plain data: public fields with HeyGen's names, even if two events disagree
//! (`msg`, `message`). Only the id is required; everything else may be missing or `null`. A text
//! that was sent as a number is given as its digits.
//! [`Event::unknown_fields`](crate::Event::unknown_fields) has the fields that a struct lacks.
//! Constructors take the id, setters the rest:
//!
//! ```
//! use heygen_events::{Event, Payload, payload::AvatarVideoFail};
//!
//! let video = AvatarVideoFail::new("2541b1cb8c604ec09ae49f47ab36df90").with_msg("the script is empty");
//! let event = Event::new(Payload::AvatarVideoFail(video));
//! assert_eq!(
//!     serde_json::to_string(&event)?,
//!     r#"{"event_type":"avatar_video.fail","event_data":{"video_id":"2541b1cb8c604ec09ae49f47ab36df90","msg":"the script is empty"}}"#,
//! );
//! # Ok::<(), serde_json::Error>(())
//! ```

mod ai_clipping;
mod avatar_video;
mod avatar_video_caption;
mod hyperframes_video;
mod personalized_video;
mod untyped;
mod video_agent;
mod video_translate;

pub use ai_clipping::{AiClipping, Clip};
pub use avatar_video::{AvatarVideoFail, AvatarVideoSuccess};
pub use avatar_video_caption::AvatarVideoCaptionSuccess;
pub use hyperframes_video::HyperframesVideo;
pub use personalized_video::PersonalizedVideo;
pub use untyped::{Malformed, UnknownEvent, Untyped};
pub use video_agent::{VideoAgentFail, VideoAgentSuccess};
pub use video_translate::{VideoTranslateFail, VideoTranslateSuccess};

use serde::de::{DeserializeOwned, Error as _, Visitor};
use serde::{Deserializer, Serialize, Serializer, forward_to_deserialize_any};
use serde_json::Value;

use crate::document::{Document, EVENT_DATA};
use crate::error::ParseError;
use crate::event_type::{EventType, event_types};
use crate::reader::{Mismatch, read};

/// Writes the constructor from the required field, and a setter for each optional field named: it
/// takes the payload, sets the field and returns it.
macro_rules! setters {
    ($($payload:ident $(new($id:ident: $id_type:ty))? {
        $($with:ident sets $field:ident: $type:ty;)+
    })+) => {$(
        impl $payload {
            $(
                /// With the required field only.
                #[must_use]
                pub fn new($id: impl Into<$id_type>) -> Self {
                    Self { $id: $id.into(), ..Self::default() }
                }
            )?

            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), ").")]
                #[must_use]
                pub fn $with(mut self, $field: impl Into<$type>) -> Self {
                    self.$field = Some($field.into());
                    self
                }
            )+
        }
    )+};
}

pub(crate) use setters;

macro_rules! payloads {
    ($(#[doc = $doc:literal] $variant:ident = $name:literal, $payload:ident, brings $media:ident;)+) => {
        /// The data of an event: one variant per name, one for unknown names, one for malformed
        /// data.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Payload {
            $(
                #[doc = $doc]
                $variant($payload),
            )+
            /// The name is not known to this version; the data is as received.
            Unknown(UnknownEvent),
            /// The data does not match the type of its name; its text is as received.
            Malformed(Malformed),
        }

        impl Payload {
            /// The name that the data belongs to.
            #[must_use]
            pub fn event_type(&self) -> EventType {
                match self {
                    $(Self::$variant(_) => EventType::$variant,)+
                    Self::Unknown(unknown) => EventType::Unknown(unknown.name.clone()),
                    Self::Malformed(malformed) => malformed.event_type().clone(),
                }
            }

            /// The name as received.
            pub(crate) fn event_name(&self) -> &str {
                match self {
                    $(Self::$variant(_) => $name,)+
                    Self::Unknown(unknown) => unknown.name.as_str(),
                    Self::Malformed(malformed) => malformed.event_type().as_str(),
                }
            }

            /// Parses the data of a body into the type of its name.
            pub(crate) fn read(event_type: EventType, document: &Document<'_>) -> Self {
                let read = match &event_type {
                    $(EventType::$variant => typed(document).map(Self::$variant),)+
                    EventType::Unknown(name) => document.member(EVENT_DATA).and_then(|data| {
                        let data = data.map(read).transpose()?;
                        Ok(Self::Unknown(UnknownEvent::new(name.clone(), data)))
                    }),
                };
                read.unwrap_or_else(|mismatch| {
                    let reason = ParseError::payload(event_type.clone(), mismatch);
                    let data = document.raw(EVENT_DATA).map(ToOwned::to_owned);
                    Self::Malformed(Malformed::new(event_type, data, reason))
                })
            }

            /// The fields that the type of the data names; `None` where it names none.
            pub(crate) fn field_names(&self) -> Option<&'static [&'static str]> {
                match self {
                    $(Self::$variant(_) => field_names::<$payload>(),)+
                    Self::Unknown(_) | Self::Malformed(_) => None,
                }
            }
        }

        /// Writes the data alone, not the envelope. Missing data is written as `null`.
        impl Serialize for Payload {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$variant(data) => data.serialize(serializer),)+
                    Self::Unknown(unknown) => unknown.data.serialize(serializer),
                    Self::Malformed(malformed) => malformed.data().serialize(serializer),
                }
            }
        }
    };
}
event_types!(payloads);

impl Payload {
    /// Parses data into the type of this name.
    ///
    /// # Examples
    ///
    /// ```
    /// use heygen_events::Payload;
    /// use serde_json::json;
    ///
    /// let payload = Payload::from_data("video_agent.fail", &json!({"video_id": "v1"}));
    /// assert!(matches!(payload, Payload::VideoAgentFail(_)));
    /// ```
    #[must_use]
    pub fn from_data(event_type: impl Into<EventType>, data: &Value) -> Self {
        let body = serde_json::json!({ EVENT_DATA: data }).to_string();
        let event_type = event_type.into();
        Document::from_slice(body.as_bytes()).map_or_else(
            |reason| Self::Malformed(Malformed::new(event_type.clone(), None, reason)),
            |document| Self::read(event_type.clone(), &document),
        )
    }

    /// Whether there was any `event_data` at all.
    pub(crate) fn has_data(&self) -> bool {
        match self {
            Self::Unknown(unknown) => unknown.data.is_some(),
            Self::Malformed(malformed) => malformed.data().is_some(),
            _ => true,
        }
    }
}

fn typed<T: DeserializeOwned>(document: &Document<'_>) -> Result<T, Mismatch> {
    let data = document.member(EVENT_DATA)?;
    read(data.ok_or_else(|| Mismatch::custom("event_data: missing"))?)
}

/// The field names that a derived type passes to its deserializer.
pub(crate) fn field_names<T: DeserializeOwned>() -> Option<&'static [&'static str]> {
    let mut names = None;
    // There is no data, so it fails.
    drop(T::deserialize(FieldNames(&mut names)));
    names
}

struct FieldNames<'n>(&'n mut Option<&'static [&'static str]>);

impl<'de> Deserializer<'de> for FieldNames<'_> {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Mismatch> {
        Err(Mismatch::custom("nothing to read"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        *self.0 = Some(names);
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
