//! The sandbox's own operations, for those who cannot call it in Rust.

use std::sync::Arc;

use http::StatusCode;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use super::{
    endpoint::Endpoint,
    input::Call,
    misbehaviour::Misbehaviour,
    outgoing::OutgoingRequest,
    record::Delivery,
    refusal::{Api, Refusal},
    reply::Reply,
    shared::Shared,
    v3,
};

/// An operation of the sandbox. None of them needs a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Control {
    /// Plays the renderer.
    Send,
    /// Shows every attempt.
    Deliveries,
    /// Shows every attempt once all deliveries have ended.
    Settled,
    Misbehave,
    State,
    Reset,
    /// Sets the status of an endpoint, which no operation of HeyGen does.
    SetStatus,
}

impl Control {
    pub(super) const TABLE: &[(Self, &'static str, &'static str)] = &[
        (Self::Send, "POST", "/sandbox/events"),
        (Self::Deliveries, "GET", "/sandbox/deliveries"),
        (Self::Settled, "GET", "/sandbox/settled"),
        (Self::Misbehave, "POST", "/sandbox/misbehave"),
        (Self::State, "GET", "/sandbox/state"),
        (Self::Reset, "POST", "/sandbox/reset"),
        (Self::SetStatus, "PATCH", "/sandbox/endpoints/{endpoint_id}"),
    ];

    pub(super) async fn answer(self, shared: &Arc<Shared>, call: &Call) -> Reply {
        let result = match self {
            Self::Send => send(shared, call),
            Self::Deliveries => Ok(deliveries(shared, call)),
            Self::Settled => {
                shared.settled().await;
                Ok(deliveries(shared, call))
            }
            Self::Misbehave => misbehave(shared, call),
            Self::State => Ok(state(shared)),
            Self::Reset => {
                shared.reset();
                Ok(v3::data(json!({})))
            }
            Self::SetStatus => set_status(shared, call),
        };
        result.unwrap_or_else(|refusal| refusal.reply(Api::V3))
    }
}

fn send(shared: &Arc<Shared>, call: &Call) -> Result<Reply, Refusal> {
    let sent = shared.send(&read::<OutgoingRequest>(call)?.outgoing());
    let data = json!({"event_id": sent.event_id, "deliveries": sent.deliveries});
    Ok(Reply::json(StatusCode::ACCEPTED, &json!({ "data": data })))
}

fn deliveries(shared: &Shared, call: &Call) -> Reply {
    let event_id = call.query.get("event_id");
    let state = shared.state();
    let wanted = |delivery: &&Delivery| event_id.is_none_or(|id| delivery.event_id == id);
    let deliveries: Vec<_> = state.deliveries.values().filter(wanted).collect();
    v3::data(deliveries)
}

fn misbehave(shared: &Arc<Shared>, call: &Call) -> Result<Reply, Refusal> {
    let misbehaviour: Misbehaviour = read(call)?;
    shared.misbehave(misbehaviour.clone());
    Ok(v3::data(misbehaviour))
}

fn state(shared: &Shared) -> Reply {
    let state = shared.state();
    let endpoints = state.endpoints.iter();
    let endpoints: Vec<_> = endpoints
        .map(|endpoint: &Endpoint| json!(endpoint.v1(&shared.username)))
        .collect();
    v3::data(json!({
        "endpoints": endpoints,
        "events": state.log_len(),
        "deliveries": state.deliveries.len(),
        "settled": state.settled(),
        "misbehaviour": state.misbehaviour,
        "notes": state.notes(),
    }))
}

fn set_status(shared: &Shared, call: &Call) -> Result<Reply, Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Status {
        status: String,
    }
    let Status { status } = read(call)?;
    let mut state = shared.state();
    let endpoint = state.endpoint_mut(&call.id)?;
    endpoint.status = status;
    Ok(v3::data(endpoint.v1(&shared.username)))
}

fn read<T: DeserializeOwned>(call: &Call) -> Result<T, Refusal> {
    serde_json::from_slice(&call.body)
        .map_err(|error| Refusal::Invalid(None, format!("The request body does not fit: {error}.")))
}
