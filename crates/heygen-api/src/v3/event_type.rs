//! [`EventTypeEntry`]: an event type that HeyGen offers.

use heygen_events::EventType;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::answer::value;
use crate::fields::{Fields, Mismatch};

/// An event type that HeyGen offers, with HeyGen's description.
///
/// # Wire shape
///
/// `{"event_type": string, "description": string}`.
///
/// # Source
///
/// HeyGen's API reference, “List Webhook Event Types”: documented.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EventTypeEntry {
    /// The event type. [`EventType::is_known`] says whether this crate knows it.
    pub event_type: EventType,
    /// HeyGen's description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl EventTypeEntry {
    pub(super) fn read_item(raw: &RawValue, path: &str) -> Result<Self, Mismatch> {
        let mut fields = Fields::new(value(raw, path)?, path)?;
        Ok(Self {
            event_type: EventType::from(fields.need_text("event_type")?),
            description: fields.take_text("description"),
            extra: fields.rest(),
        })
    }
}
