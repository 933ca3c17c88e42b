//! Rejected requests: why, what to do, and whether they verify by now.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{Form, Path, Query as Params, State};
use axum::response::{Redirect, Response};
use heygen_events::text::visible;
use heygen_inbox::{Appended, Inbox as _, NewDelivery, Rejected, RejectedSummary, Source};
use heygen_signature::{Secrets, diagnose, verify};
use maud::{Markup, html};
use serde::Deserialize;

use crate::body::Shown;
use crate::page::Page;
use crate::problem::Problem;
use crate::site::Site;
use crate::words::{self, ago, number};

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct View {
    /// What verifying again came to: accepted, known already, still rejected.
    accepted: Option<usize>,
    known: Option<usize>,
    left: Option<usize>,
    links: String,
}

pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    Params(view): Params<View>,
) -> Result<Response, Problem> {
    let now = SystemTime::now();
    let rejected = site.read_rejected(|rejected| rejected.list(SHOWN)).await?;
    let may_reverify = !site.is_read_only && site.secrets.is_some();
    let content = html! {
        div.head {
            h1 { "Rejected" }
            @if may_reverify && !rejected.is_empty() {
                form method="post" action=(site.path("/rejected/reverify")) {
                    button title="Accepts those that verify with the secrets in use now" { "Reverify all" }
                }
            }
        }
        (outcome(&view))
        div #rejected data-live {
            @if rejected.is_empty() {
                div.card.empty { p { "No request was rejected lately." } }
            } @else {
                (table(&site, &rejected, now))
                @if rejected.len() == SHOWN { p.hint { "The last " (number(SHOWN as u64)) " are shown." } }
            }
        }
    };
    Ok(Page::new("Rejected", content).under("/rejected").of(&site))
}

fn outcome(view: &View) -> Markup {
    let (Some(accepted), Some(known), Some(left)) = (view.accepted, view.known, view.left) else {
        return html! {};
    };
    html! {
        p.notice role="status" {
            (words::deliveries(accepted as u64)) " accepted"
            @if known > 0 { ", " (number(known as u64)) " were in the inbox already" }
            @if left > 0 { ", " (number(left as u64)) " do not verify and stay here" } "."
        }
    }
}

fn table(site: &Site, rejected: &[RejectedSummary], now: SystemTime) -> Markup {
    html! {
        div.scroll role="region" aria-label="Rejected requests" tabindex="0" {
            table.rejected.listed {
                thead { tr {
                    th scope="col" { "Last (UTC)" }
                    th scope="col" { "Reason" }
                    th scope="col" { "What to do" }
                    th.number scope="col" { "Times" }
                    th scope="col" { "Signature" }
                    th.number scope="col" { "Body" }
                } }
                tbody {
                    @for summary in rejected {
                        tr {
                            td { (words::time(summary.last_at)) " " span.hint { (ago(summary.last_at, now)) } }
                            th scope="row" { a href=(site.path(&format!("/rejected/{}", summary.id))) { (visible(&summary.reason)) } }
                            td.wrap { (visible(summary.explanation.as_deref().unwrap_or("–"))) }
                            td.number { (number(summary.count)) }
                            td { @if summary.is_signed { "well-formed" } @else { span.hint { "none, or malformed" } } }
                            td.number { (summary.body_bytes.map_or_else(|| "not read".to_owned(), words::bytes)) }
                        }
                    }
                }
            }
        }
    }
}

pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    Path(id): Path<u64>,
    Params(view): Params<View>,
) -> Result<Response, Problem> {
    let rejected = site.read_rejected(move |rejected| rejected.get(id)).await?;
    let rejected = rejected.ok_or_else(|| {
        Problem::not_found("It is not here any more: others took its place, or it was accepted.")
    })?;
    let now = SystemTime::now();
    let summary = &rejected.summary;
    let shows_links = view.links == "shown";
    let shown = rejected
        .body
        .as_ref()
        .map(|body| Shown::of(body, shows_links));
    let path = site.path(&format!("/rejected/{id}"));
    let content = html! {
        p.crumbs { a href=(site.path("/rejected")) { "Rejected" } " / " code { (id) } }
        h1 { (visible(&summary.reason)) }
        section.card {
            @if let Some(explanation) = &summary.explanation { p.lead { (visible(explanation)) } }
            dl.facts {
                div { dt { "Last" } dd { (words::time(summary.last_at)) " UTC " span.hint { (ago(summary.last_at, now)) } } }
                div { dt { "First" } dd { (words::time(summary.first_at)) " UTC" } }
                div { dt { "Times" } dd { (number(summary.count)) } }
                div { dt { "With the secrets in use now" } dd { (diagnosis(&site, &rejected)) } }
            }
            @if !site.is_read_only && site.secrets.is_some() && rejected.body.is_some() {
                form method="post" action=(site.path("/rejected/reverify")) {
                    input type="hidden" name="id" value=(id);
                    button.primary title="Accepts it if it verifies with the secrets in use now" { "Reverify" }
                }
            }
        }
        section.card {
            div.head {
                h2 { "Body" }
                @if shown.as_ref().is_some_and(|shown| shown.hides_links) { a.button href=(format!("{path}?links=shown")) { "Show whole links" } }
            }
            p.hint { "No one vouches for who sent it." }
            @match &shown { Some(shown) => (shown.markup("body-text")), None => p.hint { "It was not read whole, or not kept." } }
        }
        section.card {
            h2 { "Headers" }
            p.hint { "Values are kept of signatures alone." }
            div.scroll role="region" aria-label="Headers" tabindex="0" {
                table.headers {
                    thead { tr { th scope="col" { "Name" } th scope="col" { "Value" } } }
                    tbody {
                        @for header in &rejected.signatures {
                            tr { th scope="row" { code { (visible(&header.name)) } } td.value { (visible(&header.value)) } }
                        }
                        @for name in rejected.header_names.iter().filter(|name| rejected.signatures.iter().all(|header| header.name != **name)) {
                            tr { th scope="row" { code { (visible(name)) } } td { span.hint { "not kept" } } }
                        }
                    }
                }
            }
        }
    };
    Ok(Page::new("Rejected request", content)
        .under("/rejected")
        .of(&site))
}

fn diagnosis(site: &Site, rejected: &Rejected) -> Markup {
    let (Some(body), Some(secrets)) = (&rejected.body, site.secrets()) else {
        return html! { span.hint { "cannot be verified" } };
    };
    let diagnosis = diagnose(pairs(rejected), body, &secrets);
    html! {
        @if diagnosis.is_verified() { span.state.good { "verifies" } } @else { span.state.bad { (diagnosis.label()) } " " (diagnosis) }
    }
}

#[derive(Deserialize)]
pub(crate) struct Chosen {
    id: Option<u64>,
}

/// Accepts what verifies by now, as if it had just been sent.
pub(crate) async fn reverify(
    State(site): State<Arc<Site>>,
    Form(chosen): Form<Chosen>,
) -> Result<Redirect, Problem> {
    let secrets = site
        .secrets()
        .ok_or_else(|| Problem::not_found("No signing secret is known here."))?;
    let ids = match chosen.id {
        Some(id) => vec![id],
        None => {
            let mut all = site
                .read_rejected(|rejected| rejected.list(usize::MAX))
                .await?;
            all.sort_by_key(|summary| (summary.first_at, summary.id));
            all.iter().map(|summary| summary.id).collect()
        }
    };
    let (mut accepted, mut known, mut left) = (0, 0, 0);
    for id in ids {
        let post = site.read_rejected(move |rejected| rejected.get(id)).await?;
        let delivery = post.and_then(|post| verified(&post, &secrets));
        let Some(delivery) = delivery else {
            left += 1;
            continue;
        };
        // It is in the inbox, on the disk, before it goes from here.
        match site.inbox.append(delivery).await? {
            Appended::New(_) => accepted += 1,
            Appended::Duplicate(_) => known += 1,
            _ => {}
        }
        site.read_rejected(move |rejected| rejected.remove(&[id]))
            .await?;
    }
    let outcome = format!("/rejected?accepted={accepted}&known={known}&left={left}");
    Ok(Redirect::to(&site.path(&outcome)))
}

fn verified(post: &Rejected, secrets: &Secrets) -> Option<NewDelivery> {
    let body = post.body.as_ref()?;
    verify(pairs(post), body, secrets).ok()?;
    let (at, headers) = (post.summary.first_at, post.signatures.clone());
    Some(NewDelivery::new(at, Source::Webhook, headers, body.clone()))
}

fn pairs(post: &Rejected) -> impl Iterator<Item = (&str, &[u8])> {
    let signatures = post.signatures.iter();
    signatures.map(|header| (header.name.as_str(), header.value.as_bytes()))
}

const SHOWN: usize = 200;
