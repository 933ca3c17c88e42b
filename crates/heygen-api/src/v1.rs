//! The operations of v1, whose end HeyGen announced for 2026-10-31: use [`v3`](crate::v3). No report of the end is known; after it
//! expect [`NotFound`](crate::ErrorKind::NotFound) (404 or 410, assumed) from all of them.
//!
//! # Wire shape
//!
//! A success is `{"code": 100, "data": …, "msg": null}`, with `"message": null` in some editions of the pages. Any other `code` is a
//! refusal, with status 200 too.
//!
//! # Errors
//!
//! Every operation can give every [`ErrorKind`](crate::ErrorKind); its own section tells what to expect. Two codes of the webhook
//! operations are documented: 400131, with status 404, says that there is no such endpoint, and so that v1 still answers; 400542,
//! with status 400, that `url` is invalid. Other kinds are told by the status and by v1's general codes.
//!
//! # Source
//!
//! HeyGen's OpenAPI text of v1 and v2 (`heygen-api 4.0.8`): documented.

use heygen_events::EventType;
use heygen_events::id::EndpointId;
use serde_json::value::RawValue;

use crate::answer::{Answer, value};
use crate::call::{Call, Gone, segment};
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::error::refusal::V1_NO_SUCH_ENDPOINT;
use crate::fields::Mismatch;
use crate::transport::Transport;

mod endpoint;

pub use endpoint::{EndpointUpdate, NewEndpoint};

/// The operations of v1, on the connections of a [`Client`](crate::Client).
#[derive(Clone, Copy, Debug)]
pub struct V1<'a> {
    pub(crate) transport: &'a Transport,
}

impl V1<'_> {
    /// Adds an endpoint and returns it with its secret.
    ///
    /// v1 takes no idempotency key. When [`ApiError::outcome_unknown`] says so, list the endpoints before trying again, or there
    /// may be two.
    ///
    /// # Wire shape
    ///
    /// `POST /v1/webhook/endpoint.add` with `{"url": string, "events": [string], "entity_id": string}`; `events` is left out for all
    /// events, `entity_id` where the endpoint is not limited to one resource. HeyGen tries `url` with an `OPTIONS` request and waits
    /// 1 s for the answer.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`](crate::ErrorKind::InvalidParameter) with code 400542 and [`param`](ApiError::param) `url` when HeyGen
    /// does not take the address; that it says so of one that does not answer the probe is assumed.
    ///
    /// # Source
    ///
    /// HeyGen documentation, “Add a Webhook Endpoint”: documented.
    pub async fn add_endpoint(&self, endpoint: &NewEndpoint) -> Result<Endpoint, ApiError> {
        let call = Call::post(&["v1", "webhook", "endpoint.add"], endpoint.to_json());
        read_endpoint(&self.transport.send(&call).await?)
    }

    /// All endpoints, with their secrets. v1 has no pages.
    ///
    /// # Wire shape
    ///
    /// `GET /v1/webhook/endpoint.list`; `data` is an array.
    ///
    /// # Errors
    ///
    /// [`Authentication`](crate::ErrorKind::Authentication), as everywhere.
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
    /// `PATCH /v1/webhook/endpoint.update` with `{"endpoint_id": string, "url": string, "events": [string] or null}`, always all
    /// three: see [`EndpointUpdate`].
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) with code 400131 when there is no such endpoint;
    /// [`InvalidParameter`](crate::ErrorKind::InvalidParameter) with code 400542 when HeyGen does not take the address.
    ///
    /// # Source
    ///
    /// HeyGen documentation, “Webhook Events” and “Update a Webhook Endpoint”: documented.
    pub async fn update_endpoint(&self, update: &EndpointUpdate) -> Result<Endpoint, ApiError> {
        segment(update.endpoint_id())?;
        let call = Call::patch(&["v1", "webhook", "endpoint.update"], update.to_json());
        read_endpoint(&self.transport.send(&call).await?)
    }

    /// Deletes an endpoint for good.
    ///
    /// Where an attempt ended without an answer and the next one is told that there is no such endpoint (code 400131), it is
    /// deleted. A 404 without that code proves nothing: it is also what v1 as a whole may answer one day.
    ///
    /// # Wire shape
    ///
    /// `DELETE /v1/webhook/endpoint.delete?endpoint_id=…`; `data` is `null`, and no body is taken too.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) with code 400131 when there is no such endpoint.
    ///
    /// # Source
    ///
    /// HeyGen documentation, “Webhook Events” and “Delete a Webhook Endpoint”: documented.
    pub async fn delete_endpoint(&self, endpoint_id: &EndpointId) -> Result<(), ApiError> {
        let id = segment(endpoint_id)?;
        let call = Call::delete(&["v1", "webhook", "endpoint.delete"])
            .query("endpoint_id", Some(id))
            .done_if(Gone::Code(V1_NO_SUCH_ENDPOINT));
        self.transport.send(&call).await?;
        Ok(())
    }

    /// The names of the events that can be subscribed to.
    ///
    /// # Wire shape
    ///
    /// `GET /v1/webhook/webhook.list`; `data` is an array of strings.
    ///
    /// # Errors
    ///
    /// [`Authentication`](crate::ErrorKind::Authentication), as everywhere.
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

fn read_name(raw: &RawValue, place: &str) -> Result<EventType, Mismatch> {
    let value = value(raw, place)?;
    let name = value
        .as_str()
        .ok_or(Mismatch::new(place, "is not a text"))?;
    Ok(EventType::from(name))
}
