//! The operations of v3: REST paths, pages, idempotency keys.
//!
//! # Wire shape
//!
//! A success is `{"data": …}`; lists add `has_more` and `next_token`. An error is
//! `{"error": {"code", "message", "param", "doc_url"}}`. Any other 2xx is a success.
//!
//! # Errors
//!
//! Every operation can fail with every [`ApiErrorKind`](crate::ApiErrorKind). The sections below
//! name the likely ones.

use std::sync::Arc;

use heygen_events::id::EndpointId;

use crate::answer::{Answer, ReadItem};
use crate::call::{Call, segment};
use crate::transport::Transport;
use crate::{ApiError, Endpoint, IdempotencyKey, Listing, Page, PageRequest};

mod endpoint_request;
mod event;
mod event_type;

pub use endpoint_request::{EndpointUpdate, NewEndpoint, RotatedSecret};
pub use event::{EventQuery, LoggedEvent};
pub use event_type::EventTypeEntry;

/// The operations of v3, on the connections of a [`Client`](crate::Client).
#[derive(Clone, Copy, Debug)]
pub struct V3<'a> {
    pub(crate) transport: &'a Arc<Transport>,
}

impl V3<'_> {
    /// Creates an endpoint and returns it with its secret. Store the secret: v3 shows it only here
    /// and in [`rotate_secret`](Self::rotate_secret).
    ///
    /// A generated [`IdempotencyKey`] makes retries safe: a lost answer never makes a second
    /// endpoint. If all attempts fail, the key is in the error. Pass it to
    /// [`create_endpoint_with_key`](Self::create_endpoint_with_key) to try again later.
    ///
    /// # Wire shape
    ///
    /// `POST /v3/webhooks/endpoints` with `{"url": string, "events": [string], "entity_id":
    /// string}`. `events` is omitted for all events.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`](crate::ApiErrorKind::InvalidParameter) if HeyGen rejects the URL. It
    /// must be public `https`, and may have to answer a probe. The code for a failed probe is not
    /// documented.
    ///
    /// # Source
    ///
    /// HeyGen's API reference, “Create Webhook Endpoint”: documented.
    pub async fn create_endpoint(&self, endpoint: &NewEndpoint) -> Result<Endpoint, ApiError> {
        let key = IdempotencyKey::generate()?;
        self.create_endpoint_with_key(endpoint, &key).await
    }

    /// [`create_endpoint`](Self::create_endpoint) with your own idempotency key. For 24 h the same
    /// key gets the same answer, even for a different endpoint.
    ///
    /// # Errors
    ///
    /// As above, and [`Conflict`](crate::ApiErrorKind::Conflict) with the code
    /// `request_in_progress` while an earlier request with this key is in progress.
    pub async fn create_endpoint_with_key(
        &self,
        endpoint: &NewEndpoint,
        key: &IdempotencyKey,
    ) -> Result<Endpoint, ApiError> {
        let call = Call::post_once(ENDPOINTS, key).body(endpoint.to_json());
        read_endpoint(&self.transport.send(&call).await?)
    }

    /// Lists one page of the endpoints, without their secrets.
    ///
    /// # Wire shape
    ///
    /// `GET /v3/webhooks/endpoints?limit=…&token=…`.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`](crate::ApiErrorKind::InvalidParameter) if HeyGen rejects the limit or
    /// the token.
    ///
    /// # Source
    ///
    /// HeyGen's API reference, “List Webhook Endpoints”: documented. It is not documented whether
    /// endpoints created through v1 are listed.
    pub async fn list_endpoints(&self, page: &PageRequest) -> Result<Page<Endpoint>, ApiError> {
        fetch_page(
            self.transport,
            Call::get(ENDPOINTS),
            page,
            Endpoint::read_item,
        )
        .await
    }

    /// Lists all endpoints as a stream. It fetches 100 per page.
    #[must_use]
    pub fn endpoints_stream(&self) -> Listing<Endpoint> {
        let (call, first) = (Call::get(ENDPOINTS), PageRequest::new());
        let first = first.with_limit(MAX_PAGE_ITEMS);
        listing(self.transport, call, first, Endpoint::read_item)
    }

    /// Changes an endpoint and returns it as stored. Fields that the update does not name are
    /// unchanged.
    ///
    /// # Wire shape
    ///
    /// `PATCH /v3/webhooks/endpoints/{endpoint_id}` with `{"url": string, "events": [string] or
    /// null}`, either or both. A list replaces the whole old list.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ApiErrorKind::NotFound) if the endpoint does not exist.
    ///
    /// # Source
    ///
    /// HeyGen's API reference, “Update Webhook Endpoint”: documented. That `"events": null` means
    /// all events is assumed: see [`EndpointUpdate::events`].
    pub async fn update_endpoint(
        &self,
        endpoint_id: &EndpointId,
        update: &EndpointUpdate,
    ) -> Result<Endpoint, ApiError> {
        let path = [ENDPOINTS, &[segment(endpoint_id)?]].concat();
        let call = Call::patch(&path, update.to_json());
        read_endpoint(&self.transport.send(&call).await?)
    }

    /// Deletes an endpoint permanently.
    ///
    /// If an attempt ends without an answer and the retry gets “not found”, the endpoint is
    /// deleted: that is a success.
    ///
    /// # Wire shape
    ///
    /// `DELETE /v3/webhooks/endpoints/{endpoint_id}`. The answer is `{"data": {}, "error": null}`;
    /// `{}` and an empty body are a success too.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ApiErrorKind::NotFound) if the endpoint does not exist.
    ///
    /// # Source
    ///
    /// HeyGen's API reference, “Delete Webhook Endpoint”: documented.
    pub async fn delete_endpoint(&self, endpoint_id: &EndpointId) -> Result<(), ApiError> {
        let path = [ENDPOINTS, &[segment(endpoint_id)?]].concat();
        self.transport.delete(&Call::delete(&path), None).await
    }

    /// Replaces the secret of an endpoint. HeyGen stops signing with the old one immediately, so
    /// let the receiver accept both for a while.
    ///
    /// A generated [`IdempotencyKey`] makes retries safe, as in
    /// [`create_endpoint`](Self::create_endpoint).
    ///
    /// # Wire shape
    ///
    /// `POST /v3/webhooks/endpoints/{endpoint_id}/rotate-secret` without a body. The answer is
    /// `{"data": {"endpoint_id", "secret"}}`.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ApiErrorKind::NotFound) if the endpoint does not exist.
    ///
    /// # Source
    ///
    /// HeyGen's API reference, “Rotate Webhook Signing Secret”: documented. It is not documented
    /// which secret signs a pending retry.
    pub async fn rotate_secret(&self, endpoint_id: &EndpointId) -> Result<RotatedSecret, ApiError> {
        let key = IdempotencyKey::generate()?;
        self.rotate_secret_with_key(endpoint_id, &key).await
    }

    /// [`rotate_secret`](Self::rotate_secret) with your own idempotency key. For 24 h the same key
    /// gets the same secret for this endpoint.
    ///
    /// # Errors
    ///
    /// As above, and [`Conflict`](crate::ApiErrorKind::Conflict) with the code
    /// `request_in_progress` while an earlier request with this key is in progress.
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

    /// Lists one page of the event types that HeyGen offers now.
    ///
    /// # Wire shape
    ///
    /// `GET /v3/webhooks/event-types`. The answer is a page. That the query accepts `limit` and
    /// `token` is assumed; a plain [`PageRequest`] sends neither.
    ///
    /// # Errors
    ///
    /// [`Authentication`](crate::ApiErrorKind::Authentication), as for every operation. This is the
    /// cheapest way to check an API key.
    ///
    /// # Source
    ///
    /// HeyGen's API reference, “List Webhook Event Types”: documented.
    pub async fn list_event_types(
        &self,
        page: &PageRequest,
    ) -> Result<Page<EventTypeEntry>, ApiError> {
        let call = Call::get(EVENT_TYPES);
        fetch_page(self.transport, call, page, EventTypeEntry::read_item).await
    }

    /// Lists all event types as a stream.
    #[must_use]
    pub fn event_types_stream(&self) -> Listing<EventTypeEntry> {
        let (call, first) = (Call::get(EVENT_TYPES), PageRequest::new());
        listing(self.transport, call, first, EventTypeEntry::read_item)
    }

    /// Lists one page of the event log.
    ///
    /// # Wire shape
    ///
    /// `GET /v3/webhooks/events?event_type=…&entity_id=…&limit=…&token=…`.
    ///
    /// # Errors
    ///
    /// [`InvalidParameter`](crate::ApiErrorKind::InvalidParameter) if HeyGen rejects the event
    /// type, the limit or the token.
    ///
    /// # Source
    ///
    /// HeyGen's API reference, “List Webhook Events”: documented. Not documented are the order, the
    /// retention, and whether undeliverable events are listed.
    pub async fn list_events(&self, query: &EventQuery) -> Result<Page<LoggedEvent>, ApiError> {
        let (call, page) = (events(query), &query.page);
        fetch_page(self.transport, call, page, LoggedEvent::read_item).await
    }

    /// Lists the event log as a stream, starting at the page of the query. It fetches 100 per page
    /// unless the query has a limit.
    #[must_use]
    pub fn events_stream(&self, query: &EventQuery) -> Listing<LoggedEvent> {
        let mut first = query.page.clone();
        first.limit.get_or_insert(MAX_PAGE_ITEMS);
        listing(self.transport, events(query), first, LoggedEvent::read_item)
    }
}

fn read_endpoint(answer: &Answer) -> Result<Endpoint, ApiError> {
    Endpoint::read(answer.object()?).map_err(|mismatch| answer.unexpected(&mismatch))
}

/// One page of the list that this call gets.
async fn fetch_page<T>(
    transport: &Transport,
    call: Call,
    page: &PageRequest,
    read: ReadItem<T>,
) -> Result<Page<T>, ApiError> {
    let call = call
        .query("limit", page.limit)
        .query("token", page.token.as_ref());
    transport.send(&call).await?.page(page, read)
}

/// All pages of the list that this call gets.
fn listing<T: 'static>(
    transport: &Arc<Transport>,
    call: Call,
    first: PageRequest,
    read: ReadItem<T>,
) -> Listing<T> {
    let transport = Arc::clone(transport);
    Listing::new(first, move |page| {
        let (transport, call) = (Arc::clone(&transport), call.clone());
        async move { fetch_page(&transport, call, &page, read).await }
    })
}

fn events(query: &EventQuery) -> Call {
    Call::get(&["v3", "webhooks", "events"])
        .query("event_type", query.event_type.as_ref())
        .query("entity_id", query.entity_id.as_ref())
}

const ENDPOINTS: &[&str] = &["v3", "webhooks", "endpoints"];
const EVENT_TYPES: &[&str] = &["v3", "webhooks", "event-types"];
const MAX_PAGE_ITEMS: u32 = 100;
