//! Deliveries for programs: the same keys wherever one is shown.

use heygen_events::Event;
use heygen_inbox::StoredDelivery;
use serde::Serialize;
use serde_json::{Value, json};

use crate::output::view;
use crate::settings::when;

pub(super) fn to_json(shown: impl Serialize) -> Value {
    // What is shown has keys that are names, and nothing that cannot be written.
    serde_json::to_value(shown).unwrap_or_default()
}

/// The keys of the list, and what only one delivery has: `body` is null where it is not UTF-8 (`--raw` has the bytes).
pub(super) fn kept_json(kept: &StoredDelivery) -> Value {
    let mut value = to_json(&kept.summary);
    let more = json!({
        "due_at": kept.due_at.map(when::exact),
        "event_id": kept.event_id,
        "signed": kept.signed,
        "headers": kept.headers,
        "body": std::str::from_utf8(&kept.body).ok(),
        "event": Event::from_slice(&kept.body).ok().map(|event| view::json(&event)),
        "redeliveries": kept.redeliveries,
        "attempt_list": kept.attempts,
    });
    if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
        value.extend(more);
    }
    value
}
