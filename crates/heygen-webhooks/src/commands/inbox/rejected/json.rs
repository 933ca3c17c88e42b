//! Rejected requests as JSON: the same keys wherever one is shown.

use heygen_inbox::sqlite::{Rejected, RejectedSummary};
use heygen_signature::Diagnosis;
use serde_json::{Value, json};

use crate::output::rejected;
use crate::settings::when;

pub(super) fn summary_json(summary: &RejectedSummary) -> Value {
    json!({
        "id": summary.id,
        "first_at": when::exact(summary.first_at),
        "last_at": when::exact(summary.last_at),
        "count": summary.count,
        "reason": summary.reason,
        "explanation": rejected::explanation(summary),
        "signed": summary.is_signed,
        "body_bytes": summary.body_bytes,
    })
}

/// The keys of the list, and what only one post has: `body` is null where it was not read or is not UTF-8 (`--raw` has the
/// bytes), `now` where there is no secret or no body to check.
pub(super) fn rejected_json(post: &Rejected, now: Option<&Diagnosis>) -> Value {
    let mut value = summary_json(&post.summary);
    let body = post.body.as_ref();
    let more = json!({
        "header_names": post.header_names,
        "signatures": post.signatures,
        "body": body.and_then(|body| std::str::from_utf8(body).ok()),
        "now": now.map(|diagnosis| json!({
            "verified": diagnosis.is_verified(),
            "reason": diagnosis.label(),
            "explanation": diagnosis.to_string(),
        })),
    });
    if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
        value.extend(more);
    }
    value
}
