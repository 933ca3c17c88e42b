//! What v1 takes about endpoints.

use heygen_events::EventType;
use heygen_events::id::EndpointId;
use serde_json::{Map, Value, json};

use crate::events::Events;

/// An endpoint that is to be added: all events, unless it names some.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct NewEndpoint {
    url: String,
    events: Events,
    entity_id: Option<String>,
}

impl NewEndpoint {
    /// An endpoint at an address that answers `OPTIONS`, for all events.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            events: Events::All,
            entity_id: None,
        }
    }

    /// What it is subscribed to. Default: [`Events::All`].
    pub fn events(mut self, events: impl Into<Events>) -> Self {
        self.events = events.into();
        self
    }

    /// Subscribes it to this event: alone if it had all, else in addition.
    pub fn event(mut self, event_type: impl Into<EventType>) -> Self {
        self.events.add(event_type.into());
        self
    }

    /// Limits it to one resource: a video, or a personalized video project. It cannot be changed later.
    pub fn entity_id(mut self, entity_id: impl Into<String>) -> Self {
        self.entity_id = Some(entity_id.into());
        self
    }

    pub(super) fn to_json(&self) -> Value {
        let mut body = Map::new();
        body.insert("url".to_owned(), self.url.as_str().into());
        if let Events::Only(_) = &self.events {
            body.insert("events".to_owned(), self.events.to_json());
        }
        if let Some(entity_id) = &self.entity_id {
            body.insert("entity_id".to_owned(), entity_id.as_str().into());
        }
        body.into()
    }
}

/// An endpoint as it is to be afterwards.
///
/// It names the address even where only the events change, because v1 changes nothing, and says nothing, when the address is
/// missing. It names the events even where only the address changes, because what v1 makes of missing ones is not documented,
/// and elsewhere in v1 it means all. [`Endpoint::url`](crate::Endpoint::url) and
/// [`Endpoint::events`](crate::Endpoint::events) have what is there now.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct EndpointUpdate {
    endpoint_id: EndpointId,
    url: String,
    events: Events,
}

impl EndpointUpdate {
    /// What the endpoint is to be.
    pub fn new(
        endpoint_id: impl Into<EndpointId>,
        url: impl Into<String>,
        events: impl Into<Events>,
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
