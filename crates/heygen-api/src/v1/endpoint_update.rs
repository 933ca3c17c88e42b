//! The update of v1.

use heygen_events::id::EndpointId;
use serde_json::{Value, json};

use crate::subscription::Subscription;

/// The final URL and subscription of an endpoint.
///
/// Both are required. Without a URL, v1 silently changes nothing. Without events, the effect is not
/// documented, and elsewhere in v1 it means all events. To change only one of the two, copy the
/// other from [`Endpoint::url`](crate::Endpoint::url) or
/// [`Endpoint::events`](crate::Endpoint::events).
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct EndpointUpdate {
    endpoint_id: EndpointId,
    url: String,
    events: Subscription,
}

impl EndpointUpdate {
    /// The final values of this endpoint.
    pub fn new(
        endpoint_id: impl Into<EndpointId>,
        url: impl Into<String>,
        events: impl Into<Subscription>,
    ) -> Self {
        Self {
            endpoint_id: endpoint_id.into(),
            url: url.into(),
            events: events.into(),
        }
    }

    pub(super) fn endpoint_id(&self) -> &EndpointId {
        &self.endpoint_id
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "endpoint_id": self.endpoint_id.as_str(),
            "url": self.url,
            "events": self.events.to_json(),
        })
    }
}
