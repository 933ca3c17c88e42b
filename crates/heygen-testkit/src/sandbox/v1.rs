//! The five operations of v1.
//!
//! # Source
//!
//! HeyGen's OpenAPI text of v1: paths, fields, envelopes and the codes 400131 and 400542 are documented, and so is that an update
//! without `url` changes nothing. Assumed are: an update without `events` leaves them, a new address is probed as a first one is.
//! Answers observed in 2025 had `"message": null` too.

use std::sync::Arc;

use axum::{
    extract::{Query, State},
    response::Response,
};
use bytes::Bytes;
use heygen_events::EventType;
use serde::Serialize;

use super::{
    input::{self, Fields, Params},
    refusal::{Api, Refusal, URL},
    registration::{Change, NewEndpoint},
    reply,
    shared::Shared,
};

type Answer = Result<Response, Refusal>;

pub(super) async fn add(State(shared): State<Arc<Shared>>, body: Bytes) -> Answer {
    let new = NewEndpoint::read(&body, Api::V1)?;
    let endpoint = shared.create_endpoint(new).await?;
    Ok(success(endpoint.v1_added(&shared.username)))
}

pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Response {
    let state = shared.state();
    let endpoints = state.endpoints.iter();
    let all: Vec<_> = endpoints
        .map(|endpoint| endpoint.v1(&shared.username))
        .collect();
    success(all)
}

pub(super) async fn update(State(shared): State<Arc<Shared>>, body: Bytes) -> Answer {
    let fields = Fields::read(&body)?;
    let id = fields.text(ENDPOINT_ID)?;
    let id = id.ok_or(Refusal::Missing(ENDPOINT_ID))?;
    let Some(url) = fields.text(URL)? else {
        // Neither is looked at what else there is, nor said that it was not.
        let mut state = shared.state();
        let endpoint = state.endpoint_mut(&id)?;
        return Ok(success(endpoint.v1(&shared.username)));
    };
    input::address(&url, Api::V1)?;
    let change = Change {
        url: Some(url),
        events: fields.events()?,
    };
    let endpoint = shared.update_endpoint(&id, change).await?;
    Ok(success(endpoint.v1(&shared.username)))
}

pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Query(params): Query<Params>,
) -> Answer {
    let id = params.get(ENDPOINT_ID);
    let id = id.ok_or(Refusal::Missing(ENDPOINT_ID))?;
    shared.state().delete_endpoint(id)?;
    Ok(success(()))
}

pub(super) async fn event_types() -> Response {
    let names = EventType::KNOWN.iter().map(EventType::as_str);
    let names: Vec<_> = names.filter(|name| is_in_v1(name)).collect();
    success(names)
}

/// HeyGen's page of v1 does not have the families that came with v3.
fn is_in_v1(name: &str) -> bool {
    let came_later = [
        "avatar_video_caption.",
        "video_translate.preflight.",
        "hyperframes_video.",
        "ai_clipping.",
        "batch.",
    ];
    !came_later.iter().any(|family| name.starts_with(family))
}

/// `{"code": 100, "data": …, "msg": null}`
fn success(data: impl Serialize) -> Response {
    #[derive(Serialize)]
    struct Envelope<T> {
        code: u32,
        data: T,
        msg: Option<()>,
    }
    reply::spaced(&Envelope {
        code: 100,
        data,
        msg: None,
    })
}

const ENDPOINT_ID: &str = "endpoint_id";
