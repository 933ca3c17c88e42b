//! [`Outgoing`]: an event to send.

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, de::Error};

use super::media::Media;
use crate::{builder::EventBuilder, json::Json, setters::setters};

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
    /// An event for every endpoint that subscribed to it. A top-level `event_id` of the body is
    /// also its id in the log.
    #[must_use]
    pub fn new(builder: EventBuilder) -> Self {
        Self {
            builder,
            entity_id: None,
            callback_url: None,
        }
    }
}

setters! {
    impl Outgoing;

    /// Sets the resource of the event. Endpoints and log queries can be limited to a resource.
    entity_id(entity_id: impl Into<String>) sets entity_id: Some(entity_id.into());

    /// Sets the `callback_url` of the job. It gets one unsigned POST, in addition to the endpoints,
    /// without retries. If the data has a field `callback_url`, it gets this value.
    ///
    /// # Source
    ///
    /// Unsigned, and in addition to the endpoints: documented. That it is not retried is assumed.
    callback_url(url: impl Into<String>) sets callback_url: Some(url.into());
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
    /// Fields to set, in the order of the request.
    #[serde(default, deserialize_with = "fields")]
    data: IndexMap<String, Json>,
    #[serde(default)]
    without: Vec<String>,
    entity_id: Option<String>,
    callback_url: Option<String>,
}

impl OutgoingRequest {
    /// Links of the sample lead to the sandbox's own files.
    pub(super) fn outgoing(self, media: &Media) -> Outgoing {
        let mut builder =
            EventBuilder::new(self.event_type).edit_sample(|sample| media.localize(sample));
        for (field, value) in self.data {
            builder = builder.set_json(&field, value);
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

fn fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IndexMap<String, Json>, D::Error> {
    match Json::deserialize(deserializer)? {
        Json::Object(fields) => Ok(fields),
        Json::Array(_) | Json::Scalar(_) => {
            Err(D::Error::custom("data must be an object of fields to set"))
        }
    }
}
