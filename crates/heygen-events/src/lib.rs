#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod answers;
mod document;
mod error;
mod event;
mod event_type;
pub mod id;
mod lenient;
mod node;
mod outcome;
mod parts;
mod pattern;
pub mod payload;
mod reader;
#[cfg(feature = "schema")]
pub mod schema;
pub mod text;

pub use document::Document;
pub use error::{ParseError, ParseErrorKind};
pub use event::Event;
pub use event_type::{EventType, UnknownName};
pub use node::Node;
pub use outcome::{MediaKind, Outcome, WordError};
pub use parts::EventParts;
pub use pattern::{Pattern, PatternError, PatternErrorKind};
pub use payload::Payload;
