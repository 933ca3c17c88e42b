//! [`Endpoint`]: a registered endpoint, as both versions of the API return it.

use std::fmt;

use heygen_events::EventType;
use heygen_events::id::EndpointId;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::answer::value;
use crate::events::Events;
use crate::fields::{Fields, Mismatch};
use crate::secret::EndpointSecret;

/// A registered webhook endpoint.
///
/// Written with serde it has the names of the wire; the secret is left out, and so is what is `null`. `Debug` shows the names of
/// unknown fields without their values.
///
/// # Wire shape
///
/// `{"endpoint_id", "url", "events", "status", "created_at", "secret"}`; v1 adds `username`, `entity_id` and perhaps
/// `space_id`. Only `endpoint_id` and `url` are required here. A field of an unexpected type is kept in `extra`.
///
/// # Source
///
/// HeyGen's API reference, v1 and v3: documented. That a missing `events` means the same as `null` is assumed.
#[derive(Clone, Serialize)]
#[non_exhaustive]
pub struct Endpoint {
    /// Its id, needed to change or delete it.
    pub endpoint_id: EndpointId,
    /// Where deliveries go.
    pub url: String,
    /// What it is subscribed to.
    pub events: Events,
    /// Whether it is in use. No operation is known that sets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<EndpointStatus>,
    /// When it was made, as sent: ISO 8601, with `Z` in v3; without a zone in v1, which adds microseconds when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// The resource it is limited to, where the answer names one. Both versions take it when an endpoint is created; v3 does not
    /// return it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity_id: Option<String>,
    /// The account it belongs to. v1 alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The space it belongs to. v1 alone, and seen once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub space_id: Option<String>,
    /// What its deliveries are signed with. v1 always sends it, v3 only in the answer to a creation.
    #[serde(skip)]
    pub secret: Option<EndpointSecret>,
    /// Fields we do not name. Those whose name speaks of a secret are not written with serde.
    #[serde(flatten, serialize_with = "write_open")]
    pub extra: Map<String, Value>,
}

/// Whether an endpoint is in use.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum EndpointStatus {
    /// Deliveries are sent.
    Enabled,
    /// Deliveries are not sent. What brings an endpoint here is not documented.
    Disabled,
    /// A status that is not documented, as received.
    Unknown(UnknownStatus),
}

/// A status that is not documented, kept as received.
///
/// The field is private: only failing to match a documented status makes one.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct UnknownStatus(Box<str>);

impl Endpoint {
    pub(crate) fn read(mut fields: Fields) -> Result<Self, Mismatch> {
        let events = fields.take("events", Events::from_json);
        Ok(Self {
            endpoint_id: EndpointId::from(fields.need_text("endpoint_id")?),
            url: fields.need_text("url")?,
            events: events.unwrap_or(Events::All),
            status: fields
                .take_text("status")
                .map(|status| EndpointStatus::from(status.as_str())),
            created_at: fields.take_text("created_at"),
            entity_id: fields.take_text("entity_id"),
            username: fields.take_text("username"),
            space_id: fields.take_text("space_id"),
            secret: fields.take_text("secret").map(EndpointSecret::new),
            extra: fields.rest(),
        })
    }

    pub(crate) fn read_item(raw: &RawValue, place: &str) -> Result<Self, Mismatch> {
        Self::read(Fields::new(value(raw, place)?, place)?)
    }

    /// Whether deliveries of this event come here: subscribed, and not known to be out of use.
    #[must_use]
    pub fn receives(&self, event_type: &EventType) -> bool {
        self.status != Some(EndpointStatus::Disabled) && self.events.includes(event_type)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("endpoint_id", &self.endpoint_id)
            .field("url", &self.url)
            .field("events", &self.events)
            .field("status", &self.status)
            .field("created_at", &self.created_at)
            .field("entity_id", &self.entity_id)
            .field("username", &self.username)
            .field("space_id", &self.space_id)
            .field("secret", &self.secret)
            .field("extra", &self.extra.keys())
            .finish()
    }
}

impl EndpointStatus {
    /// The status as it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Unknown(status) => status.as_str(),
        }
    }
}

impl From<&str> for EndpointStatus {
    fn from(status: &str) -> Self {
        match status {
            "enabled" => Self::Enabled,
            "disabled" => Self::Disabled,
            other => Self::Unknown(UnknownStatus(other.into())),
        }
    }
}

impl fmt::Display for EndpointStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for EndpointStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl UnknownStatus {
    /// The status as received.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn write_open<S: Serializer>(extra: &Map<String, Value>, serializer: S) -> Result<S::Ok, S::Error> {
    let open = extra
        .iter()
        .filter(|(name, _)| !name.to_ascii_lowercase().contains("secret"));
    serializer.collect_map(open)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Endpoint, String> {
        Fields::new(value, "data")
            .and_then(Endpoint::read)
            .map_err(|mismatch| mismatch.to_string())
    }

    #[track_caller]
    fn check_misfit(value: Value, expected: &str) {
        assert_eq!(read(value).unwrap_err(), expected);
    }

    #[test]
    fn what_is_needed_is_named() {
        check_misfit(json!({}), "data.endpoint_id is missing");
        check_misfit(
            json!({"endpoint_id": null}),
            "data.endpoint_id is not a text",
        );
        check_misfit(json!({"endpoint_id": ""}), "data.endpoint_id is empty");
        check_misfit(json!({"endpoint_id": "e"}), "data.url is missing");
        check_misfit(
            json!({"endpoint_id": "e", "url": ["whsec_visible"]}),
            "data.url is not a text",
        );
        check_misfit(json!(["whsec_visible"]), "data is not an object");
    }

    #[test]
    fn what_is_not_needed_may_be_anything() {
        let value = json!({"endpoint_id": 7, "url": "u", "events": "*", "status": "paused",
            "created_at": {"s": 1}, "secret": ["s"], "new": [1]});
        let endpoint = read(value).unwrap();
        assert_eq!(endpoint.endpoint_id, "7");
        assert_eq!(endpoint.events, Events::All);
        assert_eq!(
            endpoint.status.as_ref().map(EndpointStatus::as_str),
            Some("paused")
        );
        assert!(endpoint.secret.is_none());
        assert!(endpoint.receives(&EventType::AiClippingFail));
        let kept: Vec<_> = endpoint.extra.keys().map(String::as_str).collect();
        assert_eq!(kept, ["created_at", "events", "new", "secret"]);
    }

    #[test]
    fn neither_debug_nor_serde_shows_a_secret() {
        let value = json!({"endpoint_id": "e", "url": "u", "secret": "whsec_visible", "signing_secret": "visible"});
        let endpoint = read(value).unwrap();
        assert_eq!(
            endpoint.secret.as_ref().map(EndpointSecret::expose),
            Some("whsec_visible")
        );
        let shown = format!("{endpoint:?} {endpoint:#?}");
        assert!(!shown.contains("visible"), "{shown}");
        let written = serde_json::to_string(&endpoint).unwrap();
        assert!(!written.contains("visible"), "{written}");
    }

    #[test]
    fn writing_back_gives_what_was_read() {
        let value = json!({"endpoint_id": "e", "url": "u", "events": ["batch.finished"], "status": "disabled",
            "created_at": "2025-10-21T13:49:18", "username": "n", "entity_id": "x", "space_id": "y", "new": {"a": null}});
        let endpoint = read(value.clone()).unwrap();
        assert!(!endpoint.receives(&EventType::BatchFinished));
        assert_eq!(serde_json::to_value(endpoint).unwrap(), value);
    }
}
