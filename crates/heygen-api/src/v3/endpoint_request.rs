//! Requests of v3 about endpoints, and the answer to a rotation.

use heygen_events::EventType;
use heygen_events::id::EndpointId;
use heygen_signature::Secret;
use serde_json::{Map, Value};

use crate::fields::{Fields, Mismatch};
use crate::subscription::Subscription;

/// An endpoint to create, in both versions of the API. It is subscribed to all events unless it
/// names some.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct NewEndpoint {
    url: String,
    events: Subscription,
    entity_id: Option<String>,
}

impl NewEndpoint {
    /// An endpoint at a public `https` address that answers `OPTIONS`, for all events.
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

    pub(crate) fn to_json(&self) -> Value {
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

/// A change of an endpoint: its URL, its subscription, or both. The rest stays as it is.
///
/// An empty update cannot be made: HeyGen does not document what it does.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct EndpointUpdate {
    url: Option<String>,
    events: Option<Subscription>,
}

impl EndpointUpdate {
    /// Changes the URL.
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
    /// [`Subscription::Only`] sends the list, [`Subscription::All`] sends `null`.
    ///
    /// # Source
    ///
    /// HeyGen's API reference, “Update Webhook Endpoint”: the list is documented. The schema allows
    /// `null`; that it means all events is assumed from creation. Compare
    /// [`Endpoint::events`](crate::Endpoint::events) in the answer.
    pub fn events(events: impl Into<Subscription>) -> Self {
        Self {
            url: None,
            events: Some(events.into()),
        }
    }

    /// Changes the URL as well.
    pub fn with_url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Replaces the subscription as well: see [`events`](Self::events).
    pub fn with_events(mut self, events: impl Into<Subscription>) -> Self {
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

/// The new secret of an endpoint, after a rotation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RotatedSecret {
    /// The endpoint.
    pub endpoint_id: EndpointId,
    /// Signs deliveries from now on.
    pub secret: Secret,
}

impl RotatedSecret {
    /// A missing id must not lose the secret: `requested` replaces it.
    pub(super) fn read(mut fields: Fields, requested: &EndpointId) -> Result<Self, Mismatch> {
        Ok(Self {
            secret: fields.need_secret("secret")?,
            endpoint_id: fields
                .take_text("endpoint_id")
                .map_or_else(|| requested.clone(), EndpointId::from),
        })
    }
}
