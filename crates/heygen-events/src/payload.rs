//! [`Payload`]: the data of each event, typed by its name. One file per family of events.
//!
//! The structs are plain data: public fields, named as HeyGen names them even where two events disagree (`msg`,
//! `message`). Only the id without which a value is useless is required; everything else may be missing or `null`, and
//! both are remembered. A text that came as a number reads as its digits. Fields that a struct does not name are in its
//! `extra`. Constructors take the id, so that values can be built elsewhere:
//!
//! ```
//! use heygen_events::{Event, Payload, payload::AvatarVideoFail};
//!
//! let mut video = AvatarVideoFail::new("2541b1cb8c604ec09ae49f47ab36df90");
//! video.msg = Some("the script is empty".to_owned());
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
mod define;
pub(crate) mod field;
mod hyperframes_video;
mod open;
mod personalized_video;
mod raw;
mod video_agent;
mod video_translate;

pub use ai_clipping::{AiClipping, Clip};
pub use avatar_video::{AvatarVideoFail, AvatarVideoSuccess};
pub use avatar_video_caption::AvatarVideoCaptionSuccess;
pub use hyperframes_video::HyperframesVideo;
pub use open::Open;
pub use personalized_video::PersonalizedVideo;
pub use raw::{Unfit, UnknownEvent};
pub use video_agent::{VideoAgentFail, VideoAgentSuccess};
pub use video_translate::{VideoTranslateFail, VideoTranslateSuccess};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::event_type::event_types;
use crate::lookup::Lookup;
use crate::{EventType, ParseError};

macro_rules! payloads {
    ($(#[doc = $doc:literal] $variant:ident = $name:literal, $payload:ident, brings $media:ident;)+) => {
        /// The data of an event: one variant per name, and two for what no type describes.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Payload {
            $(
                #[doc = $doc]
                $variant($payload),
            )+
            /// The name is not known to this version; the data is as received.
            Unknown(UnknownEvent),
            /// The data does not fit the type of its name; its text is as received.
            Unfit(Unfit),
        }

        impl Payload {
            /// The name that the data belongs to.
            #[must_use]
            pub fn event_type(&self) -> EventType {
                match self {
                    $(Self::$variant(_) => EventType::$variant,)+
                    Self::Unknown(unknown) => EventType::Unknown(unknown.name.clone()),
                    Self::Unfit(unfit) => unfit.event_type().clone(),
                }
            }

            /// The name as received.
            pub(crate) fn event_name(&self) -> &str {
                match self {
                    $(Self::$variant(_) => $name,)+
                    Self::Unknown(unknown) => unknown.name.as_str(),
                    Self::Unfit(unfit) => unfit.event_type().as_str(),
                }
            }

            /// Reads data by the type of its name.
            pub(crate) fn read(event_type: EventType, data: Option<&RawValue>) -> Self {
                let read = match &event_type {
                    $(EventType::$variant => typed(data).map(Self::$variant),)+
                    EventType::Unknown(name) => match data.map(|raw| serde_json::from_str(raw.get())).transpose() {
                        Ok(data) => Ok(Self::Unknown(UnknownEvent::new(name.clone(), data))),
                        Err(error) => Err(error),
                    },
                };
                read.unwrap_or_else(|error| {
                    let reason = ParseError::payload(event_type.clone(), error);
                    Self::Unfit(Unfit::new(event_type, data.map(ToOwned::to_owned), reason))
                })
            }

            /// Reads data straight from the body, by the type of its name. Data that does not fit is an error here.
            pub(crate) fn read_fitting<'de, D: Deserializer<'de>>(
                event_type: &EventType,
                deserializer: D,
            ) -> Result<Self, D::Error> {
                match event_type {
                    $(EventType::$variant => Deserialize::deserialize(deserializer).map(Self::$variant),)+
                    EventType::Unknown(name) => Deserialize::deserialize(deserializer)
                        .map(|data| Self::Unknown(UnknownEvent::new(name.clone(), Some(data)))),
                }
            }

            pub(crate) fn lookup(&self) -> &dyn Lookup {
                match self {
                    $(Self::$variant(data) => data,)+
                    Self::Unknown(unknown) => &unknown.data,
                    Self::Unfit(unfit) => unfit.data(),
                }
            }
        }

        /// Writes the data alone, not the envelope. Missing data is written as `null`.
        impl Serialize for Payload {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$variant(data) => data.serialize(serializer),)+
                    Self::Unknown(unknown) => unknown.data.serialize(serializer),
                    Self::Unfit(unfit) => unfit.data().serialize(serializer),
                }
            }
        }
    };
}
event_types!(payloads);

impl Payload {
    /// Whether there was any `event_data` at all.
    pub(crate) fn has_data(&self) -> bool {
        match self {
            Self::Unknown(unknown) => unknown.data.is_some(),
            Self::Unfit(unfit) => unfit.data().is_some(),
            _ => true,
        }
    }
}

fn typed<T: DeserializeOwned>(data: Option<&RawValue>) -> Result<T, serde_json::Error> {
    let Some(raw) = data else {
        return Err(serde::de::Error::custom("event_data: missing"));
    };
    serde_json::from_str(raw.get()).or_else(|error| {
        // The last of a repeated key counts, also when an earlier one does not fit. Going through `Value` drops the
        // earlier ones; it is slower, and only what would otherwise not fit pays for it.
        let value: Option<Value> = serde_json::from_str(raw.get()).ok();
        value
            .and_then(|value| serde_json::from_value(value).ok())
            .ok_or(error)
    })
}
