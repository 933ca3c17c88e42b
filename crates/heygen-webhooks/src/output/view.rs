//! What we show of an event: the same view for `inspect`, `serve` and `inbox show`, for people and for programs.

use heygen_events::{Event, ParseError};
use serde_json::{Value, json};

use crate::output::{tame, without_query};

/// The typed view, for programs: the same keys for a body that is no event. Absent is null.
pub(crate) fn json(event: Option<&Event>) -> Value {
    let unknown_fields = event.map(|event| event.unknown_fields().keys().collect::<Vec<_>>());
    json!({
        "event_type": event.map(Event::event_name),
        "known": event.is_some_and(Event::is_known),
        "well_formed": event.is_some_and(Event::is_well_formed),
        "outcome": event.map(|event| event.outcome().as_str()),
        "subject_id": event.and_then(Event::subject_id),
        "callback_id": event.and_then(Event::callback_id),
        "callback_url": event.and_then(Event::callback_url),
        "media_url": event.and_then(Event::media_url),
        "media_kind": event.and_then(Event::media_kind).map(|kind| kind.as_str()),
        "failure_message": event.and_then(Event::failure_message),
        "unknown_fields": unknown_fields.unwrap_or_default(),
    })
}

/// The typed view, for people: a line a fact.
pub(crate) fn text(event: &Event, full: bool) -> String {
    let link = |url: &str| match full {
        true => url.to_owned(),
        false => without_query(url),
    };
    let payload_error = event.payload_error().map(explain);
    let facts: [(&str, Option<String>); 10] = [
        ("event", Some(tame(event.event_name()))),
        (
            "known",
            (!event.is_known()).then(|| "no: this version has no type for this event".to_owned()),
        ),
        (
            "well formed",
            payload_error.map(|reason| format!("no: {reason}")),
        ),
        ("outcome", Some(event.outcome().as_str().to_owned())),
        ("subject", event.subject_id().map(tame)),
        ("callback id", event.callback_id().map(tame)),
        (
            "callback url",
            event.callback_url().map(|url| tame(&link(url))),
        ),
        ("media", media(event, full)),
        ("failure", reason(event)),
        ("unknown fields", unknown_fields(event)),
    ];
    facts
        .into_iter()
        .filter_map(|(name, fact)| Some(format!("{name:<15} {}\n", fact?)))
        .collect()
}

/// The event in a few words: what a line of `serve` says after time and name.
pub(crate) fn words(event: &Event, full: bool) -> String {
    let mut words = Vec::new();
    if !event.is_known() {
        words.push("(new event name)".to_owned());
    }
    words.extend(event.subject_id().map(tame));
    words.push(facts(event, full));
    words.retain(|words| !words.is_empty());
    words.join("  ")
}

/// The same without its name and what it is about.
pub(crate) fn facts(event: &Event, full: bool) -> String {
    let mut words = Vec::new();
    words.extend(media(event, full));
    words.extend(failure(event));
    words.extend(
        event
            .callback_id()
            .map(|id| format!("callback_id={}", tame(id))),
    );
    words.extend(event.payload_error().map(explain));
    words.extend(unknown_fields(event).map(|fields| format!("unknown fields: {fields}")));
    words.join("  ")
}

/// An error with its cause, in one line.
pub(crate) fn explain(error: &ParseError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn media(event: &Event, full: bool) -> Option<String> {
    let kind = event.media_kind().map_or("media", |kind| kind.as_str());
    match event.media_url() {
        Some(url) if full => Some(format!("{kind} {}", tame(url))),
        Some(url) => Some(format!("{kind} {}", tame(&without_query(url)))),
        None => event
            .is_missing_media()
            .then(|| format!("{kind} without a link: get it from HeyGen by id")),
    }
}

fn failure(event: &Event) -> Option<String> {
    Some(format!("failed: {}", reason(event)?))
}

fn reason(event: &Event) -> Option<String> {
    match event.failure_message() {
        Some(message) => Some(tame(message)),
        None => event
            .is_missing_reason()
            .then(|| "HeyGen gives no reason".to_owned()),
    }
}

fn unknown_fields(event: &Event) -> Option<String> {
    let names: Vec<_> = event.unknown_fields().keys().map(String::as_str).collect();
    (!names.is_empty()).then(|| tame(&names.join(", ")))
}
