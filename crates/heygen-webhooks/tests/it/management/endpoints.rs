//! `endpoints list`, `update` and `delete`, and what `create` makes.

use serde_json::{Value, json};

use super::{BOTH, Heygen, URL};

#[test]
fn an_endpoint_of_one_resource() {
    let heygen = Heygen::start();
    let create = ["endpoints", "create", URL, "--entity-id"];
    for (api, entity_id) in [("v1", "video-7"), ("v3", "project-7")] {
        heygen
            .run(&[&create[..], &[entity_id, "--api", api]].concat())
            .ok();
    }
    let limits = heygen.sandbox.endpoints();
    let limits: Vec<_> = limits.iter().map(|one| one.entity_id.as_deref()).collect();
    assert_eq!(limits, [Some("video-7"), Some("project-7")]);
}

#[test]
fn the_list_is_a_table() {
    let heygen = Heygen::start();
    heygen.create();
    let names = "video_agent.success,video_agent.fail,batch.finished";
    let other = "https://other.example/";
    heygen
        .run(&["endpoints", "create", other, "--events", names])
        .ok();
    let id = heygen.sandbox.endpoints()[1].endpoint_id.clone();
    heygen.sandbox.set_status(&id, "paused\x1b[2J");
    for api in BOTH {
        let listed = heygen.run(&["endpoints", "list", "--api", api]).ok().stdout;
        let lines: Vec<_> = listed.lines().collect();
        assert_eq!(lines.len(), 3, "{listed}");
        assert!(lines[0].starts_with("ID "), "{listed}");
        assert!(
            lines[1].contains(" all ") && lines[1].contains("enabled"),
            "{listed}"
        );
        let few = "3: video_agent.success, video_agent.fail, … ";
        assert!(lines[2].contains(few), "{listed}");
        assert!(lines[2].contains("paused\u{fffd}[2J"), "{listed}");
        assert_eq!(lines[0].contains("SECRET"), api == "v1", "{listed}");
        assert_eq!(lines[1].ends_with("whsec_…"), api == "v1", "{listed}");
    }
}

#[test]
fn more_endpoints_than_a_page_are_listed() {
    let heygen = Heygen::start();
    for _ in 0..101 {
        heygen.create();
    }
    let listed = heygen.json(&["endpoints", "list", "--json"]);
    assert_eq!(listed.as_array().map(Vec::len), Some(101));
}

#[test]
fn updates_change_what_they_name() {
    let other = "https://other.example/hook";
    for api in BOTH {
        let heygen = Heygen::start();
        let id = heygen.create().endpoint_id;
        let update = ["endpoints", "update", &id, "--api", api];
        let both = ["--url", other, "--events", "batch.finished"];
        let changed = heygen.json(&[&update[..], &both, &["--json"]].concat());
        assert_eq!(changed["url"], other);
        assert_eq!(changed["events"], json!(["batch.finished"]));
        assert_eq!(changed.get("secret"), Some(&Value::Null));

        // The events stay, in v1 too, where they have to be sent.
        let back = heygen.run(&[&update[..], &["--url", URL]].concat()).ok();
        assert!(
            back.stdout.contains(URL) && back.stdout.contains("batch.finished"),
            "{}",
            back.stdout
        );
        assert!(!back.stdout.contains(heygen.first().secret.expose()));
        assert_eq!(
            heygen.first().events,
            Some(vec!["batch.finished".to_owned()])
        );

        heygen
            .run(&[&update[..], &["--url", URL, "--events", "all"]].concat())
            .ok();
        assert_eq!(heygen.first().events, None);
        heygen.run(&update).fails_with(2, &["--url", "--events"]);
        let none = heygen.run(&[&update[..], &["--url", URL, "--events", ","]].concat());
        none.fails_with(2, &["--events is empty"]);
    }
}

#[test]
fn events_alone_are_enough_for_v3_and_too_little_for_v1() {
    let heygen = Heygen::start();
    let id = heygen.create().endpoint_id;
    let update = ["endpoints", "update", &id, "--events", "batch.finished"];
    heygen
        .run(&[&update[..], &["--api", "v1"]].concat())
        .fails_with(2, &["v1 needs --url", "changes nothing"]);
    assert_eq!(heygen.first().events, None);
    heygen.run(&update).ok();
    assert_eq!(
        heygen.first().events,
        Some(vec!["batch.finished".to_owned()])
    );
}

#[test]
fn deleting_needs_a_yes() {
    for api in BOTH {
        let heygen = Heygen::start();
        let id = heygen.create().endpoint_id;
        let delete = ["endpoints", "delete", &id, "--api", api];
        heygen.run(&delete).fails_with(2, &["--yes"]);
        assert_eq!(heygen.sandbox.endpoints().len(), 1);
        let deleted = heygen.run(&[&delete[..], &["--yes"]].concat()).ok();
        assert_eq!(deleted.stdout, format!("deleted endpoint {id} ({URL})\n"));
        assert!(heygen.sandbox.endpoints().is_empty());
        let again = heygen.run(&[&delete[..], &["--yes"]].concat());
        again.fails_with(1, &["HeyGen lists no endpoint", &id]);
    }
}
