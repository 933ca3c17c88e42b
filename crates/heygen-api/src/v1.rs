//! The operations of v1, which HeyGen retires on 2026-11-01. From then on expect
//! [`NotFound`](crate::ErrorKind::NotFound) (404 or 410, assumed) from all of them: use [`v3`](crate::v3).
//!
//! # Wire shape
//!
//! A success is `{"code": 100, "data": …, "msg": null, "message": null}`. Any other `code` is a refusal, with status 200 too.
//!
//! # Errors
//!
//! Every operation can give every [`ErrorKind`](crate::ErrorKind); its own section tells what to expect. No code of v1's webhook
//! operations is documented, so kinds are told by the status and by v1's general codes.

use heygen_events::EventType;
use heygen_events::id::EndpointId;
use serde_json::value::RawValue;

use crate::answer::{Answer, value};
use crate::call::{Call, segment};
use crate::fields::Misfit;
use crate::{ApiError, Client, Endpoint};

mod endpoint;

pub use endpoint::{EndpointUpdate, NewEndpoint};

/// The operations of v1, on the connections of a [`Client`].
#[derive(Clone, Copy, Debug)]
pub struct V1<'a> {
    pub(crate) client: &'a Client,
}

impl V1<'_> {
    /// Adds an endpoint and returns it with its secret.
    ///
    /// v1 takes no idempotency key. When [`ApiError::outcome_unknown`] says so, list the endpoints before trying again, or there
    /// may be two.
    ///
    /// # Wire shape
    ///
    /// `POST /v1/webhook/endpoint.add` with `{"url": string, "events": [string]}`; `events` is left out for all events. HeyGen
    /// tries `url` with an `OPTIONS` request and waits 1 s for the answer.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`](crate::ErrorKind::InvalidParameter) when the address does not answer the probe: assumed.
    ///
    /// # Source
    ///
    /// HeyGen documentation, “Add a Webhook Endpoint”: documented.
    pub async fn add_endpoint(&self, endpoint: &NewEndpoint) -> Result<Endpoint, ApiError> {
        let call = Call::post(&["v1", "webhook", "endpoint.add"], endpoint.to_json());
        read_endpoint(&self.client.send(&call).await?)
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
        self.client.send(&call).await?.list(Endpoint::read_item)
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
    /// [`InvalidParameter`](crate::ErrorKind::InvalidParameter) or [`NotFound`](crate::ErrorKind::NotFound) when there is no such
    /// endpoint: assumed.
    ///
    /// # Source
    ///
    /// HeyGen documentation, “Webhook Events”, “Update a Registered Webhook Endpoint”: documented. That a changed endpoint is
    /// returned is inferred from what is said of an unchanged one.
    pub async fn update_endpoint(&self, update: &EndpointUpdate) -> Result<Endpoint, ApiError> {
        segment(update.endpoint_id())?;
        let call = Call::patch(&["v1", "webhook", "endpoint.update"], update.to_json());
        read_endpoint(&self.client.send(&call).await?)
    }

    /// Deletes an endpoint for good.
    ///
    /// # Wire shape
    ///
    /// `DELETE /v1/webhook/endpoint.delete?endpoint_id=…`; `data` is `null`, and no body is taken too.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`](crate::ErrorKind::InvalidParameter) or [`NotFound`](crate::ErrorKind::NotFound) when there is no such
    /// endpoint: assumed. After an attempt without an answer either may mean that it is deleted.
    ///
    /// # Source
    ///
    /// HeyGen documentation, “Webhook Events”, “Delete a Registered Webhook Endpoint”: documented.
    pub async fn delete_endpoint(&self, endpoint_id: &EndpointId) -> Result<(), ApiError> {
        let id = segment(endpoint_id)?;
        // “Not found” proves nothing here: it is also what v1 as a whole will be.
        let call = Call::delete(&["v1", "webhook", "endpoint.delete"]);
        self.client
            .send(&call.query("endpoint_id", Some(id)))
            .await?;
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
        self.client.send(&call).await?.list(read_name)
    }
}

fn read_endpoint(answer: &Answer) -> Result<Endpoint, ApiError> {
    Endpoint::read(answer.object()?).map_err(|misfit| answer.unexpected(&misfit))
}

fn read_name(raw: &RawValue, place: &str) -> Result<EventType, Misfit> {
    let value = value(raw, place)?;
    let name = value.as_str().ok_or(Misfit::new(place, "is not a text"))?;
    Ok(EventType::from(name))
}
