//! The first page: what came in, how the inbox is, and what is to be done.

use std::time::{Duration, SystemTime};

use axum::extract::{Query as Params, State};
use axum::response::Redirect;
use heygen_events::text::visible;
use heygen_events::{EventType, Outcome};
use heygen_inbox::{
    Counts, DeliverySummary, InboxAdmin as _, Query, Source, TrafficKind, TrafficUnit,
};
use maud::{Markup, html};

use crate::chart::{Chart, Series, Span};
use crate::deliveries;
use crate::fact::Fact;
use crate::filter::Filter;
use crate::page::{self, View, page};
use crate::problem::Problem;
use crate::site::{Answer, FACTS_TIME, Shared, Site};
use crate::words::{self, ago, number};

pub(crate) async fn show(State(site): Shared, Params(view): Params<View>) -> Answer {
    let now = SystemTime::now();
    let span = Span::of(&view.span);
    let counts = site.inbox.counts().await?;
    let newest = site.inbox.list(Query::default().limit(LOOKED_AT)).await?;
    let chart = charted(&site, span, now).await?;
    let facts = site.facts().await;
    let paused = site.inbox.paused().await?;
    let mut warnings = warnings(&site, &counts, &facts, now);
    if let Some(since) = paused {
        let text = html! { strong { "Dispatch is paused" } " since " (words::clock(since)) " UTC. Deliveries are stored and wait." };
        warnings.insert(0, text);
    }
    let content = html! {
        div #overview data-live {
            div.head {
                h1 { "Overview" }
                @if !site.is_read_only { (dispatch(&site, paused.is_some())) }
            }
            @if !warnings.is_empty() {
                section.card.warnings aria-label="Warnings" { ul { @for warning in &warnings { li { (warning) } } } }
            }
            (tiles(&site, &counts, &newest, now))
            section.card {
                div.head {
                    h2 { "Deliveries over time (UTC)" }
                    nav.spans aria-label="Time span" {
                        @for choice in Span::ALL {
                            a href=(format!("{}?span={}", site.path("/"), choice.word)) aria-current=[(choice == span).then_some("true")] { (choice.name) }
                        }
                    }
                }
                (chart.markup())
                (by_event(&site, &chart, span))
            }
            section {
                div.head { h2 { "Newest deliveries" } a href=(site.path("/deliveries")) { "All deliveries" } }
                (deliveries::table(&site, &newest[..newest.len().min(SHOWN)], now))
            }
            @if !facts.is_empty() {
                section.card {
                    h2 { "This server" }
                    dl.facts { @for fact in &facts { div { dt { (fact.name) } dd { (visible(&fact.text)) } } } }
                }
            }
        }
    };
    Ok(page(&site, Some("/"), "Overview", &content))
}

/// The one button that stops and starts dispatch.
fn dispatch(site: &Site, is_paused: bool) -> Markup {
    html! {
        @if is_paused {
            form method="post" action=(site.path("/resume")) { button.primary { "Resume dispatch" } }
        } @else {
            form method="post" action=(site.path("/pause")) {
                button title="Deliveries are still stored, and wait" { "Pause dispatch" }
            }
        }
    }
}

pub(crate) async fn pause(State(site): Shared) -> Answer<Redirect> {
    site.inbox.pause(SystemTime::now()).await?;
    Ok(Redirect::to(&site.path("/")))
}

pub(crate) async fn resume(State(site): Shared) -> Answer<Redirect> {
    site.inbox.resume().await?;
    Ok(Redirect::to(&site.path("/")))
}

fn tiles(site: &Site, counts: &Counts, newest: &[DeliverySummary], now: SystemTime) -> Markup {
    let verified = newest
        .iter()
        .find(|summary| summary.source == Source::Webhook);
    let to = |filter: &str| site.path(&format!("/deliveries?{filter}"));
    html! {
        ul.tiles {
            (tile("Waiting", &number(counts.pending), Some(to("state=pending")), counts.oldest_pending.map(|oldest| format!("oldest {}", ago(oldest, now)))))
            (tile("Being handled", &number(counts.claimed), Some(to("state=claimed")), None))
            (tile("Dead-lettered", &number(counts.dead_lettered), Some(to("state=dead_lettered")), None))
            (tile("Last verified", &verified.map_or_else(|| "–".to_owned(), |summary| ago(summary.received_at, now)), None,
                Some(verified.map_or_else(|| "none lately".to_owned(), words::event))))
            (tile("Inbox", &words::bytes(counts.bytes), None, None))
        }
    }
}

fn tile(name: &str, value: &str, to: Option<String>, note: Option<String>) -> Markup {
    html! {
        li.tile {
            span.name { @match to { Some(to) => a href=(to) { (name) }, None => (name) } }
            strong { (value) }
            span.hint { (note.unwrap_or_default()) }
        }
    }
}

/// What is to be done, worst first.
fn warnings(site: &Site, counts: &Counts, facts: &[Fact], now: SystemTime) -> Vec<Markup> {
    let mut warnings: Vec<Markup> = facts
        .iter()
        .filter_map(|fact| {
            let advice = fact.advice.as_ref()?;
            Some(html! { strong { (fact.name) ": " (visible(&fact.text)) "." } " " (visible(advice)) })
        })
        .collect();
    let waits = counts
        .oldest_pending
        .and_then(|oldest| now.duration_since(oldest).ok());
    if let Some(waits) = waits.filter(|waits| *waits > LONG_WAIT) {
        let path = site.path("/deliveries?state=pending");
        warnings.push(html! {
            strong { "A delivery has waited for " (words::span(waits)) "." }
            " See what its handler answered among the " a href=(path) { "pending deliveries" } "; when none has an attempt, see that "
            code { "serve" } " or " code { "work" } " runs."
        });
    }
    if counts.dead_lettered > 0 {
        let path = site.path("/deliveries?state=dead_lettered");
        warnings.push(html! {
            strong { (words::deliveries(counts.dead_lettered)) " given up." }
            " Look at why among the " a href=(path) { "dead letters" } ", correct the handler, and replay them."
        });
    }
    warnings
}

fn by_event(site: &Site, chart: &Chart, span: Span) -> Markup {
    let events = chart.events();
    if events.is_empty() {
        return html! {};
    }
    let accepted = |counts: &[u64]| counts[..3].iter().sum::<u64>();
    let most = events.iter().map(|(_, counts)| accepted(counts)).max();
    let most = most.unwrap_or(1).max(1);
    let columns = [
        ("Event", "key"),
        ("Accepted", "number"),
        ("Duplicates", "number"),
        ("Failed attempts", "number"),
        ("Share", ""),
    ];
    let rows = events.iter().take(40).map(|(name, counts)| {
        let filter = Filter::default().with("event", name);
        let filter = filter.with("since", span.word).address();
        let to = format!("{}{filter}", site.path("/deliveries"));
        let count = accepted(counts);
        let count_of = |series: Series| html! { (number(counts[series as usize])) };
        vec![
            html! { @if name.is_empty() { "(no event)" } @else { a href=(to) { (visible(name)) } } },
            html! { (number(count)) },
            count_of(Series::Duplicate),
            count_of(Series::FailedAttempt),
            html! { meter min="0" max=(most) value=(count) aria-label=(format!("{count} of {most}")) {} },
        ]
    });
    html! {
        details open[events.len() <= 8] #by-event {
            summary { "By event" }
            (page::table("Counts by event", "cards", &columns, rows))
        }
    }
}

/// Counts of a span.
async fn charted(site: &Site, span: Span, now: SystemTime) -> Result<Chart, Problem> {
    let mut chart = Chart::new(span, now);
    let unit = match span.seconds {
        60 => TrafficUnit::Minute,
        _ => TrafficUnit::Hour,
    };
    for count in site.inbox.traffic(chart.since(), unit).await? {
        let event = count.event_type.as_deref();
        let series = match count.kind {
            TrafficKind::Accepted => match event.map(|name| EventType::from(name).outcome()) {
                Some(Outcome::Success) => Series::Success,
                Some(Outcome::Failure) => Series::Failure,
                _ => Series::Other,
            },
            TrafficKind::Duplicate => Series::Duplicate,
            TrafficKind::FailedAttempt => Series::FailedAttempt,
            _ => continue,
        };
        let event = Some(event.unwrap_or_default());
        chart.add(count.at, series, event, count.count);
    }
    if site.rejected.is_some() {
        let since = chart.since();
        let rejected = site.read_rejected(move |rejected| rejected.traffic(since, unit));
        // The rest is worth seeing without them; their own page says why they cannot be read.
        let rejected = tokio::time::timeout(FACTS_TIME, rejected).await;
        for (at, count) in rejected.ok().and_then(Result::ok).unwrap_or_default() {
            chart.add(at, Series::Rejected, None, count);
        }
    }
    Ok(chart)
}

/// How many of the newest are looked at for the last that HeyGen signed.
const LOOKED_AT: usize = 200;
const SHOWN: usize = 10;
const LONG_WAIT: Duration = Duration::from_secs(600);
