//! Rejected requests as JSON: the same keys wherever one is shown.

use heygen_inbox::sqlite::{Rejected, RejectedSummary};
use heygen_signature::Diagnosis;
use serde_json::{Value, json};

use crate::commands::inbox::json::to_json;
use crate::output::rejected;

pub(super) fn summary_json(summary: &RejectedSummary) -> Value {
    let mut value = to_json(summary);
    value["explanation"] = rejected::explanation(summary).into();
    value
}

/// The keys of the list, and what only one post has: `body` is null where it was not read or is not UTF-8 (`--raw` has the
/// bytes), `now` where there is no secret or no body to check.
pub(super) fn rejected_json(post: &Rejected, now: Option<&Diagnosis>) -> Value {
    let mut value = to_json(post);
    value["explanation"] = rejected::explanation(&post.summary).into();
    value["now"] = now.map_or(Value::Null, |diagnosis| {
        json!({
            "verified": diagnosis.is_verified(),
            "reason": diagnosis.label(),
            "explanation": diagnosis.to_string(),
        })
    });
    value
}
