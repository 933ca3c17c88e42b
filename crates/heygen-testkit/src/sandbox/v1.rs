//! The five operations of v1.
//!
//! # Source
//!
//! HeyGen's OpenAPI text of v1 documents paths, fields, envelopes, the codes 400131 and 400542, and
//! that an update without `url` changes nothing. Assumed: an update without `events` keeps them,
//! and a new URL is probed like the first one. Answers observed in 2025 also had `"message": null`.

use std::sync::Arc;

use axum::{
    extract::{Query, State},
    response::Response,
};
use bytes::Bytes;
use heygen_events::EventType;
use serde::Serialize;

use super::{
    api_error::{Api, ApiError, ApiResult, URL},
    input::{self, Fields, Params},
    registration::{Change, NewEndpoint},
    reply,
    shared::Shared,
};

pub(super) async fn add(State(shared): State<Arc<Shared>>, body: Bytes) -> ApiResult {
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

pub(super) async fn update(State(shared): State<Arc<Shared>>, body: Bytes) -> ApiResult {
    let fields = Fields::read(&body)?;
    let id = fields.text(ENDPOINT_ID)?;
    let id = id.ok_or(ApiError::Missing(ENDPOINT_ID))?;
    let Some(url) = fields.text(URL)? else {
        // Other fields are ignored, without an error.
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
) -> ApiResult {
    let id = params.get(ENDPOINT_ID);
    let id = id.ok_or(ApiError::Missing(ENDPOINT_ID))?;
    shared.state().delete_endpoint(id)?;
    Ok(success(()))
}

pub(super) async fn event_types() -> Response {
    let names = EventType::KNOWN.iter().map(EventType::as_str);
    let names: Vec<_> = names.filter(|name| is_in_v1(name)).collect();
    success(names)
}

/// HeyGen's documentation of v1 does not list the families that were added with v3.
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
