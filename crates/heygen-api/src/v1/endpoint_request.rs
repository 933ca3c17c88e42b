//! Requests of v1 about endpoints.

use heygen_events::EventType;
use heygen_events::id::EndpointId;
use serde_json::{Map, Value, json};

use crate::subscription::Subscription;

/// An endpoint to create. It is subscribed to all events unless it names some.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct NewEndpoint {
    url: String,
    events: Subscription,
    entity_id: Option<String>,
}

impl NewEndpoint {
    /// An endpoint at an address that answers `OPTIONS`, for all events.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            events: Subscription::All,
            entity_id: None,
        }
    }

    /// Sets the subscription. Default: [`Subscription::All`].
    pub fn with_events(mut self, events: impl Into<Subscription>) -> Self {
        self.events = events.into();
        self
    }

    /// Adds one event to the subscription. The first one replaces [`Subscription::All`].
    pub fn with_event(mut self, event_type: impl Into<EventType>) -> Self {
        self.events.add(event_type.into());
        self
    }

    /// Limits the endpoint to one resource: a video, or a personalized video project. This cannot
    /// be changed later.
    pub fn with_entity_id(mut self, entity_id: impl Into<String>) -> Self {
        self.entity_id = Some(entity_id.into());
        self
    }

    pub(super) fn to_json(&self) -> Value {
        let mut body = Map::new();
        body.insert("url".to_owned(), self.url.as_str().into());
        if let Subscription::Only(_) = &self.events {
            body.insert("events".to_owned(), self.events.to_json());
        }
        if let Some(entity_id) = &self.entity_id {
            body.insert("entity_id".to_owned(), entity_id.as_str().into());
        }
        body.into()
    }
}

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
