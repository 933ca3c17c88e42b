//! Inboxes with deliveries in any state and of any age, made with `inbox import`.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::Workdir;

/// One delivery as a line of an export: about `subject`, so many days old.
pub(crate) fn delivery(subject: &str, state: &str, days: i64) -> Value {
    let at = Timestamp::now() - SignedDuration::from_hours(24 * days + 1);
    let attempts = match state {
        "pending" => json!([]),
        _ => json!([{
            "number": 1, "started_at": format!("{at:.6}"), "milliseconds": 1.5,
            "result": state, "detail": "=of before, \"quoted\"",
        }]),
    };
    let body = json!({
        "event_type": "avatar_video.success",
        "event_data": {"video_id": subject, "url": "https://a.b/c.mp4"},
    });
    json!({
        "received_at": format!("{at:.6}"),
        "source": "webhook",
        "state": state,
        "attempts": attempts.as_array().map_or(0, Vec::len),
        "headers": [["signature", "00ff"]],
        "body": body.to_string(),
        "redeliveries": {"count": 1, "last_at": format!("{at:.6}"), "last_headers": [["x", "y"]]},
        "attempt_list": attempts,
    })
}

/// As many deliveries that were acknowledged so many days ago, about `v0`, `v1` and so on.
pub(super) fn acknowledged(number: usize, days: i64) -> Vec<Value> {
    let subjects = (0..number).map(|number| format!("v{number}"));
    let deliveries = subjects.map(|subject| delivery(&subject, "acknowledged", days));
    deliveries.collect()
}

pub(super) fn text(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Takes them into the inbox of this workdir.
pub(crate) fn import(workdir: &Workdir, lines: &[Value]) {
    let arguments = ["inbox", "import", "-", "--trust", "--json"];
    let imported = workdir
        .run_with(&arguments, text(lines).as_bytes(), &[])
        .ok();
    assert_eq!(
        imported.json(),
        json!({"new": lines.len(), "duplicate": 0, "bad": 0})
    );
}

/// The ids of those in a state, newest first.
pub(super) fn of_state(workdir: &Workdir, state: &str) -> Vec<String> {
    super::ids(workdir, &["--state", state, "--limit", "0"])
}
