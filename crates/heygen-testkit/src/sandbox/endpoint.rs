//! [`Endpoint`]: a registered endpoint, and its format in each version of the API.

use std::borrow::Cow;

use heygen_signature::Secret;
use serde::Serialize;

/// A registered endpoint.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Endpoint {
    /// 32 lower-case hexadecimal digits.
    pub endpoint_id: String,
    /// The URL of its deliveries.
    pub url: String,
    /// The events that it subscribed to. `None`: all.
    pub events: Option<Vec<String>>,
    /// The resource that it is limited to. `None`: all.
    pub entity_id: Option<String>,
    /// `enabled`, or the status that was set. Only `enabled` gets deliveries.
    pub status: String,
    /// The time of creation: ISO 8601 in UTC, without a time zone.
    pub created_at: String,
    /// Signs its deliveries.
    pub secret: Secret,
    /// The microseconds of the time of creation. v1 sends them only in the answer to it.
    pub(super) micros: i32,
    /// Its index in order of creation.
    pub(super) position: u64,
}

/// The status with which an endpoint gets deliveries.
pub(super) const ENABLED: &str = "enabled";

/// An endpoint in v1 and in `GET /sandbox/state`: all fields, including the secret.
///
/// # Source
///
/// HeyGen's API reference, “List Webhook Endpoints” and “Add a Webhook Endpoint” (v1):
/// documented. `entity_id` is in an example of the list, and in no other operation.
#[derive(Serialize)]
pub(super) struct V1Endpoint<'a> {
    url: &'a str,
    username: &'a str,
    events: Option<&'a [String]>,
    created_at: Cow<'a, str>,
    entity_id: Option<&'a str>,
    endpoint_id: &'a str,
    status: &'a str,
    secret: &'a str,
}

/// An endpoint in v3. Its secret is sent once.
///
/// # Source
///
/// HeyGen's API reference, `WebhookEndpointResponse` (v3): documented.
#[derive(Serialize)]
pub(super) struct V3Endpoint<'a> {
    endpoint_id: &'a str,
    url: &'a str,
    events: Option<&'a [String]>,
    status: &'a str,
    created_at: String,
    secret: Option<&'a str>,
}

impl Endpoint {
    /// Whether it gets an event.
    ///
    /// # Source
    ///
    /// Filtering by subscription is documented. That an endpoint with an `entity_id` gets the
    /// events of exactly that resource is assumed.
    pub(super) fn wants(&self, event_type: &str, entity_id: Option<&str>) -> bool {
        let subscribed = match &self.events {
            Some(events) => events.iter().any(|event| event == event_type),
            None => true,
        };
        let in_scope = self.entity_id.is_none() || self.entity_id.as_deref() == entity_id;
        self.status == ENABLED && subscribed && in_scope
    }

    pub(super) fn v1<'a>(&'a self, username: &'a str) -> V1Endpoint<'a> {
        V1Endpoint {
            url: &self.url,
            username,
            events: self.events.as_deref(),
            created_at: self.created_at.as_str().into(),
            entity_id: self.entity_id.as_deref(),
            endpoint_id: &self.endpoint_id,
            status: &self.status,
            secret: self.secret.expose(),
        }
    }

    /// The answer to a creation: with microseconds.
    pub(super) fn v1_added<'a>(&'a self, username: &'a str) -> V1Endpoint<'a> {
        V1Endpoint {
            created_at: format!("{}.{:06}", self.created_at, self.micros).into(),
            ..self.v1(username)
        }
    }

    pub(super) fn v3(&self, with_secret: bool) -> V3Endpoint<'_> {
        V3Endpoint {
            endpoint_id: &self.endpoint_id,
            url: &self.url,
            events: self.events.as_deref(),
            status: &self.status,
            created_at: format!("{}Z", self.created_at),
            secret: with_secret.then(|| self.secret.expose()),
        }
    }
}
