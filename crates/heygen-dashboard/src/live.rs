//! Changes as server-sent events; pages fetch themselves again when one comes. Any number of open pages costs the inbox one look a
//! second ([`Pulse`]), and a page that many have open is made once a second ([`share`]).
//!
//! A stream ends after a few seconds, and the browser opens the next: the admin listener serves no connection for longer.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream::unfold;
use heygen_inbox::{BoxInbox, DeliveryId, InboxAdmin as _, Query};
use http::{HeaderMap, StatusCode};
use tokio::sync;

use crate::problem::Problem;
use crate::site::Site;

/// What the inbox was like when it was last looked at.
#[derive(Debug, Default)]
pub(crate) struct Pulse(sync::Mutex<Option<(Instant, String)>>);

impl Pulse {
    /// A text that differs when something has changed; `None` when the inbox does not answer.
    async fn now(&self, inbox: &BoxInbox) -> Option<String> {
        let mut last = self.0.lock().await;
        if let Some((at, text)) = &*last
            && at.elapsed() < LOOK_AGAIN
        {
            return Some(text.clone());
        }
        let newest = inbox.list(Query::default().limit(LOOKED_AT)).await.ok()?;
        let counts = inbox.counts().await.ok()?;
        // What was replayed may be acknowledged again by now, and has one attempt more.
        let attempts = newest.iter().map(|summary| u64::from(summary.attempts));
        let attempts: u64 = attempts.sum();
        let newest = newest.first();
        let newest = newest.map_or(DeliveryId::new(0, 0), |summary| summary.id);
        let text = format!(
            "{newest}.{attempts}.{}.{}.{}",
            counts.pending, counts.claimed, counts.dead_lettered
        );
        *last = Some((Instant::now(), text.clone()));
        Some(text)
    }
}

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

/// The last of each page that was fetched again, by its address. Who made it holds the lock, and others wait for it.
#[derive(Debug, Default)]
pub(crate) struct Copies(Mutex<HashMap<String, Arc<sync::Mutex<Option<MadePage>>>>>);

#[derive(Debug)]
struct MadePage {
    made_at: Instant,
    page: Bytes,
}

impl Copies {
    fn of(&self, address: &str) -> Arc<sync::Mutex<Option<MadePage>>> {
        let mut copies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if copies.len() >= MAX_COPIES {
            copies.clear();
        }
        Arc::clone(copies.entry(address.to_owned()).or_default())
    }
}

/// Gives a page that fetches itself again what another got within the last second: everyone sees the same. What a person asks for
/// is made anew.
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
/// As many as a list shows.
const LOOKED_AT: usize = 50;
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const STREAM_TIME: Duration = Duration::from_secs(8);
const REOPEN: Duration = Duration::from_millis(500);
const MAX_COPIES: usize = 32;
