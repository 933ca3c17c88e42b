//! `serve --check` and `inbox drift` with an inbox on streams.

use std::time::{Duration, Instant};

use serde_json::json;

use super::World;
use crate::http::post;
use crate::support::with_free_ports;

#[test]
fn check_creates_no_streams() {
    let world = World::new();
    let check =
        |arguments: &[&str]| world.run(&[&with_free_ports(&["--check"]), arguments].concat());
    let ended = check(&[]).ok();
    ended.prints("would be created");
    world.run(&["inbox", "list"]).fails(1, "there is no stream");

    let serve = world.receive(&[]);
    serve.trigger(&world.workdir, &["batch.finished"]).ok();
    let ended = check(&[]).ok();
    ended.prints("/HEYGEN is there");
    let required = check(&["--require-sync"]);
    required.fails(1, "--require-sync is given");
}

#[test]
fn drift_is_listed_from_streams() {
    let world = World::new();
    let serve = world.receive(&[]);
    let body = br#"{"event_type":"moon.landed","event_data":{"n":1}}"#;
    let id = post(&serve, body)["id"].clone();
    // A receiver writes what it counted every few seconds.
    let deadline = Instant::now() + Duration::from_secs(60);
    let found = loop {
        let listed = world.json(&["inbox", "drift", "--json"]);
        if let Some(found) = listed.get(0) {
            break found.clone();
        }
        assert!(Instant::now() < deadline, "no drift is listed");
        std::thread::sleep(Duration::from_millis(200));
    };
    assert_eq!(found["kind"], "unknown_event");
    assert_eq!(found["event_type"], "moon.landed");
    assert_eq!((&found["count"], &found["example"]), (&json!(1), &id));
}
