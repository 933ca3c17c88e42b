//! `event-types`: HeyGen's event types, compared with the known ones.

use heygen_testkit::sandbox::{Fault, Operation};
use serde_json::json;

use super::Heygen;

#[test]
fn event_types_say_what_is_known() {
    let heygen = Heygen::start();
    let all = heygen.json(&["event-types", "--json"]);
    let all = all.as_array().expect("an array");
    assert_eq!(all.len(), 30);
    for entry in all {
        assert_eq!(
            (&entry["known"], &entry["offered"]),
            (&json!(true), &json!(true)),
            "{entry}"
        );
        assert!(entry["description"].is_string(), "{entry}");
    }
    let table = heygen.run(&["event-types"]).ok().stdout;
    assert_eq!(table.lines().count(), 31, "{table}");

    let answer = json!({"data": [
        {"event_type": "podcast.success", "description": "A podcast\u{1b}.", "since": 7},
        {"event_type": "batch.finished", "description": "Theirs."},
    ], "has_more": false, "next_token": null});
    let fault = || {
        Fault::refuse(200)
            .body(answer.to_string())
            .on(Operation::EventTypes)
    };
    heygen.refuse(fault());
    let table = heygen.run(&["event-types"]).ok().stdout;
    assert!(table.contains("A podcast\u{fffd}."), "{table}");
    assert!(
        table.contains("New to this version (received anyway): podcast.success\n"),
        "{table}"
    );
    assert!(
        table.contains("not in HeyGen's list: avatar_video.success, "),
        "{table}"
    );
    heygen.refuse(fault());
    let values = heygen.json(&["event-types", "--json"]);
    let podcast = json!({"event_type": "podcast.success", "description": "A podcast\u{1b}.", "since": 7,
        "known": false, "offered": true});
    assert_eq!(values[0], podcast);
    assert_eq!(values[1]["description"], "Theirs.");
    assert_eq!(values.as_array().map(Vec::len), Some(31));
    assert_eq!(values[30]["offered"], false);
}

#[test]
fn v1_offers_fewer_event_types() {
    let heygen = Heygen::start();
    let values = heygen.json(&["event-types", "--json", "--api", "v1"]);
    let values = values.as_array().expect("an array");
    assert_eq!(values.len(), 30);
    assert!(values.iter().all(|entry| entry["description"].is_string()));
    let offered = values.iter().filter(|entry| entry["offered"] == true);
    assert_eq!(offered.count(), 21);
    let table = heygen.run(&["event-types", "--api", "v1"]).ok().stdout;
    assert!(table.contains("not in HeyGen's list: "), "{table}");
}
