//! The operations of v1. **Deprecated: use [`v3`](crate::v3).**
//!
//! HeyGen announced the end of v1 for 2026-10-31. That day has passed; no report of the actual end
//! is known. Once v1 is gone, expect [`NotFound`](crate::ApiErrorKind::NotFound) (404 or 410,
//! assumed) from every operation. The module stays available for accounts where v1 still answers.
//!
//! # Wire shape
//!
//! A success is `{"code": 100, "data": …, "msg": null}`, with `"message": null` in some editions of
//! the documentation. Any other `code` is an error, with status 200 too.
//!
//! # Errors
//!
//! Every operation can fail with every [`ApiErrorKind`](crate::ApiErrorKind); the sections below
//! name the likely ones. Two codes of the webhook operations are documented. 400131 with status
//! 404: the endpoint does not exist (and v1 still answers). 400542 with status 400: `url` is
//! invalid. Other kinds come from the status and from v1's general codes.
//!
//! # Source
//!
//! HeyGen's OpenAPI text of v1 and v2 (`heygen-api 4.0.8`): documented.

use heygen_events::EventType;
use heygen_events::id::EndpointId;
use serde_json::value::RawValue;

use crate::answer::{Answer, value};
use crate::call::{Call, segment};
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::error::response::V1_NO_SUCH_ENDPOINT;
use crate::fields::Mismatch;
use crate::transport::Transport;

mod endpoint_update;

pub use crate::v3::NewEndpoint;
pub use endpoint_update::EndpointUpdate;

/// The operations of v1, on the connections of a [`Client`](crate::Client).
#[derive(Clone, Copy, Debug)]
pub struct V1<'a> {
    pub(crate) transport: &'a Transport,
}

impl V1<'_> {
    /// Creates an endpoint and returns it with its secret.
    ///
    /// v1 accepts no idempotency key. If [`ApiError::outcome_unknown`] is true, list the endpoints
    /// before you try again; otherwise there may be two.
    ///
    /// # Wire shape
    ///
    /// `POST /v1/webhook/endpoint.add` with `{"url": string, "events": [string], "entity_id":
    /// string}`. `events` is omitted for all events, `entity_id` for an endpoint that is not
    /// limited to one resource. HeyGen sends `OPTIONS` to `url` and waits 1 s for the answer.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`](crate::ApiErrorKind::InvalidParameter) with code 400542 and
    /// [`param`](ApiError::param) `url` if HeyGen rejects the URL. That this includes a failed
    /// probe is assumed.
    ///
    /// # Source
    ///
    /// HeyGen documentation, “Add a Webhook Endpoint”: documented.
    pub async fn add_endpoint(&self, endpoint: &NewEndpoint) -> Result<Endpoint, ApiError> {
        let call = Call::post(&["v1", "webhook", "endpoint.add"], endpoint.to_json());
        read_endpoint(&self.transport.send(&call).await?)
    }

    /// Lists all endpoints with their secrets. v1 has no pages.
    ///
    /// # Wire shape
    ///
    /// `GET /v1/webhook/endpoint.list`; `data` is an array.
    ///
    /// # Errors
    ///
    /// [`Authentication`](crate::ApiErrorKind::Authentication), as for every operation.
    ///
    /// # Source
    ///
    /// HeyGen documentation, “List Webhook Endpoints”: documented.
    pub async fn list_endpoints(&self) -> Result<Vec<Endpoint>, ApiError> {
        let call = Call::get(&["v1", "webhook", "endpoint.list"]);
        self.transport.send(&call).await?.list(Endpoint::read_item)
    }

    /// Changes an endpoint and returns it as the server stored it.
    ///
    /// # Wire shape
    ///
    /// `PATCH /v1/webhook/endpoint.update` with
    /// `{"endpoint_id": string, "url": string, "events": [string] or null}`, always all three: see
    /// [`EndpointUpdate`].
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ApiErrorKind::NotFound) with code 400131 if the endpoint does not exist.
    /// [`InvalidParameter`](crate::ApiErrorKind::InvalidParameter) with code 400542 if HeyGen
    /// rejects the URL.
    ///
    /// # Source
    ///
    /// HeyGen documentation, “Webhook Events” and “Update a Webhook Endpoint”: documented.
    pub async fn update_endpoint(&self, update: &EndpointUpdate) -> Result<Endpoint, ApiError> {
        segment(update.endpoint_id())?;
        let call = Call::patch(&["v1", "webhook", "endpoint.update"], update.to_json());
        read_endpoint(&self.transport.send(&call).await?)
    }

    /// Deletes an endpoint permanently.
    ///
    /// If an attempt ends without an answer and the retry gets code 400131, the endpoint is
    /// deleted: that is a success. A 404 without this code proves nothing, because v1 as a whole
    /// may answer it one day.
    ///
    /// # Wire shape
    ///
    /// `DELETE /v1/webhook/endpoint.delete?endpoint_id=…`. `data` is `null`; an empty body is a
    /// success too.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ApiErrorKind::NotFound) with code 400131 if the endpoint does not exist.
    ///
    /// # Source
    ///
    /// HeyGen documentation, “Webhook Events” and “Delete a Webhook Endpoint”: documented.
    pub async fn delete_endpoint(&self, endpoint_id: &EndpointId) -> Result<(), ApiError> {
        let id = segment(endpoint_id)?;
        let call = Call::delete(&["v1", "webhook", "endpoint.delete"]);
        let call = call.query("endpoint_id", Some(id));
        let gone = Some(V1_NO_SUCH_ENDPOINT);
        self.transport.delete(&call, gone).await
    }

    /// Lists the names of the events that can be subscribed to.
    ///
    /// # Wire shape
    ///
    /// `GET /v1/webhook/webhook.list`; `data` is an array of strings.
    ///
    /// # Errors
    ///
    /// [`Authentication`](crate::ApiErrorKind::Authentication), as for every operation.
    ///
    /// # Source
    ///
    /// HeyGen documentation, “List Available Webhook Events”: documented.
    pub async fn list_event_names(&self) -> Result<Vec<EventType>, ApiError> {
        let call = Call::get(&["v1", "webhook", "webhook.list"]);
        self.transport.send(&call).await?.list(read_name)
    }
}

fn read_endpoint(answer: &Answer) -> Result<Endpoint, ApiError> {
    Endpoint::read(answer.object()?).map_err(|mismatch| answer.unexpected(&mismatch))
}

fn read_name(raw: &RawValue, path: &str) -> Result<EventType, Mismatch> {
    let value = value(raw, path)?;
    let name = value
        .as_str()
        .ok_or(Mismatch::new(path, "is not a string"))?;
    Ok(EventType::from(name))
}
