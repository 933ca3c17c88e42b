//! One delivery: what it says, its fields, its bytes, its attempts, and what can be done with it.

use std::time::SystemTime;

use axum::extract::{Form, Path, Query, State};
use axum::response::{IntoResponse as _, Redirect};
use heygen_events::text::visible;
use heygen_events::{Event, Outcome};
use heygen_inbox::{
    Attempt, DeliveryId, Header, InboxAdmin as _, Source, State as Stage, StoredDelivery,
};
use heygen_signature::{Secret, Secrets, find_signature};
use http::{StatusCode, header};
use maud::{Markup, html};
use serde::Deserialize;

use crate::body::{Shown, laid_out, without_links};
use crate::fields;
use crate::media::Media;
use crate::page::{self, View, page};
use crate::problem::Problem;
use crate::site::{Answer, Shared, Site};
use crate::words::{self, ago};

pub(crate) async fn show(
    State(site): Shared,
    Path(id): Path<String>,
    Query(view): Query<View>,
) -> Answer {
    let stored = site.stored(&id).await?;
    let now = SystemTime::now();
    let shows_links = view.shows_links();
    let summary = &stored.summary;
    let event = Event::from_slice(&stored.body).ok();
    let shown = Shown::of(&stored.body, shows_links);
    let path = site.path(&format!("/deliveries/{}", summary.id));
    let content = html! {
        p.crumbs { a href=(site.path("/deliveries")) { "Deliveries" } " / " code { (summary.id) } }
        (view.notice())
        div #delivery data-live data-poll {
            div.head { h1 { (words::event(summary)) } }
            section.card {
                p.lead { (sentence(&stored, event.as_ref())) }
                dl.facts {
                    div { dt { "State" } dd { (words::state(summary.state)) (when_due(&stored, now)) } }
                    div { dt { "Outcome" } dd { (words::outcome(summary.outcome)) } }
                    div { dt { "Received" } dd { (words::time(summary.received_at)) " UTC " span.hint { (ago(summary.received_at, now)) } } }
                    div { dt { "Verdict" } dd { (verdict(&site, &stored)) } }
                    @if let Some(subject) = &summary.subject_id { div { dt { "Subject" } dd { code { (visible(subject)) } } } }
                    @if let Some(callback) = &summary.callback_id { div { dt { "Callback id" } dd { code { (visible(callback)) } } } }
                    @if let Some(event_id) = &stored.event_id { div { dt { "Event id" } dd { code { (visible(event_id)) } } } }
                    div { dt { "Redeliveries" } dd { (redeliveries(&stored, now)) } }
                }
            }
            section.card {
                h2 { "Attempts" }
                (attempts(&stored.attempts))
            }
        }
        (actions(&site, &stored, &shown, &path))
        (preview(&stored, &path))
        section.card {
            div.head {
                h2 { "Fields" }
                @if shown.hides_links {
                    a.button href=(format!("{path}?links=shown")) title="Anyone who has a whole link can fetch the file" { "Show whole links" }
                } @else if shows_links {
                    a.button href=(path) { "Hide links" }
                }
            }
            @match &event {
                Some(event) => {
                    @if let Some(error) = event.payload_error() {
                        p.alert { "The data does not match what is known of this event: " (visible(&error.to_string())) "." }
                    }
                    (fields::table(&event.event_type(), event.json(), shows_links))
                }
                None => p.hint { "The body is not an event." }
            }
        }
        section.card {
            div.head {
                h2 { "Body" }
                div.buttons {
                    button.needs-script type="button" data-copy="body-text" { "Copy" }
                    a.button href=(format!("{path}/body")) { "Download body" }
                }
            }
            p.hint {
                (words::bytes(stored.body.len() as u64))
                @if shown.is_exact { ", exactly as received" }
                @if shown.hides_links { "; the queries of links are hidden" }
            }
            (shown.markup("body-text"))
            @if let Some(laid_out) = laid_out(&stored.body, shows_links) {
                details #laid-out { summary { "Laid out" } pre tabindex="0" role="region" aria-label="Body, laid out" { (laid_out) } }
            }
        }
        section.card {
            h2 { "Headers" }
            p.hint { "HeyGen signs none of them." }
            (page::headers(&stored.headers, []))
        }
        @if let Some(post) = &stored.signed {
            section.card {
                h2 { "Signed POST" }
                p.hint { "The event was first found in HeyGen's log; this POST of it came " (words::clock(post.received_at)) " UTC." }
                (page::headers(&post.headers, []))
                (Shown::of(&post.body, shows_links).markup("signed-text"))
            }
        }
    };
    let title = format!("{} {}", words::event(summary), summary.id);
    Ok(page(&site, Some("/deliveries"), &title, &content))
}

/// What it says, for someone who has never read an event.
fn sentence(stored: &StoredDelivery, event: Option<&Event>) -> Markup {
    let Some(event) = event else {
        return html! { "The body is not an event that can be read. It is stored and dispatched all the same." };
    };
    let description = event.event_type().description();
    html! {
        (description)
        @match event.outcome() {
            Outcome::Failure => @match event.failure_message() {
                Some(message) => { " HeyGen says: " q { (visible(&without_links(message))) } }
                None => " It gives no reason.",
            }
            Outcome::Success if event.is_missing_media() => " It should bring a link and has none: fetch the job from HeyGen's API.",
            _ => {}
        }
        @if let Some(subject) = &stored.summary.subject_id { " It is about " code { (visible(subject)) } "." }
    }
}

fn when_due(stored: &StoredDelivery, now: SystemTime) -> Markup {
    html! {
        @if let Some(due) = stored.due_at {
            " " span.hint { @if due > now { "next attempt " (ago(due, now)) } @else { "due now" } }
        }
        @if let Some(at) = stored.summary.dead_lettered_at { " " span.hint { (ago(at, now)) } }
    }
}

/// What vouches for it, and which of today's secrets signed it.
fn verdict(site: &Site, stored: &StoredDelivery) -> Markup {
    match stored.summary.source {
        Source::Webhook => html! {
            span.state.good { "signature verified" }
            @match named_secret(site, &stored.headers, &stored.body) {
                Some(Some(name)) => { " with " strong { (name) } }
                Some(None) => { " " span.hint { "when it came; none of the secrets in use today signed it" } }
                None => { " " span.hint { "when it came" } }
            }
        },
        Source::Callback => {
            html! { span.state.waiting { "unsigned" } " It came under a callback token: anyone who knows that address can send anything." }
        }
        Source::Backfill => {
            html! { span.state.good { "from HeyGen's log" } " Read over TLS with the account's key." }
        }
        _ => html! { span.state.waiting { "imported" } " Nothing vouches for what a file says." },
    }
}

/// The name of the secret that signed it; `None` when no secrets are known here.
fn named_secret(site: &Site, headers: &[Header], body: &[u8]) -> Option<Option<String>> {
    let mut named = site.secrets.as_ref()?().into_iter();
    let pairs = headers.iter().map(|header| (&*header.name, &*header.value));
    let Ok(signature) = find_signature(pairs) else {
        return Some(None);
    };
    let verifies = |secret| Secrets::from(secret).verify(&signature, body).is_ok();
    let signed = named.find(|(_, secret): &(_, Secret)| verifies(secret.clone()));
    Some(signed.map(|(name, _)| name))
}

fn redeliveries(stored: &StoredDelivery, now: SystemTime) -> Markup {
    html! {
        @match (stored.redeliveries.count, stored.redeliveries.last_at) {
            (count @ 1.., Some(last_at)) => { (words::number(count)) ", the last " (ago(last_at, now)) }
            _ => span.hint { "none" },
        }
    }
}

fn attempts(attempts: &[Attempt]) -> Markup {
    if attempts.is_empty() {
        return html! { p.hint { "No attempt has ended yet." } };
    }
    let columns = [
        ("No.", "number"),
        ("Started (UTC)", "key"),
        ("Result", ""),
        ("Took", "number"),
        ("What the handler said", "wrap"),
    ];
    let rows = attempts.iter().rev().map(|attempt| {
        let said = attempt.detail.as_deref().unwrap_or("–");
        vec![
            html! { (attempt.number) },
            words::time(attempt.started_at),
            words::attempt(attempt.result),
            html! { (words::span(attempt.duration)) },
            html! { (visible(&without_links(said))) },
        ]
    });
    page::table("Attempts", "cards", &columns, rows)
}

fn actions(site: &Site, stored: &StoredDelivery, shown: &Shown, path: &str) -> Markup {
    html! {
        section.card aria-labelledby="actions" {
            h2 #actions { "Actions" }
            @if !site.is_read_only {
                div.buttons {
                    form method="post" action=(format!("{path}/replay")) {
                        button.primary title="Dispatches it again, whatever its state, with as many attempts as a new one" { "Replay" }
                    }
                    @if stored.summary.state == Stage::Pending {
                        form method="post" action=(format!("{path}/dead-letter")) {
                            button.danger title="Gives it up: it is not dispatched again unless it is replayed" { "Dead-letter" }
                        }
                    }
                }
                @if site.sender.is_some() {
                    form.inline method="post" action=(format!("{path}/send")) {
                        label for="send-to" { "Send to" }
                        input #send-to name="url" type="url" required placeholder="http://localhost:3000/heygen";
                        button { "Send once" }
                    }
                    p.hint { "Sends it to another application once, signed as forwards are; its state does not change." }
                }
            }
            details #as-curl {
                summary { "Copy as curl" }
                (curl(site, stored, shown))
            }
        }
    }
}

/// A command that posts the same body, with a placeholder for the signing secret. It has the body itself, unless that is not all to be
/// seen here.
fn curl(site: &Site, stored: &StoredDelivery, shown: &Shown) -> Markup {
    let url = site.webhook_url.as_deref();
    let url = quoted(url.unwrap_or("http://127.0.0.1:8080/webhooks/heygen"));
    let is_whole = shown.is_exact && shown.is_text && !shown.is_cut && !shown.text.contains('\r');
    let (body, print) = match is_whole {
        true => (quoted(&shown.text), "printf %s \"$BODY\""),
        false => (format!("{}.body", stored.summary.id), "cat \"$BODY\""),
    };
    let command = format!(
        "BODY={body} SECRET=whsec_your_secret\n{print} | curl {url} --data-binary @- \\\n  --header 'Content-Type: application/json' \\\n  \
         --header \"Signature: $({print} | openssl dgst -sha256 -hmac \"$SECRET\" -r | cut -c1-64)\""
    );
    html! {
        p.hint {
            @if !is_whole { "Download the body first, or show whole links; " }
            code { "SECRET" } " stands for a signing secret, which is never shown here."
        }
        pre #curl-text tabindex="0" role="region" aria-label="Command" { (command) }
        button.needs-script type="button" data-copy="curl-text" { "Copy" }
    }
}

/// As one word for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn preview(stored: &StoredDelivery, path: &str) -> Markup {
    let media = Media::all(stored);
    if media.is_empty() {
        return html! {};
    }
    html! {
        section.card aria-labelledby="media" {
            h2 #media { "Media" }
            p.hint { "Nothing is loaded before you ask. Links of HeyGen's expire." }
            div.buttons {
                @for (number, media) in media.iter().enumerate() {
                    a.button href=(format!("{path}/media?number={number}")) target="preview" rel="noreferrer" {
                        "Load the " (media.name) " from " (visible(media.host()))
                    }
                }
            }
            iframe name="preview" title="Preview" {}
        }
    }
}

/// The exact bytes, which no browser shows or runs.
pub(crate) async fn download(State(site): Shared, Path(id): Path<String>) -> Answer {
    let stored = site.stored(&id).await?;
    let disposition = format!("attachment; filename=\"{}.body\"", stored.summary.id);
    let policy = "sandbox; default-src 'none'";
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, disposition.as_str()),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    Ok((headers, stored.body).into_response())
}

pub(crate) async fn replay(State(site): Shared, Path(id): Path<String>) -> Answer<Redirect> {
    let stored = site.stored(&id).await?;
    let id = stored.summary.id;
    let report = site.inbox.replay(vec![id], SystemTime::now()).await?;
    let word = match report.pending {
        0 => "claimed",
        _ => "replayed",
    };
    Ok(back(&site, id, word))
}

pub(crate) async fn dead_letter(State(site): Shared, Path(id): Path<String>) -> Answer<Redirect> {
    let id = site.stored(&id).await?.summary.id;
    let report = site.inbox.dead_letter(vec![id], SystemTime::now()).await?;
    let word = match (report.dead_lettered, report.acknowledged) {
        (1.., _) => "dead-lettered",
        (0, 1..) => "acknowledged",
        (0, 0) => "claimed",
    };
    Ok(back(&site, id, word))
}

fn back(site: &Site, id: DeliveryId, done: &str) -> Redirect {
    Redirect::to(&site.path(&format!("/deliveries/{id}?done={done}")))
}

#[derive(Deserialize)]
pub(crate) struct Target {
    url: String,
}

pub(crate) async fn send(
    State(site): Shared,
    Path(id): Path<String>,
    Form(target): Form<Target>,
) -> Answer {
    let sender = site.sender.as_ref();
    let sender = sender.ok_or_else(|| Problem::not_found("Nothing is sent from here."))?;
    let stored = site.stored(&id).await?;
    let path = site.path(&format!("/deliveries/{}", stored.summary.id));
    let sent = sender.send(stored, target.url.trim().to_owned()).await;
    let (status, class, text) = match sent {
        Ok(text) => (StatusCode::OK, "notice", text),
        Err(text) => (StatusCode::BAD_GATEWAY, "alert", text),
    };
    let content = html! {
        section.card {
            h1 { "Send once" }
            p.(class) role="status" { (visible(&text)) }
            p { a.button href=(path) { "Back to the delivery" } }
        }
    };
    let page = page(&site, Some("/deliveries"), "Send once", &content);
    Ok((status, page).into_response())
}
