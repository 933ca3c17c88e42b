//! Deliveries for programs: the same keys wherever one is shown.

use heygen_events::Event;
use heygen_inbox::{Attempt, Header, Kept, SignedPost, Summary};
use serde_json::{Value, json};

use crate::output::view;
use crate::settings::when;

pub(super) fn summary_json(summary: &Summary) -> Value {
    let mut value = json!({
        "id": summary.id.to_string(),
        "received_at": when::exact(summary.received_at),
        "event_type": summary.event_type,
        "subject_id": summary.subject_id,
        "callback_id": summary.callback_id,
        "outcome": summary.outcome.map(|outcome| outcome.as_str()),
        "state": summary.state.as_str(),
        "attempts": summary.attempts,
        "source": summary.source.as_str(),
    });
    if let (Some(dead_at), Value::Object(fields)) = (summary.dead_at, &mut value) {
        fields.insert("dead_at".to_owned(), when::exact(dead_at).into());
    }
    value
}

/// The keys of the list, and what only one delivery has: `body` is null where it is not UTF-8 (`--raw` has the bytes).
pub(super) fn kept_json(kept: &Kept) -> Value {
    let mut value = summary_json(&kept.summary);
    let more = json!({
        "due_at": kept.due_at.map(when::exact),
        "event_id": kept.event_id,
        "signed": kept.signed.as_ref().map(signed_json),
        "headers": headers_json(&kept.headers),
        "body": std::str::from_utf8(&kept.body).ok(),
        "event": Event::from_slice(&kept.body).ok().map(|event| view::json(&event)),
        "repeats": {
            "count": kept.repeats.count,
            "last_at": kept.repeats.last_at.map(when::exact),
            "last_headers": headers_json(&kept.repeats.last_headers),
        },
        "attempt_list": kept.attempts.iter().map(attempt_json).collect::<Vec<_>>(),
    });
    if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
        value.extend(more);
    }
    value
}

/// The POST that came after its record: JSON, as all that is found in HeyGen's log.
pub(super) fn signed_json(post: &SignedPost) -> Value {
    json!({
        "received_at": when::exact(post.received_at),
        "headers": headers_json(&post.headers),
        "body": std::str::from_utf8(&post.body).ok(),
    })
}

pub(super) fn headers_json(headers: &[Header]) -> Value {
    headers
        .iter()
        .map(|header| json!([header.name, header.value]))
        .collect()
}

pub(super) fn attempt_json(attempt: &Attempt) -> Value {
    json!({
        "number": attempt.number,
        "started_at": when::exact(attempt.started_at),
        "milliseconds": attempt.duration.as_secs_f64() * 1000.0,
        "result": attempt.result.as_str(),
        "detail": attempt.detail,
    })
}
