//! The operations of v3: REST paths, pages, idempotency keys.
//!
//! # Wire shape
//!
//! A success is `{"data": …}`, lists add `has_more` and `next_token`; a refusal is
//! `{"error": {"code", "message", "param", "doc_url"}}`. Any 2xx is a success.
//!
//! # Errors
//!
//! Every operation can give every [`ErrorKind`](crate::ErrorKind) but those its own section leaves out; what is told there is what
//! a caller should expect.

use std::sync::Arc;

use heygen_events::id::EndpointId;

use crate::answer::Answer;
use crate::call::{Call, Gone, segment};
use crate::transport::Transport;
use crate::{ApiError, Endpoint, IdempotencyKey, Listing, Page, PageRequest};

mod endpoint;
mod event;
mod event_type;

pub use endpoint::{EndpointUpdate, NewEndpoint, RotatedSecret};
pub use event::{EventQuery, LoggedEvent};
pub use event_type::EventTypeEntry;

/// The operations of v3, on the connections of a [`Client`](crate::Client).
#[derive(Clone, Copy, Debug)]
pub struct V3<'a> {
    pub(crate) transport: &'a Arc<Transport>,
}

impl V3<'_> {
    /// Adds an endpoint and returns it with its secret, which v3 shows here and in
    /// [`rotate_secret`](Self::rotate_secret) alone: keep it.
    ///
    /// A fresh [`IdempotencyKey`] goes with it, so that repeating after a lost answer makes one endpoint, not two. Should all
    /// attempts fail, the key is in the error, for [`create_endpoint_with_key`](Self::create_endpoint_with_key).
    ///
    /// # Wire shape
    ///
    /// `POST /v3/webhooks/endpoints` with `{"url": string, "events": [string], "entity_id": string}`; `events` is left out for all
    /// events.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`](crate::ErrorKind::InvalidParameter) when the address is not one that HeyGen takes: it has to be public
    /// `https`, and may have to answer a probe. The code for a failed probe is not documented.
    ///
    /// # Source
    ///
    /// HeyGen's API reference, “Create Webhook Endpoint”: documented.
    pub async fn create_endpoint(&self, endpoint: &NewEndpoint) -> Result<Endpoint, ApiError> {
        let key = IdempotencyKey::generate()?;
        self.create_endpoint_with_key(endpoint, &key).await
    }

    /// [`create_endpoint`](Self::create_endpoint) with a key of yours: for 24 h the same key gets the same answer, even for another
    /// endpoint.
    ///
    /// # Errors
    ///
    /// As there, and [`Conflict`](crate::ErrorKind::Conflict) with the code `request_in_progress` while an earlier request with
    /// this key is still at work.
    pub async fn create_endpoint_with_key(
        &self,
        endpoint: &NewEndpoint,
        key: &IdempotencyKey,
    ) -> Result<Endpoint, ApiError> {
        let call = Call::post_once(ENDPOINTS, key).body(endpoint.to_json());
        read_endpoint(&self.transport.send(&call).await?)
    }

    /// One page of the endpoints, without their secrets.
    ///
    /// # Wire shape
    ///
    /// `GET /v3/webhooks/endpoints?limit=…&token=…`.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`](crate::ErrorKind::InvalidParameter) when HeyGen does not take the limit or the token.
    ///
    /// # Source
    ///
    /// HeyGen's API reference, “List Webhook Endpoints”: documented. Whether endpoints added through v1 are listed is not.
    pub async fn list_endpoints(&self, page: &PageRequest) -> Result<Page<Endpoint>, ApiError> {
        let call = paged(Call::get(ENDPOINTS), page);
        let answer = self.transport.send(&call).await?;
        answer.page(page, Endpoint::read_item)
    }

    /// All endpoints, 100 to a page.
    #[must_use]
    pub fn endpoints_all(&self) -> Listing<Endpoint> {
        let transport = Arc::clone(self.transport);
        Listing::new(PageRequest::new().limit(LONGEST_PAGE), move |page| {
            let transport = Arc::clone(&transport);
            async move {
                V3 {
                    transport: &transport,
                }
                .list_endpoints(&page)
                .await
            }
        })
    }

    /// Changes an endpoint and returns it as the server stored it. What the update does not name stays as it is.
    ///
    /// # Wire shape
    ///
    /// `PATCH /v3/webhooks/endpoints/{endpoint_id}` with `{"url": string, "events": [string] or null}`, either or both. A list
    /// replaces the old one whole.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) when there is no such endpoint.
    ///
    /// # Source
    ///
    /// HeyGen's API reference, “Update Webhook Endpoint”: documented. That `"events": null` means all events here is assumed: see
    /// [`EndpointUpdate::events`].
    pub async fn update_endpoint(
        &self,
        endpoint_id: &EndpointId,
        update: &EndpointUpdate,
    ) -> Result<Endpoint, ApiError> {
        let path = [ENDPOINTS, &[segment(endpoint_id)?]].concat();
        let call = Call::patch(&path, update.to_json());
        read_endpoint(&self.transport.send(&call).await?)
    }

    /// Deletes an endpoint for good.
    ///
    /// Where an attempt ended without an answer and the next one finds no such endpoint, it is deleted.
    ///
    /// # Wire shape
    ///
    /// `DELETE /v3/webhooks/endpoints/{endpoint_id}`. The answer is `{"data": {}, "error": null}`; `{}` and no body are taken too.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) when there is no such endpoint.
    ///
    /// # Source
    ///
    /// HeyGen's API reference, “Delete Webhook Endpoint”: documented.
    pub async fn delete_endpoint(&self, endpoint_id: &EndpointId) -> Result<(), ApiError> {
        let path = [ENDPOINTS, &[segment(endpoint_id)?]].concat();
        let call = Call::delete(&path).done_if(Gone::NotFound);
        self.transport.send(&call).await?;
        Ok(())
    }

    /// Replaces the secret of an endpoint. The old one is invalid at once, so have the receiver accept both for a while.
    ///
    /// A fresh [`IdempotencyKey`] goes with it, as in [`create_endpoint`](Self::create_endpoint).
    ///
    /// # Wire shape
    ///
    /// `POST /v3/webhooks/endpoints/{endpoint_id}/rotate-secret` without a body; `{"data": {"endpoint_id", "secret"}}` comes back.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) when there is no such endpoint.
    ///
    /// # Source
    ///
    /// HeyGen's API reference, “Rotate Webhook Signing Secret”: documented. Which secret signs a delivery that was waiting is not.
    pub async fn rotate_secret(&self, endpoint_id: &EndpointId) -> Result<RotatedSecret, ApiError> {
        let key = IdempotencyKey::generate()?;
        self.rotate_secret_with_key(endpoint_id, &key).await
    }

    /// [`rotate_secret`](Self::rotate_secret) with a key of yours: for 24 h the same key gets the same secret for this endpoint.
    ///
    /// # Errors
    ///
    /// As there, and [`Conflict`](crate::ErrorKind::Conflict) with the code `request_in_progress` while an earlier request with
    /// this key is still at work.
    pub async fn rotate_secret_with_key(
        &self,
        endpoint_id: &EndpointId,
        key: &IdempotencyKey,
    ) -> Result<RotatedSecret, ApiError> {
        let path = [ENDPOINTS, &[segment(endpoint_id)?, "rotate-secret"]].concat();
        let answer = self.transport.send(&Call::post_once(&path, key)).await?;
        RotatedSecret::read(answer.object()?, endpoint_id)
            .map_err(|mismatch| answer.unexpected(&mismatch))
    }

    /// One page of the events that can be subscribed to, as HeyGen offers them now.
    ///
    /// # Wire shape
    ///
    /// `GET /v3/webhooks/event-types`. The answer has the shape of a page; that the query takes `limit` and `token` as elsewhere is
    /// assumed, and a plain [`PageRequest`] sends neither.
    ///
    /// # Errors
    ///
    /// [`Authentication`](crate::ErrorKind::Authentication), as everywhere: it is the cheapest question to check a key with.
    ///
    /// # Source
    ///
    /// HeyGen's API reference, “List Webhook Event Types”: documented.
    pub async fn list_event_types(
        &self,
        page: &PageRequest,
    ) -> Result<Page<EventTypeEntry>, ApiError> {
        let call = paged(Call::get(&["v3", "webhooks", "event-types"]), page);
        let answer = self.transport.send(&call).await?;
        answer.page(page, EventTypeEntry::read_item)
    }

    /// All events that can be subscribed to.
    #[must_use]
    pub fn event_types_all(&self) -> Listing<EventTypeEntry> {
        let transport = Arc::clone(self.transport);
        Listing::new(PageRequest::new(), move |page| {
            let transport = Arc::clone(&transport);
            async move {
                V3 {
                    transport: &transport,
                }
                .list_event_types(&page)
                .await
            }
        })
    }

    /// One page of the log of delivered events.
    ///
    /// # Wire shape
    ///
    /// `GET /v3/webhooks/events?event_type=…&entity_id=…&limit=…&token=…`.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`](crate::ErrorKind::InvalidParameter) when HeyGen does not know the event type, the limit or the token.
    ///
    /// # Source
    ///
    /// HeyGen's API reference, “List Webhook Events”: documented. The order, how long events are kept, and whether those that could
    /// not be delivered are among them is not.
    pub async fn list_events(&self, query: &EventQuery) -> Result<Page<LoggedEvent>, ApiError> {
        let call = Call::get(&["v3", "webhooks", "events"])
            .query("event_type", query.event_type.as_ref())
            .query("entity_id", query.entity_id.as_ref());
        let answer = self.transport.send(&paged(call, &query.page)).await?;
        answer.page(&query.page, LoggedEvent::read_item)
    }

    /// The whole log of delivered events from the page of the query on, 100 to a page unless it says otherwise.
    #[must_use]
    pub fn events_all(&self, query: &EventQuery) -> Listing<LoggedEvent> {
        let (transport, query) = (Arc::clone(self.transport), query.clone());
        let mut first = query.page.clone();
        first.limit.get_or_insert(LONGEST_PAGE);
        Listing::new(first, move |page| {
            let (transport, query) = (Arc::clone(&transport), query.clone().page(page));
            async move {
                V3 {
                    transport: &transport,
                }
                .list_events(&query)
                .await
            }
        })
    }
}

fn read_endpoint(answer: &Answer) -> Result<Endpoint, ApiError> {
    Endpoint::read(answer.object()?).map_err(|mismatch| answer.unexpected(&mismatch))
}

fn paged(call: Call, page: &PageRequest) -> Call {
    call.query("limit", page.limit)
        .query("token", page.token.as_ref())
}

const ENDPOINTS: &[&str] = &["v3", "webhooks", "endpoints"];
const LONGEST_PAGE: u32 = 100;
