#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod builder;
#[cfg(feature = "drill")]
pub mod drill;
pub mod fixtures;
mod json;
mod random;
mod request;
#[cfg(feature = "sandbox")]
pub mod sandbox;
#[cfg(feature = "sender")]
mod sender;
#[cfg(feature = "sender")]
mod setters;

pub use builder::EventBuilder;
pub use request::signed_request;
#[cfg(feature = "sender")]
pub use sender::{
    Answer, Attempt, AttemptError, AttemptErrorKind, Delays, DeliveryReport, ProbeReport,
    RetryPolicy, SendError, SendErrorKind, Sender,
};
