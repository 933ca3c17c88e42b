//! [`Outgoing`]: an event that is to be sent, as the renderer hands it over.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::Value;

use crate::EventBuilder;

/// An event to send.
///
/// # Examples
///
/// ```
/// use heygen_testkit::{EventBuilder, sandbox::Outgoing};
///
/// let event = Outgoing::new(EventBuilder::new("personalized_video")).entity_id("project-7");
/// ```
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub(super) builder: EventBuilder,
    pub(super) entity_id: Option<String>,
    pub(super) callback_url: Option<String>,
}

impl Outgoing {
    /// For every endpoint that subscribed to it. A top-level `event_id` in the body is its id in the log, too.
    #[must_use]
    pub fn new(builder: EventBuilder) -> Self {
        Self {
            builder,
            entity_id: None,
            callback_url: None,
        }
    }

    /// The resource it belongs to, which endpoints and the log can be narrowed to.
    #[must_use]
    pub fn entity_id(mut self, entity_id: impl Into<String>) -> Self {
        self.entity_id = Some(entity_id.into());
        self
    }

    /// The address that the job asked to be called back at: one unsigned POST, beside the endpoints, and never again. Data
    /// with a field `callback_url` says it there.
    ///
    /// # Source
    ///
    /// Unsigned, and in addition to the endpoints: documented. That it is not tried again is assumed.
    #[must_use]
    pub fn callback_url(mut self, url: impl Into<String>) -> Self {
        self.callback_url = Some(url.into());
        self
    }
}

impl From<EventBuilder> for Outgoing {
    fn from(builder: EventBuilder) -> Self {
        Self::new(builder)
    }
}

/// The body of `POST /sandbox/events`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OutgoingRequest {
    event_type: String,
    event_id: Option<String>,
    #[serde(default)]
    data: Overrides,
    #[serde(default)]
    without: Vec<String>,
    entity_id: Option<String>,
    callback_url: Option<String>,
}

impl OutgoingRequest {
    pub(super) fn outgoing(self) -> Outgoing {
        let mut builder = EventBuilder::new(self.event_type);
        for (field, value) in self.data.0 {
            builder = builder.set(&field, value);
        }
        for field in self.without {
            builder = builder.without(&field);
        }
        if let Some(event_id) = self.event_id {
            builder = builder.top("event_id", event_id);
        }
        Outgoing {
            builder,
            entity_id: self.entity_id,
            callback_url: self.callback_url,
        }
    }
}

/// Fields to set, in the order in which they came.
#[derive(Default)]
struct Overrides(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Overrides {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Overrides;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of fields to set")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Overrides, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Overrides(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}
