//! What both versions do to endpoints.

use std::sync::Arc;

use heygen_signature::Secret;

use super::{clock, endpoint::ENABLED, endpoint::Endpoint, refusal::Refusal, shared::Shared};

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

pub(super) async fn create(shared: &Arc<Shared>, new: NewEndpoint) -> Result<Endpoint, Refusal> {
    shared.probe(&new.url).await?;
    let (created_at, micros) = clock::now_with_micros();
    let mut state = shared.state();
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
pub(super) async fn update(
    shared: &Arc<Shared>,
    id: &str,
    change: Change,
) -> Result<Endpoint, Refusal> {
    let old_url = shared.state().endpoint_mut(id)?.url.clone();
    if let Some(url) = change.url.as_deref().filter(|url| *url != old_url) {
        shared.probe(url).await?;
    }
    let mut state = shared.state();
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

/// From now on the old secret signs nothing.
pub(super) fn rotate_secret(shared: &Shared, id: &str) -> Result<Secret, Refusal> {
    let secret = clock::new_secret();
    shared.state().endpoint_mut(id)?.secret = secret.clone();
    Ok(secret)
}
