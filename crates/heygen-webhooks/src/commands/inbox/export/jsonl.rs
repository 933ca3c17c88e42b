//! One delivery as a line of JSON that holds everything an import needs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use heygen_inbox::Kept;
use serde_json::{Value, json};

use crate::commands::inbox::json::{attempt_json, headers_json, signed_json, summary_json};
use crate::output;
use crate::settings::when;

pub(super) fn line(kept: &Kept) -> String {
    let mut value = summary_json(&kept.summary);
    value["headers"] = headers_json(&kept.headers);
    match std::str::from_utf8(&kept.body) {
        Ok(text) => value["body"] = text.into(),
        Err(_) => value["body_base64"] = STANDARD.encode(&kept.body).into(),
    }
    value["repeats"] = json!({
        "count": kept.repeats.count,
        "last_at": kept.repeats.last_at.map(when::exact),
        "last_headers": headers_json(&kept.repeats.last_headers),
    });
    value["event_id"] = kept.event_id.as_deref().into();
    if let Some(post) = &kept.signed {
        value["signed"] = signed_json(post);
    }
    let attempts = kept.attempts.iter().map(attempt_json);
    value["attempt_list"] = attempts.collect::<Value>();
    output::json_line(&value)
}
