//! What v3 takes and gives about endpoints, beside [`Endpoint`](crate::Endpoint) itself.

use heygen_events::EventType;
use heygen_events::id::EndpointId;
use serde_json::{Map, Value};

use crate::events::Events;
use crate::fields::{Fields, Mismatch};
use crate::secret::EndpointSecret;

/// An endpoint that is to be added: all events, unless it names some.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct NewEndpoint {
    url: String,
    events: Events,
    entity_id: Option<String>,
}

impl NewEndpoint {
    /// An endpoint at a public `https` address, for all events.
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

    /// Limits it to one resource, a personalized video project for instance. It cannot be changed later.
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

/// What is to change about an endpoint: its address, its events, or both. What is not named stays as it is.
///
/// There is no empty one: what HeyGen makes of that is not documented.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct EndpointUpdate {
    url: Option<String>,
    events: Option<Events>,
}

impl EndpointUpdate {
    /// Changes the address.
    pub fn url(url: impl Into<String>) -> Self {
        Self {
            url: Some(url.into()),
            events: None,
        }
    }

    /// Replaces the subscription.
    ///
    /// # Wire shape
    ///
    /// [`Events::Only`] sends the list, [`Events::All`] sends `null`.
    ///
    /// # Source
    ///
    /// HeyGen's API reference, “Update Webhook Endpoint”: the list is documented. The schema allows `null`, and that it means all
    /// events is assumed from creation: compare [`Endpoint::events`](crate::Endpoint::events) of the answer.
    pub fn events(events: impl Into<Events>) -> Self {
        Self {
            url: None,
            events: Some(events.into()),
        }
    }

    /// Changes the address as well.
    pub fn with_url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Replaces the subscription as well: see [`events`](Self::events).
    pub fn with_events(mut self, events: impl Into<Events>) -> Self {
        self.events = Some(events.into());
        self
    }

    pub(super) fn to_json(&self) -> Value {
        let mut body = Map::new();
        if let Some(url) = &self.url {
            body.insert("url".to_owned(), url.as_str().into());
        }
        if let Some(events) = &self.events {
            body.insert("events".to_owned(), events.to_json());
        }
        body.into()
    }
}

/// A secret that has just replaced another.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RotatedSecret {
    /// Whose secret it is.
    pub endpoint_id: EndpointId,
    /// What deliveries are signed with from now on.
    pub secret: EndpointSecret,
}

impl RotatedSecret {
    /// The secret must not be lost over a missing id: the one that was asked for will do.
    pub(super) fn read(mut fields: Fields, asked: &EndpointId) -> Result<Self, Mismatch> {
        Ok(Self {
            secret: EndpointSecret::new(fields.need_text("secret")?),
            endpoint_id: fields
                .take_text("endpoint_id")
                .map_or_else(|| asked.clone(), EndpointId::from),
        })
    }
}
