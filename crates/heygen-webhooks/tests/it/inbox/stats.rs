//! `inbox stats`.

use serde_json::json;

use super::three_events;
use crate::http::post;
use crate::support::Workdir;

#[test]
fn everything_is_counted() {
    let workdir = Workdir::new();
    let (serve, _) = three_events(&workdir);
    post(&serve, "no event");
    serve.line();
    let mut json = workdir.json(&["inbox", "stats", "--json"]);
    // Whether the last one is done already is for the server to know.
    let states = json["states"].take();
    let sum: u64 = [
        "pending",
        "claimed",
        "interrupted",
        "acknowledged",
        "dead_lettered",
    ]
    .iter()
    .filter_map(|state| states[*state].as_u64())
    .sum();
    assert_eq!(sum, 4, "{states}");
    assert!(states["acknowledged"].as_u64() >= Some(3), "{states}");
    assert_eq!(json["total"], 4);
    assert_eq!(
        json["sources"],
        json!({"webhook": 4, "callback": 0, "backfill": 0, "import": 0})
    );
    assert_eq!(json["received_last_hour"], 4);
    assert_eq!(json["received_last_day"], 4);
    assert!(json["attempts_last_day"]["acknowledged"].as_u64() >= Some(3));
    assert!(json["bytes_in_use"].as_u64() > Some(4096));
    assert!(json["bytes_on_disk"].as_u64() > Some(4096));
    let events = json["event_types"].as_array().expect("an array");
    assert_eq!(events.len(), 4);
    assert!(events.contains(&json!({"event_type": null, "count": 1})));

    let people = workdir.run(&["inbox", "stats"]).ok().stdout;
    for text in ["deliveries      4\n", "avatar_video.fail", "(unreadable)"] {
        assert!(people.contains(text), "{text} is missing:\n{people}");
    }
}

#[test]
fn the_most_frequent_come_first_and_the_rest_on_demand() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&["--json"]);
    for name in 0..22 {
        let event = |n| format!(r#"{{"event_type":"kind{name:02}.x","event_data":{{"n":{n}}}}}"#);
        for n in 0..if name == 7 { 2 } else { 1 } {
            post(&serve, event(n));
        }
    }
    let people = workdir.run(&["inbox", "stats"]).ok().stdout;
    assert!(people.contains("and 2 more: --all"), "{people}");
    assert!(!people.contains("kind21.x"), "{people}");
    let first = people.split_once("EVENT").expect("a table").1;
    assert!(
        first
            .lines()
            .nth(1)
            .expect("a line")
            .starts_with("kind07.x"),
        "{people}"
    );
    let all = workdir.run(&["inbox", "stats", "--all"]).ok().stdout;
    assert!(all.contains("kind21.x") && !all.contains("--all"), "{all}");
}
