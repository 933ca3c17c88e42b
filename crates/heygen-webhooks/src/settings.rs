//! Settings: the options of every command, where each comes from, and the values people type.

#![expect(
    clippy::doc_markdown,
    reason = "these comments are printed as help, where a backtick would only be in the way"
)]

pub(crate) mod address;
pub(crate) mod admin;
pub(crate) mod api;
pub(crate) mod backfill;
pub(crate) mod config;
pub(crate) mod event_name;
pub(crate) mod file;
pub(crate) mod handlers;
pub(crate) mod inbox;
pub(crate) mod local;
pub(crate) mod location;
pub(crate) mod nats;
pub(crate) mod nearest;
pub(crate) mod options;
pub(crate) mod origin;
pub(crate) mod output;
pub(crate) mod receiver;
pub(crate) mod registration;
pub(crate) mod retention;
pub(crate) mod rule;
pub(crate) mod secrets;
pub(crate) mod setting;
pub(crate) mod socket;
pub(crate) mod span;
pub(crate) mod web_address;
pub(crate) mod when;
pub(crate) mod written;
