//! Changes as server-sent events. Pages fetch themselves again when one comes.
//!
//! A stream ends after a few seconds, and the browser opens the next: the admin listener serves no connection for longer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse as _, Response};
use futures_util::stream::unfold;
use http::{HeaderMap, StatusCode};

use super::{LOOK_AGAIN, MadePage};
use crate::problem::Problem;
use crate::site::Site;

pub(crate) async fn stream(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    // The listener serves 64 connections, and health checks are among them.
    let Ok(place) = Arc::clone(&site.streams).try_acquire_owned() else {
        let text = "Too many pages are open: this one does not change by itself.";
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let begun = (Instant::now(), seen.map(str::to_owned), place);
    let stream = unfold(begun, move |(begun_at, mut seen, place)| {
        let site = Arc::clone(&site);
        async move {
            while begun_at.elapsed() < STREAM_TIME {
                let now = site.pulse.now(&site.inbox).await;
                if let Some(now) = now.filter(|now| Some(now) != seen.as_ref()) {
                    // What was there when a page was made is no change of it.
                    let name = if seen.is_some() { "change" } else { "start" };
                    let event = Event::default().event(name).id(&now).data(&now);
                    seen = Some(now);
                    return Some((
                        Ok::<_, Infallible>(event.retry(REOPEN)),
                        (begun_at, seen, place),
                    ));
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            None
        }
    });
    Sse::new(stream).into_response()
}

/// Gives a page that fetches itself again what another got within the last second: everyone sees the same. What a person asks for
/// is made again at once.
pub(crate) async fn share(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    if !request.headers().contains_key(REFRESH) {
        return next.run(request).await;
    }
    let address = request.uri().path_and_query();
    let copy = site
        .copies
        .of(address.map_or("", |address| address.as_str()));
    let mut copy = copy.lock().await;
    if let Some(MadePage { made_at, page }) = &*copy
        && made_at.elapsed() < LOOK_AGAIN
    {
        return Html(page.clone()).into_response();
    }
    let made_at = Instant::now();
    let (head, body) = next.run(request).await.into_parts();
    let Ok(page) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    if head.status == StatusCode::OK {
        let page = page.clone();
        *copy = Some(MadePage { made_at, page });
    }
    Response::from_parts(head, Body::from(page))
}

/// What the script sends along.
const REFRESH: &str = "x-refresh";
const STREAM_TIME: Duration = Duration::from_secs(8);
const REOPEN: Duration = Duration::from_millis(500);
