//! `events`: how much of the log is listed, and its records.

use heygen_testkit::EventBuilder;
use heygen_testkit::sandbox::{Fault, Operation, Outgoing};
use serde_json::json;

use super::Heygen;

#[test]
fn events_lists_as_much_of_the_log_as_requested() {
    let heygen = Heygen::start();
    let sent: Vec<_> = (0..125)
        .map(|_| heygen.send(EventBuilder::new("avatar_video.fail")))
        .collect();
    let newest_first =
        |count: usize| -> Vec<_> { sent.iter().rev().take(count).map(String::as_str).collect() };
    for (arguments, count) in [
        (&[][..], 20),
        (&["--limit", "100"], 100),
        (&["--limit", "124"], 124),
        (&["--limit", "125"], 125),
        (&["--all"], 125),
    ] {
        let listed = heygen
            .run(&[&["events", "--json"], arguments].concat())
            .ok();
        let values = listed.json();
        let ids: Vec<_> = values
            .as_array()
            .expect("an array")
            .iter()
            .filter_map(|record| record["event_id"].as_str())
            .collect();
        assert_eq!(ids, newest_first(count), "{arguments:?}");
        let is_more = listed.stderr.contains("there are more");
        assert_eq!(is_more, count < 125, "{arguments:?}: {}", listed.stderr);
        if count == 125 {
            assert_eq!(listed.stderr, "", "no progress where there is no terminal");
        }
    }
    heygen
        .run(&["events", "--limit", "0"])
        .fails_with(2, &["--limit"]);
    heygen
        .run(&["events", "--limit", "5", "--all"])
        .fails_with(2, &["--all"]);
}

#[test]
fn the_log_is_filtered_and_shown() {
    let heygen = Heygen::start();
    let failed = EventBuilder::new("avatar_video.fail").set("video_id", "v-1\u{1b}[2J");
    let id = heygen.send(Outgoing::new(failed).entity_id("project-7"));
    heygen.send(EventBuilder::new("batch.finished"));
    for filter in [
        ["--event-type", "avatar_video.fail"],
        ["--entity-id", "project-7"],
    ] {
        let table = heygen.run(&[&["events"], &filter[..]].concat()).ok().stdout;
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 2, "{table}");
        assert_eq!(
            lines[0].split_whitespace().collect::<Vec<_>>().join(" "),
            "EVENT ID CREATED EVENT SUBJECT OUTCOME"
        );
        for part in [id.as_str(), "avatar_video.fail", "v-1\u{fffd}[2J"] {
            assert!(lines[1].contains(part), "{part}: {table}");
        }
    }
    let unknown = heygen.run(&["events", "--event-type", "video.failed"]);
    unknown.fails_with(1, &["event_type", "with `event-types`"]);
    heygen
        .run(&["events", "--api", "v1"])
        .fails_with(2, &["v1 has no event log"]);
}

#[test]
fn a_record_is_passed_on_as_it_was_spelled() {
    let heygen = Heygen::start();
    let records =
        "{\"event_type\":\"a.b\",\n \"event_data\":{\"n\":12345678901234567890123,\"n\":1e999}}, 7";
    let answer = format!("{{\"data\":[{records}],\"has_more\":false,\"next_token\":null}}");
    let fault = || {
        Fault::refuse(200)
            .body(answer.clone())
            .on(Operation::Events)
    };
    heygen.refuse(fault());
    let listed = heygen.run(&["events", "--json"]).ok();
    let expected = "[\n{\"event_type\":\"a.b\",  \"event_data\":{\"n\":12345678901234567890123,\"n\":1e999}},\n7\n]\n";
    assert_eq!(listed.stdout, expected);
    heygen.refuse(fault());
    let table = heygen.run(&["events"]).ok().stdout;
    assert!(
        table.contains("a.b") && table.contains("(unreadable)"),
        "{table}"
    );

    let empty = heygen.run(&["events", "--json"]).ok();
    assert_eq!(empty.json(), json!([]));
}
