//! What can be set: the options of every command, where each comes from, and the values people type.

pub(crate) mod address;
pub(crate) mod config;
pub(crate) mod event_name;
pub(crate) mod nearest;
pub(crate) mod origin;
pub(crate) mod overlap;
pub(crate) mod places;
pub(crate) mod rule;
pub(crate) mod span;
pub(crate) mod web_address;
pub(crate) mod when;
pub(crate) mod written;
