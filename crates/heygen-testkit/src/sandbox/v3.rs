//! The seven operations of v3.
//!
//! # Source
//!
//! HeyGen's API reference, v3: paths, fields, limits and envelopes are documented. Assumed: `null`
//! for `events` in an update means all, an empty list means none, the log starts with the newest
//! event, an unknown endpoint is reported before an invalid body, and the URL is probed as in v1.

use std::{cmp::Reverse, sync::Arc};

use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use bytes::Bytes;
use heygen_events::EventType;
use http::StatusCode;
use serde_json::json;

use super::{
    api_error::{Api, ApiResult, URL},
    clock,
    input::{self, ENTITY_ID, Fields, Params},
    paging::{List, Page},
    registration::{Change, NewEndpoint},
    reply::{self, data},
    shared::Shared,
};

pub(super) async fn create(State(shared): State<Arc<Shared>>, body: Bytes) -> ApiResult {
    let new = NewEndpoint::read(&body, Api::V3)?;
    let endpoint = shared.create_endpoint(new).await?;
    Ok(data(endpoint.v3(true)))
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Query(params): Query<Params>,
) -> ApiResult {
    let request = shared.tokens.request(List::Endpoints, &params)?;
    let state = shared.state();
    let endpoints = state.endpoints.iter();
    let items = endpoints.map(|endpoint| (endpoint.position, endpoint.v3(false)));
    let page = shared.tokens.page(&request, items);
    Ok(reply::json(StatusCode::OK, &page))
}

pub(super) async fn update(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    body: Bytes,
) -> ApiResult {
    shared.state().endpoint_mut(&id)?;
    let fields = Fields::read(&body)?;
    let change = Change {
        url: fields.text(URL)?,
        events: fields.events()?,
    };
    if let Some(url) = &change.url {
        input::address(url, Api::V3)?;
    }
    let endpoint = shared.update_endpoint(&id, change).await?;
    Ok(data(endpoint.v3(false)))
}

pub(super) async fn delete(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> ApiResult {
    shared.state().delete_endpoint(&id)?;
    let deleted = json!({"data": {}, "error": null});
    Ok(reply::json(StatusCode::OK, &deleted))
}

/// Replaces the secret. The old one signs nothing from now on.
pub(super) async fn rotate_secret(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> ApiResult {
    let secret = clock::new_secret();
    shared.state().endpoint_mut(&id)?.secret = secret.clone();
    Ok(data(json!({"endpoint_id": id, "secret": secret.expose()})))
}

/// HeyGen's reference of this operation has no page parameters: they are ignored.
pub(super) async fn event_types() -> Response {
    let described = EventType::KNOWN.iter().map(|event_type| {
        json!({"event_type": event_type.as_str(), "description": event_type.description()})
    });
    reply::json(StatusCode::OK, &Page::whole(described.collect()))
}

pub(super) async fn events(
    State(shared): State<Arc<Shared>>,
    Query(params): Query<Params>,
) -> ApiResult {
    let request = shared.tokens.request(List::Events, &params)?;
    let event_type = params.get(EVENT_TYPE);
    if let Some(name) = event_type {
        input::event_type(EVENT_TYPE, name)?;
    }
    let entity_id = params.get(ENTITY_ID);
    let state = shared.state();
    let wanted = state.log().filter(|record| {
        event_type.is_none_or(|name| record.event_type == name)
            && entity_id.is_none_or(|id| record.entity_id.as_deref() == Some(id))
    });
    let order = state.misbehaviour.log_order;
    let mut items: Vec<_> = wanted
        .map(|record| (order.rank(record.position), record))
        .collect();
    items.sort_unstable_by_key(|(rank, _)| Reverse(*rank));
    let page = shared.tokens.page(&request, items.into_iter());
    Ok(reply::json(StatusCode::OK, &page))
}

const EVENT_TYPE: &str = "event_type";
