//! Pick an event, edit it, have it sent, and see the attempts.

use axum::extract::{Form, Query as Params, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use heygen_events::text::visible;
use heygen_events::{Event, EventType};
use http::StatusCode;
use maud::{Markup, html};
use serde::Deserialize;

use super::{SandboxAttempt, SandboxControl};
use crate::body::{indented, without_links};
use crate::page::{self, View, page};
use crate::problem::Problem;
use crate::site::{Answer, Shared, Site};
use crate::words;

pub(crate) async fn show(State(site): Shared, Params(view): Params<View>) -> Answer {
    let sandbox = site.sandbox()?;
    let event = EventType::from(view.event.as_str());
    let event = match event.is_known() {
        true => event,
        false => EventType::AvatarVideoSuccess,
    };
    let body = indented(&sandbox.sample(&event), usize::MAX);
    Ok(shown(&site, sandbox, &event, &body, &view.notice()))
}

/// Where there is no other page to begin with.
pub(crate) async fn home(State(site): Shared) -> Redirect {
    Redirect::to(&site.path("/sandbox"))
}

fn shown(
    site: &Site,
    sandbox: &dyn SandboxControl,
    event: &EventType,
    body: &str,
    notice: &Markup,
) -> Response {
    let content = html! {
        h1 { "Sandbox" }
        p.hint { "It plays HeyGen on this machine, at " code { (sandbox.url()) } ": what you send here is signed and delivered as HeyGen would." }
        (notice)
        section.card {
            (endpoints(sandbox))
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
                @if !site.is_read_only {
                    div.buttons {
                        button.primary { "Send" }
                        label.check { input type="checkbox" name="anyway" value="yes"; " also if it does not match the schema" }
                    }
                }
            }
        }
        section.card {
            h2 { "Misbehave" }
            form method="post" action=(site.path("/sandbox/misbehave")) {
                label for="misbehaviour" { "How, as JSON; " code { "{}" } " is not at all" }
                textarea #misbehaviour name="json" rows="3" spellcheck="false" { (sandbox.misbehaviour()) }
                p.hint {
                    "Such as " code { "{\"duplicates\": 2}" } ", " code { "{\"delay_ms\": 2000}" } ", " code { "{\"drop_answers\": 1}" } ", "
                    code { "{\"link\": \"null\"}" } ", " code { "{\"old_secret\": true}" } "."
                }
                @if !site.is_read_only { button { "Apply" } }
            }
        }
        section.card {
            h2 { "Attempts" }
            div #attempts data-live data-poll { (table(&sandbox.attempts())) }
        }
    };
    page(site, Some("/sandbox"), "Sandbox", &content)
}

/// Where it delivers to, or how it comes to know.
fn endpoints(sandbox: &dyn SandboxControl) -> Markup {
    let endpoints = sandbox.endpoints();
    html! {
        @if endpoints.is_empty() {
            p.alert {
                "Nothing is delivered, as no address is registered. Register yours: "
                code { "HEYGEN_API_KEY=any heygen-webhooks endpoints create http://127.0.0.1:8080/webhooks/heygen --base-url " (sandbox.url()) }
            }
        } @else {
            p.hint { "Delivers to " @for (index, url) in endpoints.iter().enumerate() { @if index > 0 { ", " } code { (visible(&without_links(url))) } } "." }
        }
    }
}

fn table(attempts: &[SandboxAttempt]) -> Markup {
    if attempts.is_empty() {
        return html! { p.hint { "Nothing was sent yet." } };
    }
    let columns = [
        ("Event", "key"),
        ("To", "wrap"),
        ("Attempt", "number"),
        ("Answer", ""),
        ("Took", "number"),
    ];
    let rows = attempts.iter().map(|attempt| {
        let answer = match attempt.status {
            Some(status @ 200..300) => html! { span.state.good { (status) } },
            Some(status) => html! { span.state.bad { (status) } },
            None => html! { span.state.bad { "no answer" } " " (visible(attempt.error.as_deref().unwrap_or_default())) },
        };
        vec![
            html! { span.clip title=(visible(&attempt.event)) { (visible(&attempt.event)) } },
            html! { (visible(&without_links(&attempt.url))) },
            html! { (attempt.number) },
            answer,
            html! { (words::span(attempt.duration)) },
        ]
    });
    page::table("Attempts of the sandbox", "cards", &columns, rows)
}

#[derive(Deserialize)]
pub(crate) struct Body {
    body: String,
    #[serde(default)]
    anyway: String,
}

pub(crate) async fn send(State(site): Shared, Form(form): Form<Body>) -> Answer {
    let sandbox = site.sandbox()?;
    let checked = check(&form.body, form.anyway == "yes");
    match checked.and_then(|()| sandbox.send(&form.body)) {
        Ok(()) => Ok(Redirect::to(&site.path("/sandbox?done=sent")).into_response()),
        Err(problem) => {
            let event = Event::from_slice(form.body.as_bytes());
            let event = event.map_or(EventType::AvatarVideoSuccess, |event| event.event_type());
            let notice = html! { p.alert role="alert" { "Not sent: " (visible(&problem)) } };
            let page = shown(&site, sandbox, &event, &form.body, &notice);
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
    State(site): Shared,
    Form(form): Form<Misbehave>,
) -> Answer<Redirect> {
    let applied = site.sandbox()?.misbehave(&form.json);
    applied.map_err(|text| {
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("That is not applied: {text}"),
        )
    })?;
    Ok(Redirect::to(&site.path("/sandbox?done=misbehaves")))
}
