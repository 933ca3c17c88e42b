//! HeyGen webhook events as Rust types: names, payloads, the envelope around them, ids, and JSON Schema.
//!
//! HeyGen posts `{"event_type": string, "event_data": object}`. [`Event::from_slice`] reads such a body and never
//! loses an event over its content: a name this version does not know is [`Payload::Unknown`], data that does not fit
//! its type is [`Payload::Unfit`], and both hold what was received. Only a body that is not JSON, is not an object or
//! carries no name is an error.
//!
//! ```
//! use heygen_events::{Event, Outcome, Payload};
//!
//! let body = br#"{"event_type":"avatar_video.success","event_data":{
//!     "video_id":"0f3c6a9b2d5e48718c4b7a1e6d9f2c35","url":"https://files.heygen.ai/v.mp4","folder_id":""}}"#;
//! let event = Event::from_slice(body)?;
//!
//! // Typed, where you want to know exactly what was sent …
//! match &event.payload {
//!     Payload::AvatarVideoSuccess(video) => println!("{} is at {:?}", video.video_id, video.url),
//!     Payload::AvatarVideoFail(video) => println!("{} failed: {:?}", video.video_id, video.msg),
//!     Payload::Unknown(other) => println!("{} is new: {:?}", other.name, other.data),
//!     Payload::Unfit(unfit) => println!("{}: {}", unfit.event_type(), unfit.reason()),
//!     _ => {}
//! }
//!
//! // … or in one shape for every event, known or not, where names on the wire disagree.
//! assert_eq!(event.outcome(), Outcome::Success);
//! assert_eq!(event.subject_id().as_deref(), Some("0f3c6a9b2d5e48718c4b7a1e6d9f2c35"));
//! assert_eq!(event.media_url().as_deref(), Some("https://files.heygen.ai/v.mp4"));
//! # Ok::<(), heygen_events::ParseError>(())
//! ```
//!
//! Writing an event back with serde gives JSON equal to what was read: unknown fields are kept, `null` stays `null`,
//! missing stays missing, and an id that came as a number leaves as one.
//!
//! Where only the name matters, [`Envelope`] reads it without copying the body.
//!
//! # Features
//!
//! - `schema`: the module `schema`, JSON Schema (2020-12) of every event, by schemars.
//!
//! There is no I/O here, no clock and no async; checking a signature is the work of the crate `heygen-signature`.

#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod envelope;
mod error;
mod event;
mod event_type;
pub mod id;
mod lookup;
mod outcome;
mod pattern;
pub mod payload;
mod questions;
#[cfg(feature = "schema")]
pub mod schema;
pub mod text;
mod usual;

pub use envelope::Envelope;
pub use error::{ParseError, ParseErrorKind};
pub use event::Event;
pub use event_type::{EventType, UnknownName};
pub use outcome::{MediaKind, Outcome};
pub use pattern::{Pattern, PatternError, PatternErrorKind};
pub use payload::Payload;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
