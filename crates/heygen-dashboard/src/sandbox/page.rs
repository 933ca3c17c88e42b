//! Pick an event, edit it, have it sent, and see the attempts.

use std::sync::Arc;

use axum::extract::{Form, Query as Params, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use heygen_events::text::visible;
use heygen_events::{Event, EventType};
use http::StatusCode;
use maud::{Markup, html};
use serde::Deserialize;

use super::{SandboxAttempt, SandboxControl};
use crate::page::Page;
use crate::problem::Problem;
use crate::site::Site;
use crate::words;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct View {
    event: String,
    done: String,
}

pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    Params(view): Params<View>,
) -> Result<Response, Problem> {
    let sandbox = site.sandbox()?;
    let event = EventType::from(view.event.as_str());
    let event = match event.is_known() {
        true => event,
        false => EventType::AvatarVideoSuccess,
    };
    let done = match view.done.as_str() {
        "sent" => Some("Sent. Its attempts appear below."),
        "misbehaves" => Some("Deliveries that are sent from now on go so."),
        _ => None,
    };
    let body = sandbox.sample(&event);
    let notice = done.map(|text| html! { p.notice role="status" { (text) } });
    Ok(page(&site, sandbox, &event, &body, notice))
}

fn page(
    site: &Site,
    sandbox: &dyn SandboxControl,
    event: &EventType,
    body: &str,
    notice: Option<Markup>,
) -> Response {
    let attempts = sandbox.attempts();
    let content = html! {
        h1 { "Sandbox" }
        p.hint { "It plays HeyGen on this machine: what you send here is signed and delivered as HeyGen would." }
        (notice.unwrap_or_default())
        section.card {
            form.inline method="get" action=(site.path("/sandbox")) {
                label for="event" { "Event" }
                select #event name="event" {
                    @for known in EventType::KNOWN { option value=(known.as_str()) selected[known == event] { (known.as_str()) } }
                }
                button { "Take a sample" }
            }
            p.hint { (event.description()) }
            form method="post" action=(site.path("/sandbox/send")) {
                label for="body" { "Body" }
                textarea #body name="body" rows="16" spellcheck="false" { (body) }
                div.buttons {
                    button.primary { "Send" }
                    label.check { input type="checkbox" name="anyway" value="yes"; " also if it does not match the schema" }
                }
            }
        }
        section.card {
            h2 { "Attempts" }
            div #attempts data-live data-poll { (table(&attempts)) }
        }
        section.card {
            h2 { "Misbehave" }
            form method="post" action=(site.path("/sandbox/misbehave")) {
                label for="misbehaviour" { "How, as JSON; " code { "{}" } " is not at all" }
                textarea #misbehaviour.short name="json" rows="4" spellcheck="false" { (sandbox.misbehaviour()) }
                p.hint {
                    "Such as " code { "{\"duplicates\": 2}" } ", " code { "{\"delay_ms\": 2000}" } ", " code { "{\"drop_answers\": 1}" } ", "
                    code { "{\"link\": \"null\"}" } ", " code { "{\"old_secret\": true}" } "."
                }
                button { "Apply" }
            }
        }
    };
    Page::new("Sandbox", content).under("/sandbox").of(site)
}

fn table(attempts: &[SandboxAttempt]) -> Markup {
    if attempts.is_empty() {
        return html! { p.hint { "Nothing was sent yet." } };
    }
    html! {
        div.scroll role="region" aria-label="Attempts of the sandbox" tabindex="0" {
            table {
                thead { tr { th scope="col" { "Event" } th.number scope="col" { "Attempt" } th scope="col" { "Answer" } th.number scope="col" { "Took" } } }
                tbody {
                    @for attempt in attempts {
                        tr {
                            th scope="row" { (visible(&attempt.event)) }
                            td.number { (attempt.number) }
                            td { @match attempt.status {
                                Some(status @ 200..300) => span.state.good { (status) },
                                Some(status) => span.state.bad { (status) },
                                None => { span.state.bad { "no answer" } " " (visible(attempt.error.as_deref().unwrap_or_default())) }
                            } }
                            td.number { (words::span(attempt.duration)) }
                        }
                    }
                }
            }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Body {
    body: String,
    #[serde(default)]
    anyway: String,
}

pub(crate) async fn send(
    State(site): State<Arc<Site>>,
    Form(form): Form<Body>,
) -> Result<Response, Problem> {
    let sandbox = site.sandbox()?;
    let checked = check(&form.body, form.anyway == "yes");
    match checked.and_then(|()| sandbox.send(&form.body)) {
        Ok(()) => Ok(Redirect::to(&site.path("/sandbox?done=sent")).into_response()),
        Err(problem) => {
            let event = Event::from_slice(form.body.as_bytes());
            let event = event.map_or(EventType::AvatarVideoSuccess, |event| event.event_type());
            let notice = html! { p.alert role="alert" { "Not sent: " (visible(&problem)) } };
            let page = page(&site, sandbox, &event, &form.body, Some(notice));
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
    }
}

/// What the schema of a body accepts is what the event reads as well-formed.
fn check(body: &str, anyway: bool) -> Result<(), String> {
    let event = Event::from_slice(body.as_bytes()).map_err(|error| format!("{error}."))?;
    match event.payload_error() {
        Some(error) if !anyway => Err(format!("{error}.")),
        Some(_) | None => Ok(()),
    }
}

#[derive(Deserialize)]
pub(crate) struct Misbehave {
    json: String,
}

pub(crate) async fn misbehave(
    State(site): State<Arc<Site>>,
    Form(form): Form<Misbehave>,
) -> Result<Redirect, Problem> {
    let applied = site.sandbox()?.misbehave(&form.json);
    applied.map_err(|text| {
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("That is not applied: {text}"),
        )
    })?;
    Ok(Redirect::to(&site.path("/sandbox?done=misbehaves")))
}
