//! The list of deliveries, by keyset pages.

use std::time::{Duration, Instant, SystemTime};

use axum::extract::{Query as Params, State};
use heygen_events::text::visible;
use heygen_inbox::{
    BoxInbox, DeliveryId, DeliverySummary, InboxAdmin as _, InboxError, Query, State as Stage,
    StoredDelivery,
};
use maud::{Markup, html};

use crate::filter::Filter;
use crate::page::{self, page};
use crate::site::{Answer, Shared, Site};
use crate::words::{self, number};

pub(crate) async fn show(State(site): Shared, Params(filter): Params<Filter>) -> Answer {
    let now = SystemTime::now();
    let found = match filter.query(now) {
        Ok(query) => Ok(Found::of(&site.inbox, &filter, query).await?),
        Err(message) => Err(message),
    };
    let path = site.path("/deliveries");
    // An older page stays as it is: rows must not move under a reader. A search reads thousands of bodies: too much to do again
    // at each change.
    let is_fixed = |name| !filter.get(name).is_empty();
    let is_live = !["before", "after", "text"].into_iter().any(is_fixed);
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
            Ok(found) => div #list data-live[is_live] { (found.list(&site, &filter, now)) },
        }
    };
    Ok(page(&site, Some("/deliveries"), "Deliveries", &content))
}

/// One page of a list.
#[derive(Default)]
struct Found {
    deliveries: Vec<DeliverySummary>,
    /// From where on there may be older ones.
    older: Option<DeliveryId>,
    /// From where on there may be newer ones.
    newer: Option<DeliveryId>,
    /// Whether it is not the first page.
    is_later: bool,
    is_upward: bool,
    /// How many were looked at.
    searched: usize,
    /// Whether it ends there although the page is not full.
    is_cut: bool,
}

impl Found {
    /// Looks through what the times and the page leave, until a page is full, enough were looked at or it took long: what is
    /// rare does not go through a million at once.
    async fn of(inbox: &BoxInbox, filter: &Filter, query: Query) -> Result<Self, InboxError> {
        let begun_at = Instant::now();
        let text = filter.get("text");
        let is_upward = query.after.is_some();
        let chunk = match filter.is_selective() {
            true => CHUNK,
            false => PAGE + 1,
        };
        let mut range = self::range(&query).limit(chunk);
        range.oldest_first = is_upward;
        let mut found = Self::default();
        let mut stopped_at = None;
        'search: loop {
            let summaries = inbox.list(range.clone()).await?;
            let is_last = summaries.len() < chunk;
            for summary in summaries {
                let id = summary.id;
                stopped_at = Some(id);
                found.searched += 1;
                if query.matches(&summary)
                    && (text.is_empty() || holds(inbox.get(id).await?, text.as_bytes()))
                {
                    found.deliveries.push(summary);
                }
                let is_long = !text.is_empty() && begun_at.elapsed() > SEARCH_TIME;
                found.is_cut = found.searched >= SEARCHED_AT_ONCE || is_long;
                if found.deliveries.len() > PAGE || found.is_cut {
                    break 'search;
                }
            }
            if is_last {
                stopped_at = None;
                break;
            }
            found.is_cut = begun_at.elapsed() > SEARCH_TIME;
            if found.is_cut {
                break;
            }
            match is_upward {
                true => range.after = stopped_at,
                false => range.before = stopped_at,
            }
        }
        let is_full = found.deliveries.len() > PAGE;
        found.deliveries.truncate(PAGE);
        if is_upward {
            found.deliveries.reverse();
        }
        let first = found.deliveries.first().map(|first| first.id);
        let last = found.deliveries.last().map(|last| last.id);
        let is_more = stopped_at.is_some();
        // A page that is not full goes on where the search stopped, not at what it found last.
        let next = |end| if is_full { end } else { stopped_at };
        (found.newer, found.older) = match is_upward {
            true => (next(first), last),
            false => (query.before.and(first), next(last)),
        };
        found.is_later = query.before.is_some() || (is_upward && (is_more || first.is_none()));
        found.is_upward = is_upward;
        Ok(found)
    }

    fn list(&self, site: &Site, filter: &Filter, now: SystemTime) -> Markup {
        let path = site.path("/deliveries");
        let to = |filter: &Filter| format!("{path}{}", filter.address());
        let has_text = !filter.get("text").is_empty();
        html! {
            @if has_text || self.is_cut {
                p.hint role="status" {
                    (number(self.searched as u64)) @if has_text { " bodies" } @else { " deliveries" } " searched, "
                    (number(self.deliveries.len() as u64)) " found"
                    @if self.is_upward && self.newer.is_some() { "; there are newer ones" }
                    @else if self.older.is_some() { "; there are older ones" }
                    "."
                }
            }
            @if self.deliveries.is_empty() && filter.is_set() {
                div.card.empty { p { "No delivery matches this filter." } }
            } @else {
                (table(site, &self.deliveries, now))
            }
            nav.pages aria-label="Pages of the list" {
                @if self.is_later { a.button href=(to(&filter.at_start())) { "Newest" } }
                @if let Some(newer) = self.newer {
                    a.button href=(to(&filter.after(newer))) rel="prev" {
                        @if self.is_cut && self.is_upward { "Search on" } @else { "Newer" }
                    }
                }
                @if let Some(older) = self.older {
                    a.button href=(to(&filter.before(older))) rel="next" {
                        @if self.is_cut && !self.is_upward { "Search on" } @else { "Older" }
                    }
                }
            }
        }
    }
}

/// Deliveries, a row each.
pub(crate) fn table(site: &Site, deliveries: &[DeliverySummary], now: SystemTime) -> Markup {
    if deliveries.is_empty() {
        return html! {
            div.card.empty {
                p { "No delivery has come yet." }
                p.hint {
                    "Send a signed sample from a terminal: "
                    code { "heygen-webhooks trigger avatar_video.success" }
                }
            }
        };
    }
    let columns = [
        ("Received (UTC)", "when"),
        ("Event", "key"),
        ("State", ""),
        ("Outcome", ""),
        ("Subject", "id"),
        ("Callback id", "id callback"),
        ("Attempts", "number"),
        ("Source", "source"),
    ];
    let rows = deliveries.iter().map(|summary| {
        let path = site.path(&format!("/deliveries/{}", summary.id));
        vec![
            words::time_ago(summary.received_at, now),
            html! { a href=(path) { (words::event(summary)) } },
            words::state(summary.state),
            words::outcome(summary.outcome),
            text_or_dash(summary.subject_id.as_deref()),
            text_or_dash(summary.callback_id.as_deref()),
            html! { (summary.attempts) },
            html! { (words::source(summary.source)) },
        ]
    });
    page::table("Deliveries", "listed deliveries", &columns, rows)
}

fn text_or_dash(text: Option<&str>) -> Markup {
    match text {
        Some(text) => html! { span title=(visible(text)) { (visible(text)) } },
        None => html! { span.hint { "–" } },
    }
}

/// What the inbox finds without looking at what does not match: times, pages, and states that are few. The rest of a query is for
/// who looks through this.
pub(crate) fn range(query: &Query) -> Query {
    let mut range = query.clone();
    (range.events, range.outcome, range.source) = (None, None, None);
    (range.subject_id, range.callback_id) = (None, None);
    // The other states are few, and have indexes.
    range.state = query.state.filter(|state| *state != Stage::Acknowledged);
    range
}

/// Whether the body holds the text, letter case aside.
fn holds(stored: Option<StoredDelivery>, text: &[u8]) -> bool {
    let is_here = |window: &[u8]| window.eq_ignore_ascii_case(text);
    stored.is_some_and(|stored| stored.body.windows(text.len()).any(is_here))
}

const PAGE: usize = 50;
const CHUNK: usize = 1000;
pub(crate) const SEARCHED_AT_ONCE: usize = 10_000;

/// The admin listener has ten seconds for a request, and the inbox other readers.
pub(crate) const SEARCH_TIME: Duration = Duration::from_secs(3);
