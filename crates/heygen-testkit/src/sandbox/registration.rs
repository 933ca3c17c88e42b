//! What both versions do to endpoints, probe included.

use super::{
    clock,
    endpoint::{ENABLED, Endpoint},
    input::{self, ENTITY_ID, Fields},
    refusal::{Api, Refusal, URL},
    shared::Shared,
};

/// An endpoint that is to be; its address was checked.
pub(super) struct NewEndpoint {
    pub(super) url: String,
    pub(super) events: Option<Vec<String>>,
    pub(super) entity_id: Option<String>,
}

/// What of an endpoint changes; `None` stays as it is.
pub(super) struct Change {
    pub(super) url: Option<String>,
    /// The whole list; `Some(None)` is all events.
    pub(super) events: Option<Option<Vec<String>>>,
}

impl NewEndpoint {
    /// Reads the body of a creation.
    pub(super) fn read(body: &[u8], api: Api) -> Result<Self, Refusal> {
        let fields = Fields::read(body)?;
        let url = fields.text(URL)?.ok_or(Refusal::Missing(URL))?;
        input::address(&url, api)?;
        Ok(Self {
            url,
            events: fields.events()?.flatten(),
            entity_id: fields.text(ENTITY_ID)?,
        })
    }
}

impl Shared {
    pub(super) async fn create_endpoint(&self, new: NewEndpoint) -> Result<Endpoint, Refusal> {
        self.probe(&new.url).await?;
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
            secret: clock::new_secret(),
            position: state.next_position(),
        };
        state.endpoints.push(endpoint.clone());
        Ok(endpoint)
    }

    /// Probes only an address that is new, and changes nothing when that fails.
    pub(super) async fn update_endpoint(
        &self,
        id: &str,
        change: Change,
    ) -> Result<Endpoint, Refusal> {
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

    /// Refuses an address that does not answer `OPTIONS`.
    async fn probe(&self, url: &str) -> Result<(), Refusal> {
        if !self.settings.probe {
            return Ok(());
        }
        let sender = self.sender.clone().to(url);
        let report = match sender.probe().await {
            Ok(report) => report,
            Err(error) => return Err(Refusal::Unreachable(error.to_string())),
        };
        if report.passed() {
            return Ok(());
        }
        Err(Refusal::Unreachable(match &report.attempt().result {
            Ok(answer) => format!("the answer was {}", answer.status),
            Err(error) => error.to_string(),
        }))
    }
}
