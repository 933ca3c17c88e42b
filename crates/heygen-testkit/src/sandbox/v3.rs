//! The seven operations of v3.
//!
//! # Source
//!
//! HeyGen's API reference, v3: paths, fields, limits and envelopes are documented. Assumed are: `null` for `events` in an
//! update means all, an empty list means none, the log begins with the newest, an endpoint that does not exist is told
//! before a body that does not fit, and the address is probed as in v1.

use std::{cmp::Reverse, sync::Arc};

use heygen_events::EventType;
use serde::Serialize;
use serde_json::json;

use super::{
    endpoints::{self, Change, NewEndpoint},
    idempotency,
    input::{self, Call, ENTITY_ID, Fields, URL},
    operation::Operation,
    paging::{List, Page},
    refusal::{Api, Refusal},
    reply::Reply,
    shared::Shared,
};

pub(super) async fn create(shared: &Arc<Shared>, call: &Call) -> Result<Reply, Refusal> {
    let work = async {
        let fields = Fields::read(&call.body)?;
        let url = fields.text(URL)?.ok_or(Refusal::Missing(URL))?;
        input::address(&url, Api::V3)?;
        let new = NewEndpoint {
            url,
            events: fields.events()?.flatten(),
            entity_id: fields.text(ENTITY_ID)?,
        };
        let endpoint = endpoints::create(shared, new).await?;
        Ok(data(endpoint.v3(true)))
    };
    idempotency::once(shared, Operation::Create, call, work).await
}

pub(super) fn list(shared: &Shared, call: &Call) -> Result<Reply, Refusal> {
    let request = shared.tokens.request(List::Endpoints, &call.query)?;
    let state = shared.state();
    let endpoints = state.endpoints.iter();
    let items = endpoints.map(|endpoint| (endpoint.position, endpoint.v3(false)));
    Ok(Reply::ok(&shared.tokens.page(&request, items)))
}

pub(super) async fn update(shared: &Arc<Shared>, call: &Call) -> Result<Reply, Refusal> {
    shared.state().endpoint_mut(&call.id)?;
    let fields = Fields::read(&call.body)?;
    let change = Change {
        url: fields.text(URL)?,
        events: fields.events()?,
    };
    if let Some(url) = &change.url {
        input::address(url, Api::V3)?;
    }
    let endpoint = endpoints::update(shared, &call.id, change).await?;
    Ok(data(endpoint.v3(false)))
}

pub(super) fn delete(shared: &Shared, call: &Call) -> Result<Reply, Refusal> {
    shared.state().delete_endpoint(&call.id)?;
    Ok(Reply::ok(&json!({"data": {}, "error": null})))
}

pub(super) async fn rotate_secret(shared: &Arc<Shared>, call: &Call) -> Result<Reply, Refusal> {
    let work = async {
        let secret = endpoints::rotate_secret(shared, &call.id)?;
        Ok(data(
            json!({"endpoint_id": call.id, "secret": secret.expose()}),
        ))
    };
    idempotency::once(shared, Operation::RotateSecret, call, work).await
}

/// The parameters of a page are not in HeyGen's reference of this operation: they are not looked at.
pub(super) fn event_types() -> Reply {
    let described = EventType::DOCUMENTED.iter().map(|event_type| {
        json!({"event_type": event_type.as_str(), "description": event_type.description()})
    });
    Reply::ok(&Page::whole(described.collect()))
}

pub(super) fn events(shared: &Shared, call: &Call) -> Result<Reply, Refusal> {
    let request = shared.tokens.request(List::Events, &call.query)?;
    let event_type = call.query.get(EVENT_TYPE);
    if let Some(name) = event_type {
        input::event_type(EVENT_TYPE, name)?;
    }
    let entity_id = call.query.get(ENTITY_ID);
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
    let items = items.into_iter();
    Ok(Reply::ok(&shared.tokens.page(&request, items)))
}

/// `{"data": …}`
pub(super) fn data(data: impl Serialize) -> Reply {
    #[derive(Serialize)]
    struct Envelope<T> {
        data: T,
    }
    Reply::ok(&Envelope { data })
}

const EVENT_TYPE: &str = "event_type";
