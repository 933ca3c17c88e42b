//! Changes as server-sent events. Pages fetch themselves again when one comes.
//!
//! A stream ends after a few seconds, and the browser opens the next: the admin listener serves no connection for longer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::{Query as Params, Request, State};
use axum::middleware::Next;
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse as _, Response};
use futures_util::stream::unfold;
use http::{HeaderMap, StatusCode};

use super::{LOOK_AGAIN, MadePage, SEEN, seen};
use crate::page::View;
use crate::problem::Problem;
use crate::site::Shared;

pub(crate) async fn stream(
    State(site): Shared,
    Params(view): Params<View>,
    headers: HeaderMap,
) -> Response {
    // The listener serves 64 connections, and health checks are among them.
    let Ok(permit) = Arc::clone(&site.streams).try_acquire_owned() else {
        let text = "Too many pages are open: this one does not change by itself.";
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    let sent = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let begun = (Instant::now(), sent.map(str::to_owned), permit);
    let shown = Some(view.seen).filter(|seen| !seen.is_empty());
    let stream = unfold(begun, move |(begun_at, mut sent, permit)| {
        let (site, shown) = (Arc::clone(&site), shown.clone());
        async move {
            while begun_at.elapsed() < STREAM_TIME {
                let now = site.pulse.now(&site.inbox).await;
                if let Some(now) = now.filter(|now| Some(now) != sent.as_ref()) {
                    // What was there when a page was made is no change of it; that the stream has begun is sent all the same, as
                    // the browser learns from it what to ask for next, and when.
                    let known = sent.as_ref().or(shown.as_ref());
                    let is_change = known.is_some_and(|known| *known != now);
                    let name = if is_change { "change" } else { "start" };
                    let event = Event::default().event(name).id(&now).data(&now);
                    sent = Some(now);
                    return Some((
                        Ok::<_, Infallible>(event.retry(REOPEN)),
                        (begun_at, sent, permit),
                    ));
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            None
        }
    });
    Sse::new(stream).into_response()
}

/// Has the page say what it shows at least. That is looked up first: what comes in while the page is made is a change of it.
pub(crate) async fn mark(State(site): Shared, request: Request, next: Next) -> Response {
    let seen = site.pulse.now(&site.inbox).await;
    SEEN.scope(seen, next.run(request)).await
}

/// Gives a page that fetches itself again what another got within the last second, unless a change was sent since: everyone sees
/// the same. What a person asks for is made again at once.
pub(crate) async fn share(State(site): Shared, request: Request, next: Next) -> Response {
    if !request.headers().contains_key(REFRESH) {
        return next.run(request).await;
    }
    let address = request.uri().path_and_query();
    let copy = site
        .copies
        .of(address.map_or("", |address| address.as_str()));
    let mut copy = copy.lock().await;
    let seen = seen();
    if let Some(copy) = &*copy
        && copy.made_at.elapsed() < LOOK_AGAIN
        && copy.seen == seen
    {
        return Html(copy.page.clone()).into_response();
    }
    let made_at = Instant::now();
    let (head, body) = next.run(request).await.into_parts();
    let Ok(page) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    if head.status == StatusCode::OK {
        *copy = Some(MadePage {
            made_at,
            seen,
            page: page.clone(),
        });
    }
    Response::from_parts(head, Body::from(page))
}

/// What the script sends along.
const REFRESH: &str = "x-refresh";
const STREAM_TIME: Duration = Duration::from_secs(8);
const REOPEN: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use axum::Router;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use heygen_inbox::{BoxInbox, Inbox as _, InboxAdmin as _, MemoryInbox, NewDelivery, Source};
    use tower_service::Service as _;

    use super::*;
    use crate::site::Site;

    async fn append(site: &Site, body: &'static str) {
        let (now, body) = (SystemTime::now(), body.into());
        let delivery = NewDelivery::new(now, Source::Webhook, Vec::new(), body);
        site.inbox.append(delivery).await.unwrap();
    }

    /// As when a second has passed since the last look.
    async fn look(site: &Site) -> String {
        if let Some(look) = &mut *site.pulse.0.lock().await {
            look.looked_at = look.looked_at.checked_sub(LOOK_AGAIN).unwrap();
        }
        site.pulse.now(&site.inbox).await.unwrap()
    }

    #[tokio::test]
    async fn page_is_made_once_a_second_and_for_each_change_that_was_sent() {
        let site = Arc::new(Site::new(BoxInbox::new(MemoryInbox::new())));
        let pending = |State(site): State<Arc<Site>>| async move {
            site.inbox.counts().await.unwrap().pending.to_string()
        };
        let mut router = Router::new()
            .route("/", get(pending))
            .route_layer(from_fn_with_state(Arc::clone(&site), share))
            .route_layer(from_fn_with_state(Arc::clone(&site), mark))
            .with_state(Arc::clone(&site));
        let mut fetch = async |header: &str| {
            let request = Request::get("/").header(header, "1");
            let request = request.body(Body::empty()).unwrap();
            let response = router.call(request).await.unwrap();
            to_bytes(response.into_body(), usize::MAX).await.unwrap()
        };
        append(&site, "{}").await;
        let (first, begun_at) = (look(&site).await, Instant::now());
        assert_eq!(fetch(REFRESH).await, "1");
        // Within the same second.
        append(&site, "[]").await;
        let copy = fetch(REFRESH).await;
        assert!(copy == "1" || begun_at.elapsed() >= LOOK_AGAIN);
        // What a person asks for is never a copy.
        assert_eq!(fetch("accept").await, "2");
        assert_ne!(look(&site).await, first);
        assert_eq!(fetch(REFRESH).await, "2");
    }
}
