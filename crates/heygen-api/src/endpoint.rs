//! [`Endpoint`]: a registered endpoint. Both versions of the API return it.

use std::fmt;

use heygen_events::EventType;
use heygen_events::id::EndpointId;
use heygen_signature::Secret;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::answer::value;
use crate::fields::{Fields, Mismatch};
use crate::subscription::Subscription;

/// A registered webhook endpoint.
///
/// serde reads and writes the field names of the wire. The secret is read and never written, and
/// neither is a field that is `None`. `Debug` shows the names of unknown fields without their
/// values.
///
/// # Examples
///
/// An endpoint for a test of your own code, which needs no server:
///
/// ```
/// use heygen_api::{Endpoint, EndpointStatus};
///
/// let mut endpoint = Endpoint::new("endpoint-1", "https://hooks.example/heygen");
/// endpoint.status = Some(EndpointStatus::Disabled);
///
/// let json = r#"{"endpoint_id": "endpoint-1", "url": "https://hooks.example/heygen", "status": "disabled"}"#;
/// let read: Endpoint = serde_json::from_str(json)?;
/// assert_eq!(read.status, endpoint.status);
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # Wire shape
///
/// `{"endpoint_id", "url", "events", "status", "created_at", "secret"}`. v1 adds `username`,
/// `entity_id` and perhaps `space_id`. Only `endpoint_id` and `url` are required here. A field of
/// an unexpected type is kept in `extra`.
///
/// # Source
///
/// HeyGen's API reference, v1 and v3: documented. That a missing `events` means the same as `null`
/// is assumed.
#[derive(Clone, Serialize)]
#[non_exhaustive]
pub struct Endpoint {
    /// The id. Changing and deleting an endpoint need it.
    pub endpoint_id: EndpointId,
    /// Where deliveries go.
    pub url: String,
    /// The events that are delivered.
    pub events: Subscription,
    /// Whether deliveries are sent. No operation is known that sets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<EndpointStatus>,
    /// Time of creation as received: ISO 8601, with `Z` in v3, without a time zone in v1. The
    /// answer to v1's creation has microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// The resource that the endpoint is limited to. Both versions accept it at creation; v3 does
    /// not return it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity_id: Option<String>,
    /// The account that owns the endpoint. v1 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The space that owns the endpoint. v1 only, observed once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub space_id: Option<String>,
    /// Signs the deliveries. v1 always sends it, v3 only in the answer to a creation.
    #[serde(skip)]
    pub secret: Option<Secret>,
    /// Unknown fields. serde does not write those whose name contains `secret`.
    #[serde(flatten, serialize_with = "serialize_public")]
    pub extra: Map<String, Value>,
}

/// Whether deliveries are sent to an endpoint.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum EndpointStatus {
    /// Deliveries are sent.
    Enabled,
    /// Deliveries are not sent. HeyGen does not document when it disables an endpoint.
    Disabled,
    /// A status that is not documented, as received.
    Unknown(UnknownStatus),
}

/// A status that is not documented, kept as received.
///
/// The field is private: only [`EndpointStatus::from`] makes one, of a text that is no documented
/// status.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct UnknownStatus(Box<str>);

impl Endpoint {
    /// An endpoint with this id and URL, subscribed to all events. The other fields are `None`.
    #[must_use]
    pub fn new(endpoint_id: impl Into<EndpointId>, url: impl Into<String>) -> Self {
        Self {
            endpoint_id: endpoint_id.into(),
            url: url.into(),
            events: Subscription::All,
            status: None,
            created_at: None,
            entity_id: None,
            username: None,
            space_id: None,
            secret: None,
            extra: Map::new(),
        }
    }

    pub(crate) fn read(mut fields: Fields) -> Result<Self, Mismatch> {
        let events = fields.take("events", Subscription::from_json);
        Ok(Self {
            endpoint_id: EndpointId::from(fields.need_text("endpoint_id")?),
            url: fields.need_text("url")?,
            events: events.unwrap_or(Subscription::All),
            status: fields
                .take_text("status")
                .map(|status| EndpointStatus::from(status.as_str())),
            created_at: fields.take_text("created_at"),
            entity_id: fields.take_text("entity_id"),
            username: fields.take_text("username"),
            space_id: fields.take_text("space_id"),
            secret: fields.take_secret("secret"),
            extra: fields.rest(),
        })
    }

    pub(crate) fn read_item(raw: &RawValue, path: &str) -> Result<Self, Mismatch> {
        Self::read(Fields::new(value(raw, path)?, path)?)
    }

    /// Whether events of this type are delivered: subscribed, and not disabled.
    #[must_use]
    pub fn receives(&self, event_type: &EventType) -> bool {
        self.status != Some(EndpointStatus::Disabled) && self.events.includes(event_type)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Fields::new(value, "endpoint")
            .and_then(Self::read)
            .map_err(D::Error::custom)
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
            .field("extra", &self.extra.keys().collect::<Vec<_>>())
            .finish()
    }
}

impl EndpointStatus {
    /// The status as on the wire.
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

fn serialize_public<S: Serializer>(
    extra: &Map<String, Value>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let public = extra
        .iter()
        .filter(|(name, _)| !name.to_ascii_lowercase().contains("secret"));
    serializer.collect_map(public)
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
    fn check_mismatch(value: Value, expected: &str) {
        assert_eq!(read(value).unwrap_err(), expected);
    }

    #[test]
    fn missing_required_field_is_named() {
        check_mismatch(json!({}), "data.endpoint_id is missing");
        check_mismatch(
            json!({"endpoint_id": null}),
            "data.endpoint_id is not a string",
        );
        check_mismatch(json!({"endpoint_id": ""}), "data.endpoint_id is empty");
        check_mismatch(json!({"endpoint_id": "e"}), "data.url is missing");
        check_mismatch(
            json!({"endpoint_id": "e", "url": ["whsec_visible"]}),
            "data.url is not a string",
        );
        check_mismatch(json!(["whsec_visible"]), "data is not an object");
    }

    #[test]
    fn optional_field_of_another_type_is_kept_in_extra() {
        let value = json!({"endpoint_id": 7, "url": "u", "events": "*", "status": "paused",
            "created_at": {"s": 1}, "secret": ["s"], "new": [1]});
        let endpoint = read(value).unwrap();
        assert_eq!(endpoint.endpoint_id, "7");
        assert_eq!(endpoint.events, Subscription::All);
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
            endpoint.secret.as_ref().map(Secret::expose),
            Some("whsec_visible")
        );
        let shown = format!("{endpoint:?} {endpoint:#?}");
        assert!(!shown.contains("visible"), "{shown}");
        let written = serde_json::to_string(&endpoint).unwrap();
        assert!(!written.contains("visible"), "{written}");
    }

    #[test]
    fn serde_writes_what_it_reads() {
        let value = json!({"endpoint_id": "e", "url": "u", "events": ["batch.finished"], "status": "disabled",
            "created_at": "2025-10-21T13:49:18", "username": "n", "entity_id": "x", "space_id": "y", "new": {"a": null}});
        let endpoint = read(value.clone()).unwrap();
        assert!(!endpoint.receives(&EventType::BatchFinished));
        let written = serde_json::to_value(endpoint).unwrap();
        assert_eq!(written, value);
        let again: Endpoint = serde_json::from_value(written).unwrap();
        assert_eq!(serde_json::to_value(again).unwrap(), value);
    }

    #[test]
    fn deserialize_error_quotes_no_value() {
        let json = r#"{"endpoint_id": "e", "url": ["whsec_visible"]}"#;
        let error = serde_json::from_str::<Endpoint>(json).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("endpoint.url is not a string"),
            "{error}"
        );
    }
}
