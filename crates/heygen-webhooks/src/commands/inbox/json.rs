//! Deliveries for programs: the same keys wherever one is shown.

use heygen_events::Event;
use heygen_inbox::StoredDelivery;
use serde::Serialize;
use serde_json::Value;

use crate::output::view;

pub(super) fn to_json(shown: impl Serialize) -> Value {
    // What is shown has keys that are names, and nothing that cannot be written.
    serde_json::to_value(shown).unwrap_or_default()
}

/// What is stored of one delivery, and the view of its event: `body` is null where it is not UTF-8 (`--raw` has the bytes).
pub(super) fn kept_json(kept: &StoredDelivery) -> Value {
    let mut value = to_json(kept);
    value["event"] = match Event::from_slice(&kept.body) {
        Ok(event) => view::json(Some(&event)),
        Err(_) => Value::Null,
    };
    value
}
