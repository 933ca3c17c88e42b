//! Creates and updates endpoints, with the probe. Both versions use it.

use heygen_signature::Secret;
use serde::Deserialize;

use super::{
    api_error::{Api, ApiError, URL},
    clock,
    endpoint::{ENABLED, Endpoint},
    input::{self, ENTITY_ID, EVENTS, Fields},
    shared::Shared,
};

/// An endpoint to create. Its URL was checked.
pub(super) struct NewEndpoint {
    pub(super) url: String,
    pub(super) events: Option<Vec<String>>,
    pub(super) entity_id: Option<String>,
    /// `None`: that of the settings, or a new one.
    pub(super) secret: Option<Secret>,
}

/// The body of `POST /sandbox/endpoints`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RegistrationRequest {
    url: String,
    events: Option<Vec<String>>,
    entity_id: Option<String>,
    secret: Option<String>,
}

/// A change of an endpoint. `None`: unchanged.
pub(super) struct Change {
    pub(super) url: Option<String>,
    /// The whole list; `Some(None)` is all events.
    pub(super) events: Option<Option<Vec<String>>>,
}

impl NewEndpoint {
    /// Reads the body of a creation.
    pub(super) fn read(body: &[u8], api: Api) -> Result<Self, ApiError> {
        let fields = Fields::read(body)?;
        let url = fields.text(URL)?.ok_or(ApiError::Missing(URL))?;
        input::address(&url, api)?;
        Ok(Self {
            url,
            events: fields.events()?.flatten(),
            entity_id: fields.text(ENTITY_ID)?,
            secret: None,
        })
    }
}

impl RegistrationRequest {
    pub(super) fn endpoint(self) -> Result<NewEndpoint, ApiError> {
        input::address(&self.url, Api::V3)?;
        for name in self.events.iter().flatten() {
            input::event_type(EVENTS, name)?;
        }
        let secret = self.secret.map(Secret::new).transpose();
        Ok(NewEndpoint {
            url: self.url,
            events: self.events,
            entity_id: self.entity_id,
            secret: secret.map_err(|error| ApiError::invalid("secret", error.to_string()))?,
        })
    }
}

impl Shared {
    pub(super) async fn create_endpoint(&self, new: NewEndpoint) -> Result<Endpoint, ApiError> {
        self.probe(&new.url).await?;
        let secret = new.secret.or_else(|| self.settings.secret.clone());
        let (created_at, micros) = clock::now_with_micros();
        let mut state = self.state();
        let endpoint = Endpoint {
            endpoint_id: clock::new_id(),
            url: new.url,
            events: new.events,
            entity_id: new.entity_id,
            status: ENABLED.to_owned(),
            created_at,
            micros,
            secret: secret.unwrap_or_else(clock::new_secret),
            position: state.next_position(),
        };
        state.endpoints.push(endpoint.clone());
        Ok(endpoint)
    }

    /// Probes a new URL. If the probe fails, nothing changes.
    pub(super) async fn update_endpoint(
        &self,
        id: &str,
        change: Change,
    ) -> Result<Endpoint, ApiError> {
        let old_url = self.state().endpoint_mut(id)?.url.clone();
        if let Some(url) = change.url.as_deref().filter(|url| *url != old_url) {
            self.probe(url).await?;
        }
        let mut state = self.state();
        // It may have been deleted during the probe.
        let endpoint = state.endpoint_mut(id)?;
        if let Some(url) = change.url {
            endpoint.url = url;
        }
        if let Some(events) = change.events {
            endpoint.events = events;
        }
        Ok(endpoint.clone())
    }

    /// Rejects a URL that does not answer `OPTIONS`.
    async fn probe(&self, url: &str) -> Result<(), ApiError> {
        if !self.settings.probe {
            return Ok(());
        }
        let sender = self.sender.clone().to(url);
        let report = match sender.probe().await {
            Ok(report) => report,
            Err(error) => return Err(ApiError::Unreachable(error.to_string())),
        };
        if report.passed() {
            return Ok(());
        }
        Err(ApiError::Unreachable(match &report.attempt().result {
            Ok(answer) => format!("the answer was {}", answer.status),
            Err(error) => error.to_string(),
        }))
    }
}
