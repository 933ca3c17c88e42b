//! Rejected requests: why, what to do, and whether they verify by now.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{Form, Path, Query as Params, State};
use axum::response::Redirect;
use heygen_events::text::visible;
use heygen_inbox::{Appended, Inbox as _, NewDelivery, Rejected, RejectedSummary, Source};
use heygen_signature::{Secrets, diagnose, verify};
use maud::{Markup, html};
use serde::Deserialize;

use crate::body::Shown;
use crate::job::Job;
use crate::page::{self, View, page};
use crate::problem::Problem;
use crate::site::{Answer, Shared, Site};
use crate::words::{self, number};

pub(crate) async fn list(State(site): Shared) -> Answer {
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
        @if let Some(job) = site.reverify.last() {
            div #progress data-live data-poll[job.is_running()] { (job.markup(&site.path("/rejected/stop"), &outcome(&job))) }
        }
        div #rejected data-live {
            @if rejected.is_empty() {
                div.card.empty { p { "No request was rejected lately." } }
            } @else {
                (table(&site, &rejected, now))
                @if rejected.len() == SHOWN { p.hint { "The last " (number(SHOWN as u64)) " are shown." } }
            }
        }
    };
    Ok(page(&site, Some("/rejected"), "Rejected", &content))
}

fn outcome(job: &Job) -> Markup {
    let [accepted, known, left] = job.counts();
    html! {
        (words::deliveries(accepted)) " accepted"
        @if known > 0 { ", " (number(known)) " were in the inbox already" }
        @if left > 0 { ", " (number(left)) " do not verify and stay here" }
    }
}

fn table(site: &Site, rejected: &[RejectedSummary], now: SystemTime) -> Markup {
    let columns = [
        ("Last (UTC)", "when"),
        ("Reason", "key"),
        ("What to do", "wrap"),
        ("Times", "number"),
        ("Signature", ""),
        ("Body", "number"),
    ];
    let rows = rejected.iter().map(|summary| {
        let path = site.path(&format!("/rejected/{}", summary.id));
        let body = summary.body_bytes;
        vec![
            words::time_ago(summary.last_at, now),
            html! { a href=(path) { (visible(&summary.reason)) } },
            html! { (visible(explanation(summary).unwrap_or("–"))) },
            html! { (number(summary.count)) },
            html! { @if summary.is_signed { "well-formed" } @else { span.hint { "none, or malformed" } } },
            html! { (body.map_or_else(|| "not read".to_owned(), words::bytes)) },
        ]
    });
    page::table("Rejected requests", "listed labelled", &columns, rows)
}

/// What was found out when it came, which is so for a few of a flood alone; else what its reason says.
fn explanation(summary: &RejectedSummary) -> Option<&str> {
    let of_reason = || match summary.reason.as_str() {
        "missing-signature" => Some(
            "no signature header: it is not from HeyGen, or a proxy removed the header, or it was meant for a callback_url",
        ),
        "malformed-signature" => Some(
            "the signature header is not 64 hexadecimal digits: let the sender write the HMAC-SHA256 in hexadecimal",
        ),
        "ambiguous-signature" => Some(
            "more than one signature in the headers: find the proxy that adds or joins headers",
        ),
        "signature-mismatch" => {
            Some("the signature matches no secret: open it to see what the secrets in use say")
        }
        "no-secret" => Some("no signing secret was known: configure it, and HeyGen sends it again"),
        "not-found" => Some(
            "the path is not served: compare it with the address that is registered at HeyGen, and find a proxy that rewrites it",
        ),
        "encoded-body" => Some(
            "the body is compressed, but HeyGen signs the plain body: find the proxy that compresses requests",
        ),
        "headers-too-large" => Some("too many headers: find the proxy that adds them"),
        "body-too-large" => Some("the body is larger than the limit: raise it if HeyGen sent this"),
        "body-too-slow" => Some("the body took too long: find what slows the connection"),
        "body-broken" => Some("the connection broke, here or at a proxy"),
        _ => None,
    };
    summary.explanation.as_deref().or_else(of_reason)
}

pub(crate) async fn show(
    State(site): Shared,
    Path(id): Path<u64>,
    Params(view): Params<View>,
) -> Answer {
    let rejected = site.read_rejected(move |rejected| rejected.get(id)).await?;
    let rejected = rejected.ok_or_else(|| {
        Problem::not_found("It is not here any more: others took its place, or it was accepted.")
    })?;
    let now = SystemTime::now();
    let summary = &rejected.summary;
    let shows_links = view.shows_links();
    let body = rejected.body.as_ref();
    let shown = body.map(|body| Shown::of(body, shows_links));
    let path = site.path(&format!("/rejected/{id}"));
    let signatures = &rejected.signatures;
    let names = rejected.header_names.iter().map(String::as_str);
    let others = names.filter(|name| signatures.iter().all(|header| header.name != *name));
    let content = html! {
        p.crumbs { a href=(site.path("/rejected")) { "Rejected" } " / " code { (id) } }
        h1 { (visible(&summary.reason)) }
        section.card {
            @if let Some(explanation) = explanation(summary) { p.lead { (visible(explanation)) } }
            dl.facts {
                div { dt { "Last" } dd { (words::time(summary.last_at)) " UTC " span.hint { (words::ago(summary.last_at, now)) } } }
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
            @match &shown { Some(shown) => (shown.markup("body-text")), None => p.hint { "It was not read whole, or not stored." } }
        }
        section.card {
            h2 { "Headers" }
            p.hint { "Of signatures alone the values are stored." }
            (page::headers(signatures, others))
        }
    };
    Ok(page(&site, Some("/rejected"), "Rejected request", &content))
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
pub(crate) async fn reverify(State(site): Shared, Form(chosen): Form<Chosen>) -> Answer<Redirect> {
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
    let (total, of) = (Some(ids.len() as u64), Arc::clone(&site));
    let work = |job| accept(job, of, secrets, ids);
    site.reverify.start(total, work).await?;
    Ok(Redirect::to(&site.path("/rejected")))
}

/// Goes through them in the order in which they came.
async fn accept(
    job: Arc<Job>,
    site: Arc<Site>,
    secrets: Secrets,
    ids: Vec<u64>,
) -> Result<(), Problem> {
    for id in ids {
        if job.is_stopped() {
            break;
        }
        let post = site.read_rejected(move |rejected| rejected.get(id)).await?;
        let Some(delivery) = post.and_then(|post| verified(&post, &secrets)) else {
            job.add(LEFT, 1);
            continue;
        };
        // It is in the inbox, on the disk, before it goes from here.
        let appended = site.inbox.append(delivery).await?;
        site.read_rejected(move |rejected| rejected.remove(&[id]))
            .await?;
        let is_new = matches!(appended, Appended::New(_));
        job.add(if is_new { ACCEPTED } else { KNOWN }, 1);
    }
    Ok(())
}

pub(crate) async fn stop(State(site): Shared) -> Redirect {
    site.reverify.stop();
    Redirect::to(&site.path("/rejected"))
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

/// What came of each.
const ACCEPTED: usize = 0;
const KNOWN: usize = 1;
const LEFT: usize = 2;

const SHOWN: usize = 200;
