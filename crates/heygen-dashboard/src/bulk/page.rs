//! How many are replayed, how fast, and how far it has come.

use std::num::NonZeroU32;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use axum::extract::{Form, Query as Params, State};
use axum::response::{Redirect, Response};
use heygen_inbox::InboxAdmin as _;
use http::StatusCode;
use maud::{Markup, html};
use serde::Deserialize;

use super::Run;
use crate::filter::Filter;
use crate::page::Page;
use crate::problem::Problem;
use crate::site::Site;
use crate::words::{self, number};

pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    Params(filter): Params<Filter>,
) -> Result<Response, Problem> {
    let query = filter.query(SystemTime::now()).map_err(bad)?;
    let running = site.bulk.last();
    let is_running = running.as_ref().is_some_and(|run| run.is_running());
    // Reads the whole inbox, perhaps, and this page is asked for each second while one runs.
    let count = match is_running {
        true => 0,
        false => site.inbox.count(query).await?,
    };
    let content = html! {
        h1 { "Replay" }
        @if let Some(run) = &running { div #progress data-live data-poll[is_running] { (progress(&site, run)) } }
        @if !is_running {
            form.card method="post" action=(site.path("/replay")) {
                p.lead { strong { (words::deliveries(count)) } " match" @if !filter.is_set() { " (all of the inbox)" } "." }
                p.hint {
                    "Each is dispatched again, whatever its state, with as many attempts as a new one. Those in a handler's hands are left alone; \
                     new deliveries go first."
                }
                @if !filter.text.trim().is_empty() { p.alert { "A text in the body cannot be replayed by: remove it from the filter." } }
                (filter.hidden())
                div.fields {
                    div.field {
                        label for="rate" { "At most per second" }
                        input #rate name="rate" type="number" min="1" max="10000" value="50";
                    }
                    div.buttons {
                        button.primary disabled[count == 0 || site.is_read_only || !filter.text.trim().is_empty()] { "Replay " (words::deliveries(count)) }
                        a.button href=(format!("{}{}", site.path("/deliveries"), filter.address())) { "Back" }
                    }
                }
            }
        }
    };
    Ok(Page::new("Replay", content).under("/deliveries").of(&site))
}

fn progress(site: &Site, run: &Run) -> Markup {
    let (replayed, skipped) = (
        run.replayed.load(Ordering::Relaxed),
        run.skipped.load(Ordering::Relaxed),
    );
    html! {
        section.card {
            @match run.ended() {
                None => {
                    p.lead { "Replaying: " strong { (number(run.done())) } " of " (number(run.total)) }
                    progress max=(run.total.max(1)) value=(run.done()) aria-label="Replayed" {}
                    form method="post" action=(site.path("/replay/stop")) { button { "Stop" } }
                }
                Some(Ok(())) => p.notice role="status" {
                    (words::deliveries(replayed)) " replayed"
                    @if skipped > 0 { ", " (number(skipped)) " left alone" }
                    @if run.is_stopped.load(Ordering::Relaxed) { "; stopped" } "."
                },
                Some(Err(error)) => p.alert role="alert" { (words::deliveries(replayed)) " replayed, then it failed: " (error) "." },
            }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Start {
    /// A text, as `flatten` hands over no numbers.
    #[serde(default)]
    rate: String,
    #[serde(flatten)]
    filter: Filter,
}

pub(crate) async fn start(
    State(site): State<Arc<Site>>,
    Form(start): Form<Start>,
) -> Result<Redirect, Problem> {
    let now = SystemTime::now();
    let mut query = start.filter.query(now).map_err(bad)?;
    if !start.filter.text.trim().is_empty() {
        return Err(bad("A text in the body cannot be replayed by.".to_owned()));
    }
    // What comes in meanwhile is not part of it.
    query.until = Some(query.until.map_or(now, |until| until.min(now)));
    let rate = match start.rate.trim() {
        "" => None,
        rate => Some(
            rate.parse::<NonZeroU32>()
                .map_err(|_| bad("At most per second: give a number from 1 on.".to_owned()))?,
        ),
    };
    let rate = rate.map(NonZeroU32::get);
    let total = site.inbox.count(query.clone()).await?;
    let run = site.bulk.begin(total).ok_or_else(|| {
        Problem::new(
            StatusCode::CONFLICT,
            "Another replay runs. Wait for its end, or stop it.",
        )
    })?;
    let inbox = site.inbox.clone();
    tokio::spawn(async move {
        let ended = run.go(&inbox, query, rate).await;
        if let Err(error) = &ended {
            tracing::warn!(%error, "a replay from the dashboard failed");
        }
        let ended = ended.map_err(|error| error.to_string());
        *run.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
    });
    let address = start.filter.address();
    Ok(Redirect::to(&format!("{}{address}", site.path("/replay"))))
}

pub(crate) async fn stop(State(site): State<Arc<Site>>) -> Redirect {
    if let Some(run) = site.bulk.last() {
        run.is_stopped.store(true, Ordering::Relaxed);
    }
    Redirect::to(&site.path("/replay"))
}

fn bad(text: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, text)
}
