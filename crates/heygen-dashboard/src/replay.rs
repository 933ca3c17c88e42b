//! Replay of everything that a filter shows: how many, how fast, and how far it has come.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::extract::{Form, Query as Params, State};
use axum::response::Redirect;
use heygen_inbox::{BoxInbox, InboxAdmin as _, InboxError, Query};
use http::StatusCode;
use maud::{Markup, html};

use crate::deliveries::{self, SEARCH_TIME, SEARCHED_AT_ONCE};
use crate::filter::Filter;
use crate::job::Job;
use crate::page::page;
use crate::problem::Problem;
use crate::site::{Answer, Shared};
use crate::words::{self, number};

pub(crate) async fn show(State(site): Shared, Params(filter): Params<Filter>) -> Answer {
    let query = filter.query(SystemTime::now()).map_err(bad)?;
    let last = site.replay.last();
    let is_running = last.as_ref().is_some_and(|job| job.is_running());
    // This page is asked for each second while one runs.
    let matching = match is_running {
        true => Matching::default(),
        false => Matching::of(&site.inbox, &query).await?,
    };
    let is_none = matching.exact() == Some(0);
    let has_text = !filter.get("text").is_empty();
    let content = html! {
        h1 { "Replay" }
        @if let Some(job) = &last {
            div #progress data-live data-poll[is_running] { (job.markup(&site.path("/replay/stop"), &outcome(job))) }
        }
        @if !is_running {
            form.card method="post" action=(site.path("/replay")) {
                p.lead { strong { (matching.words()) } @if matching.exact() == Some(1) { " matches" } @else { " match" } @if !filter.is_set() { " (all of the inbox)" } "." }
                (filter.given())
                @if matching.is_cut {
                    p.hint { (number(matching.looked_at)) " deliveries were counted, the newest. A replay goes through all." }
                }
                p.hint {
                    "Each is dispatched again, whatever its state, with as many attempts as a new one. Those that are being handled are left alone; \
                     new deliveries go first."
                }
                @if has_text { p.alert { (NO_TEXT) } }
                div.fields {
                    div.field {
                        label for="rate" { "At most per second" }
                        input #rate name="rate" type="number" min="1" max="10000" value="50";
                    }
                    div.buttons {
                        button.primary disabled[is_none || site.is_read_only || has_text] { "Replay " (matching.words()) }
                        a.button href=(format!("{}{}", site.path("/deliveries"), filter.address())) { "Back" }
                    }
                }
            }
        }
    };
    Ok(page(&site, Some("/deliveries"), "Replay", &content))
}

/// How many match, as far as was counted.
#[derive(Default)]
struct Matching {
    found: u64,
    looked_at: u64,
    /// Whether there are older ones, which were not looked at.
    is_cut: bool,
}

impl Matching {
    /// A page that a link opens does not go through a million.
    async fn of(inbox: &BoxInbox, query: &Query) -> Result<Self, InboxError> {
        let begun_at = Instant::now();
        let mut range = deliveries::range(query).limit(COUNTED);
        let mut matching = Self::default();
        loop {
            let summaries = inbox.list(range.clone()).await?;
            let found = summaries.iter().filter(|summary| query.matches(summary));
            matching.found += found.count() as u64;
            matching.looked_at += summaries.len() as u64;
            let Some(last) = summaries.last().filter(|_| summaries.len() == COUNTED) else {
                return Ok(matching);
            };
            if matching.looked_at >= SEARCHED_AT_ONCE as u64 || begun_at.elapsed() > SEARCH_TIME {
                matching.is_cut = true;
                return Ok(matching);
            }
            range = range.before(last.id);
        }
    }

    fn exact(&self) -> Option<u64> {
        (!self.is_cut).then_some(self.found)
    }

    fn words(&self) -> String {
        match self.is_cut {
            true => format!("{} or more deliveries", number(self.found)),
            false => words::deliveries(self.found),
        }
    }
}

fn outcome(job: &Job) -> Markup {
    let [replayed, skipped, _] = job.counts();
    html! { (words::deliveries(replayed)) " replayed" @if skipped > 0 { ", " (number(skipped)) " left alone" } }
}

pub(crate) async fn start(
    State(site): Shared,
    Form(mut start): Form<BTreeMap<String, String>>,
) -> Answer<Redirect> {
    let rate = start.remove("rate").unwrap_or_default();
    let filter = Filter::from(start);
    let query = filter.query(SystemTime::now()).map_err(bad)?;
    if !filter.get("text").is_empty() {
        return Err(bad(NO_TEXT.to_owned()));
    }
    let rate = match rate.trim() {
        "" => None,
        rate => {
            let rate = rate.parse::<NonZeroU32>();
            Some(rate.map_err(|_| bad("At most per second: give a number from 1 on.".to_owned()))?)
        }
    };
    let total = Matching::of(&site.inbox, &query).await?.exact();
    let inbox = site.inbox.clone();
    let work = |job| replay(job, inbox, query, rate.map(NonZeroU32::get));
    site.replay.start(total, work).await?;
    let address = format!("{}{}", site.path("/replay"), filter.address());
    Ok(Redirect::to(&address))
}

/// Goes through what matched when it began, the oldest first.
async fn replay(
    job: Arc<Job>,
    inbox: BoxInbox,
    query: Query,
    per_second: Option<u32>,
) -> Result<(), Problem> {
    // What comes in meanwhile is not part of it. Ids tell, and not times: the clock may have been set back.
    let newest = inbox.list(Query::default().limit(1)).await?;
    let newest = newest.first().map(|summary| summary.id);
    let mut query = query.oldest_first().limit(CHUNK);
    // A page at a time: what is replayed may no longer match, what was passed is not looked at again.
    loop {
        let page = inbox.list(query.clone()).await?;
        let ids = page.iter().map(|summary| summary.id);
        let ids: Vec<_> = ids.take_while(|id| Some(*id) <= newest).collect();
        let Some(last) = ids.last() else {
            return Ok(());
        };
        query = query.after(*last);
        let step = per_second.map_or(CHUNK, |rate| (rate as usize / 4).clamp(1, CHUNK));
        for ids in ids.chunks(step) {
            if job.is_stopped() {
                return Ok(());
            }
            if let Some(rate) = per_second {
                job.pace(rate).await;
            }
            let report = inbox.replay(ids.to_vec(), SystemTime::now()).await?;
            job.add(0, report.pending);
            job.add(1, report.claimed + report.missing);
        }
    }
}

pub(crate) async fn stop(State(site): Shared) -> Redirect {
    site.replay.stop();
    Redirect::to(&site.path("/replay"))
}

fn bad(text: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, text)
}

const NO_TEXT: &str = "A text in the body cannot be replayed by: remove it from the filter.";
const CHUNK: usize = 200;
const COUNTED: usize = 1000;
