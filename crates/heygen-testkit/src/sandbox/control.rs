//! The operations of the sandbox over HTTP, for tests in other languages.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Path, Query, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, patch, post},
};
use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use super::{
    api_error::{ApiError, ApiResult},
    endpoint::Endpoint,
    input::{self, Params},
    media::Media,
    misbehaviour::Misbehaviour,
    outgoing::OutgoingRequest,
    record::Delivery,
    registration::RegistrationRequest,
    reply::{self, data},
    shared::Shared,
};

/// The operations of the sandbox. They need no key.
pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/sandbox/events", post(send))
        .route("/sandbox/deliveries", get(deliveries))
        .route("/sandbox/settled", get(settled))
        .route("/sandbox/misbehave", post(misbehave))
        .route("/sandbox/state", get(state))
        .route("/sandbox/reset", post(reset))
        .route("/sandbox/endpoints", post(register))
        .route("/sandbox/endpoints/{endpoint_id}", patch(set_status))
        .route_layer(middleware::from_fn(whole_body))
}

async fn whole_body(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    match input::read_body(body).await {
        Ok(body) => next.run(Request::from_parts(head, body.into())).await,
        Err(error) => error.into_response(),
    }
}

/// Sends an event.
async fn send(State(shared): State<Arc<Shared>>, media: Media, body: Bytes) -> ApiResult {
    let sent = shared.send(&read::<OutgoingRequest>(&body)?.outgoing(&media));
    let data = json!({"event_id": sent.event_id, "deliveries": sent.deliveries});
    Ok(reply::json(StatusCode::ACCEPTED, &json!({ "data": data })))
}

/// Lists deliveries with their attempts.
async fn deliveries(State(shared): State<Arc<Shared>>, Query(params): Query<Params>) -> Response {
    let event_id = params.get("event_id");
    let state = shared.state();
    let wanted = |delivery: &&Delivery| event_id.is_none_or(|id| delivery.event_id == id);
    let deliveries: Vec<_> = state.deliveries.values().filter(wanted).collect();
    data(deliveries)
}

/// Waits until all jobs and deliveries have ended, and lists the deliveries. With a `timeout` in seconds that is too
/// short it answers 408 with those that have not.
async fn settled(state: State<Arc<Shared>>, params: Query<Params>) -> ApiResult {
    let timeout = match params.get(TIMEOUT) {
        Some(text) => seconds(text)?,
        None => Duration::MAX,
    };
    // Longer than any clock counts is for ever.
    let waited = tokio::time::timeout(timeout, state.settled()).await;
    if waited.is_ok() || state.state().settled() {
        return Ok(deliveries(state, params).await);
    }
    let state = state.state();
    let pending: Vec<_> = state
        .deliveries
        .values()
        .filter(|one| !one.ended())
        .collect();
    let jobs = state.jobs.values().filter(|job| !job.is_announced);
    let jobs: Vec<_> = jobs
        .map(|job| format!("{} {} is not finished", job.kind.noun(), job.id))
        .collect();
    let counts = [
        (pending.len(), state.deliveries.len(), "deliveries"),
        (jobs.len(), state.jobs.len(), "jobs"),
    ];
    let counts: Vec<_> = counts
        .iter()
        .filter(|(pending, ..)| *pending > 0)
        .map(|(pending, all, noun)| format!("{pending} of {all} {noun}"))
        .collect();
    let said = pending.iter().map(|delivery| delivery.summary());
    let said: Vec<_> = jobs.into_iter().chain(said).take(10).collect();
    let message = format!(
        "{} have not ended after {} s: {}",
        counts.join(" and "),
        timeout.as_secs_f64(),
        said.join("; "),
    );
    let error = json!({"code": "not_settled", "message": message});
    let body = json!({"error": error, "data": pending});
    Ok(reply::json(StatusCode::REQUEST_TIMEOUT, &body))
}

fn seconds(text: &str) -> Result<Duration, ApiError> {
    let seconds = text.parse().ok();
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.ok_or_else(|| {
        ApiError::invalid(TIMEOUT, format!("timeout={text} is no number of seconds."))
    })
}

async fn misbehave(State(shared): State<Arc<Shared>>, body: Bytes) -> ApiResult {
    let misbehaviour: Misbehaviour = read(&body)?;
    shared.misbehave(misbehaviour.clone());
    Ok(data(misbehaviour))
}

async fn state(State(shared): State<Arc<Shared>>) -> Response {
    let state = shared.state();
    let endpoints = state.endpoints.iter();
    let endpoints: Vec<_> = endpoints
        .map(|endpoint: &Endpoint| json!(endpoint.v1(&shared.username)))
        .collect();
    data(json!({
        "endpoints": endpoints,
        "events": state.log_len(),
        "deliveries": state.deliveries.len(),
        "jobs": state.jobs.len(),
        "settled": state.settled(),
        "misbehaviour": state.misbehaviour,
        "notes": state.notes(),
    }))
}

async fn reset(State(shared): State<Arc<Shared>>) -> Response {
    shared.reset();
    data(json!({}))
}

/// Registers an endpoint as the v3 operation does, if need be with a given secret.
async fn register(State(shared): State<Arc<Shared>>, body: Bytes) -> ApiResult {
    let new = read::<RegistrationRequest>(&body)?.endpoint()?;
    let endpoint = shared.create_endpoint(new).await?;
    Ok(data(endpoint.v1(&shared.username)))
}

/// Sets the status of an endpoint, which no operation of HeyGen does.
async fn set_status(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    body: Bytes,
) -> ApiResult {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Status {
        status: String,
    }
    let Status { status } = read(&body)?;
    let mut state = shared.state();
    let endpoint = state.endpoint_mut(&id)?;
    endpoint.status = status;
    Ok(data(endpoint.v1(&shared.username)))
}

const TIMEOUT: &str = "timeout";

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::body(format_args!("is invalid: {error}.")))
}
