//! The list of deliveries, by keyset pages.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::extract::{Query as Params, State};
use axum::response::Response;
use heygen_events::text::visible;
use heygen_inbox::{BoxInbox, DeliveryId, DeliverySummary, InboxAdmin as _, InboxError, Query};
use maud::{Markup, html};

use crate::filter::Filter;
use crate::page::Page;
use crate::problem::Problem;
use crate::site::Site;
use crate::words::{self, ago, number};

pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    Params(filter): Params<Filter>,
) -> Result<Response, Problem> {
    let now = SystemTime::now();
    let found = match filter.query(now) {
        Ok(query) => Ok(Found::of(&site.inbox, &filter, query).await?),
        Err(message) => Err(message),
    };
    let path = site.path("/deliveries");
    let is_first_page = filter.before.is_empty() && filter.after.is_empty();
    // A search reads thousands of bodies: too much to do again at each change.
    let is_live = is_first_page && filter.text.trim().is_empty();
    let content = html! {
        div.head {
            h1 { "Deliveries" }
            @if found.as_ref().is_ok_and(|found| !found.deliveries.is_empty()) && !site.is_read_only {
                a.button href=(format!("{}{}", site.path("/replay"), filter.at_start().address())) { "Replay all that match …" }
            }
        }
        (filter.form(&path))
        @match &found {
            Err(message) => p.alert role="alert" { (message) },
            // An older page stays as it is: rows must not move under a reader.
            Ok(found) => div #list data-live[is_live] { (found.list(&site, &filter, now)) },
        }
    };
    Ok(Page::new("Deliveries", content)
        .under("/deliveries")
        .of(&site))
}

/// One page of a list.
struct Found {
    deliveries: Vec<DeliverySummary>,
    /// Whether there may be older ones, and from where on.
    older: Option<DeliveryId>,
    is_newer: bool,
    /// Of a search in bodies: how many were looked at, and whether that was all.
    searched: Option<usize>,
}

impl Found {
    async fn of(inbox: &BoxInbox, filter: &Filter, query: Query) -> Result<Self, InboxError> {
        let text = filter.text.trim();
        if !text.is_empty() {
            return Self::search(inbox, query, text).await;
        }
        let is_upward = query.after.is_some();
        let query = match is_upward {
            true => query.oldest_first(),
            false => query,
        };
        let is_newer = query.before.is_some();
        let mut deliveries = inbox.list(query.limit(PAGE + 1)).await?;
        let is_more = deliveries.len() > PAGE;
        deliveries.truncate(PAGE);
        if is_upward {
            deliveries.reverse();
        }
        Ok(Self {
            older: deliveries
                .last()
                .map(|last| last.id)
                .filter(|_| is_more || is_upward),
            is_newer: is_newer || (is_upward && is_more),
            deliveries,
            searched: None,
        })
    }

    /// Reads bodies, the newest first, until a page is full, enough were read or it took long.
    async fn search(inbox: &BoxInbox, query: Query, text: &str) -> Result<Self, InboxError> {
        let begun_at = Instant::now();
        let mut found = Self {
            deliveries: Vec::new(),
            older: None,
            is_newer: query.before.is_some(),
            searched: Some(0),
        };
        let mut query = query.limit(CHUNK);
        let mut searched = 0;
        loop {
            let chunk = inbox.list(query.clone()).await?;
            let is_last = chunk.len() < CHUNK;
            for summary in chunk {
                let id = summary.id;
                let stored = inbox.get(id).await?;
                searched += 1;
                found.searched = Some(searched);
                if stored.is_some_and(|stored| holds(&stored.body, text.as_bytes())) {
                    found.deliveries.push(summary);
                }
                let is_long = begun_at.elapsed() > SEARCH_TIME || searched >= SEARCHED_AT_ONCE;
                if found.deliveries.len() == PAGE || is_long {
                    found.older = Some(id);
                    return Ok(found);
                }
                query = query.before(id);
            }
            if is_last {
                return Ok(found);
            }
        }
    }

    fn list(&self, site: &Site, filter: &Filter, now: SystemTime) -> Markup {
        let path = site.path("/deliveries");
        let to = |filter: &Filter| format!("{path}{}", filter.address());
        html! {
            @if let Some(searched) = self.searched {
                p.hint role="status" {
                    (number(searched as u64)) " bodies searched, " (number(self.deliveries.len() as u64)) " found"
                    @if self.older.is_some() { "; there are older ones" } "."
                }
            }
            @if self.deliveries.is_empty() { (nothing(filter)) } @else { (table(site, &self.deliveries, now)) }
            nav.pages aria-label="Pages of the list" {
                @if self.is_newer {
                    a.button href=(to(&filter.at_start())) { "Newest" }
                    @if self.searched.is_none() && let Some(first) = self.deliveries.first() {
                        a.button href=(to(&filter.after(first.id))) rel="prev" { "Newer" }
                    }
                }
                @if let Some(older) = self.older {
                    a.button href=(to(&filter.before(older))) rel="next" {
                        @if self.searched.is_some() { "Search on" } @else { "Older" }
                    }
                }
            }
        }
    }
}

fn nothing(filter: &Filter) -> Markup {
    html! {
        div.card.empty {
            @if filter.is_set() {
                p { "No delivery matches this filter." }
            } @else {
                p { "No delivery has come yet." }
                p.hint {
                    "Send a signed sample from a terminal: "
                    code { "heygen-webhooks trigger avatar_video.success" }
                }
            }
        }
    }
}

/// Deliveries, a row each.
pub(crate) fn table(site: &Site, deliveries: &[DeliverySummary], now: SystemTime) -> Markup {
    html! {
        div.scroll role="region" aria-label="Deliveries" tabindex="0" {
            table.deliveries {
                thead { tr {
                    th scope="col" { "Received (UTC)" }
                    th scope="col" { "Event" }
                    th scope="col" { "State" }
                    th scope="col" { "Outcome" }
                    th scope="col" { "Subject" }
                    th scope="col" { "Callback id" }
                    th.number scope="col" { "Attempts" }
                    th scope="col" { "Source" }
                } }
                tbody {
                    @for summary in deliveries {
                        tr {
                            td data-label="Received" { (words::time(summary.received_at)) " " span.hint { (ago(summary.received_at, now)) } }
                            th scope="row" data-label="Event" {
                                a href=(site.path(&format!("/deliveries/{}", summary.id))) { (words::event(summary)) }
                            }
                            td data-label="State" { (words::state(summary.state)) }
                            td data-label="Outcome" { (words::outcome(summary.outcome)) }
                            td.id data-label="Subject" { (text_or_dash(summary.subject_id.as_deref())) }
                            td.id data-label="Callback id" { (text_or_dash(summary.callback_id.as_deref())) }
                            td.number data-label="Attempts" { (summary.attempts) }
                            td data-label="Source" { (words::source(summary.source)) }
                        }
                    }
                }
            }
        }
    }
}

fn text_or_dash(text: Option<&str>) -> Markup {
    match text {
        Some(text) => html! { span title=(visible(text)) { (visible(text)) } },
        None => html! { span.hint { "–" } },
    }
}

/// Whether the body holds the text, letter case aside.
fn holds(body: &[u8], text: &[u8]) -> bool {
    let is_here = |window: &[u8]| window.eq_ignore_ascii_case(text);
    body.windows(text.len()).any(is_here)
}

const PAGE: usize = 50;
const CHUNK: usize = 200;
const SEARCHED_AT_ONCE: usize = 10_000;

/// The admin listener has ten seconds for a request, and the inbox other readers.
const SEARCH_TIME: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_found_whatever_its_case() {
        assert!(holds(b"{\"msg\":\"No Credit\"}", b"no credit"));
        assert!(!holds(b"{}", b"no credit"));
        assert!(!holds(b"", b"a"));
    }
}
