//! `inbox drift`.

use serde_json::json;

use crate::http::post;
use crate::support::Workdir;

#[test]
fn drift_counts_unknown_names_and_fields() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&["--json"]);
    let none = workdir.run(&["inbox", "drift"]).ok();
    none.says("no drift: this version knows every event");
    assert_eq!(none.stdout, "");
    let bodies = [
        r#"{"event_type":"moon.landed","event_data":{"n":1}}"#,
        r#"{"event_type":"moon.landed","event_data":{"n":2}}"#,
        r#"{"event_type":"avatar_video.fail","event_data":{"video_id":"v","msg":"m","mood":"\u001b[2J"}}"#,
    ];
    let ids: Vec<_> = bodies
        .iter()
        .map(|body| post(&serve, body)["id"].clone())
        .collect();
    let list = workdir.json(&["inbox", "drift", "--json"]);
    let list = list.as_array().expect("an array");
    let find = |kind: &str| {
        let found = list.iter().find(|found| found["kind"] == kind);
        found.expect(kind).clone()
    };
    let event = find("unknown_event");
    assert_eq!(
        (&event["event_type"], &event["count"], &event["example"]),
        (&json!("moon.landed"), &json!(2), &ids[0])
    );
    let field = find("unknown_field");
    assert_eq!(
        (&field["event_type"], &field["name"], &field["example"]),
        (&json!("avatar_video.fail"), &json!("mood"), &ids[2])
    );
    let people = workdir.run(&["inbox", "drift"]).ok();
    people.prints("new event");
    people.says("inbox show ");
}
