//! [`EventTypeEntry`]: an event that can be subscribed to.

use heygen_events::EventType;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::answer::value;
use crate::fields::{Fields, Mismatch};

/// An event that can be subscribed to, in HeyGen's own words.
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
    /// The name; [`EventType::is_known`] says whether this version knows it.
    pub event_type: EventType,
    /// What HeyGen says about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Fields we do not name.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl EventTypeEntry {
    pub(super) fn read_item(raw: &RawValue, place: &str) -> Result<Self, Mismatch> {
        let mut fields = Fields::new(value(raw, place)?, place)?;
        Ok(Self {
            event_type: EventType::from(fields.need_text("event_type")?),
            description: fields.take_text("description"),
            extra: fields.rest(),
        })
    }
}
