//! From a file to streams and back: finished deliveries stay finished, pending ones are dispatched.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{World, counts, videos};
use crate::promises::{import, old};
use crate::support::{Workdir, eventually};

/// An inbox in a file, with a past.
fn past() -> Workdir {
    let workdir = Workdir::new();
    let finished = (0..5).map(|number| old(&format!("done-{number}"), "acknowledged", 3, 10));
    let dead = (0..3).map(|number| old(&format!("dead-{number}"), "dead_lettered", 2, 10));
    let pending = (0..4).map(|number| old(&format!("pending-{number}"), "pending", 1, 10));
    import(&workdir, finished.chain(dead).chain(pending));
    workdir
}

fn carry(from: &Workdir, to: &Workdir, arguments: &[&str]) -> Value {
    let lines = from.run(&["inbox", "export"]).ok().stdout;
    let import = [
        &["inbox", "import", "-", "--trust", "--json", "--strict"],
        arguments,
    ]
    .concat();
    to.run_with(&import, lines.as_bytes(), &[]).ok().json()
}

#[test]
fn an_inbox_moves_to_streams_and_back() {
    let (file, world) = (past(), World::new());
    assert_eq!(counts(&file, &[]), [4, 0, 5, 3]);
    let streams = world.address("HEYGEN");
    let moved = carry(&file, &file, &["--inbox", &streams]);
    assert_eq!(moved, json!({"new": 12, "duplicate": 0, "bad": 0}));
    // Each step may be repeated.
    let again = carry(&file, &file, &["--inbox", &streams]);
    assert_eq!(again, json!({"new": 0, "duplicate": 12, "bad": 0}));
    assert_eq!(counts(&world.workdir, &[]), [4, 0, 5, 3]);

    let workers = [world.work(&["--json"]), world.work(&["--json"])];
    eventually(|| counts(&world.workdir, &[]) == [0, 0, 9, 3]);
    let mut handed: Vec<String> = workers.into_iter().flat_map(videos).collect();
    handed.sort();
    assert_eq!(handed, ["pending-0", "pending-1", "pending-2", "pending-3"]);
    let mut one = old("late", "pending", 0, 10);
    one["attempts"] = 0.into();
    import(&world.workdir, [one]);

    let back = Workdir::new();
    let moved = carry(&world.workdir, &back, &[]);
    assert_eq!(moved, json!({"new": 13, "duplicate": 0, "bad": 0}));
    assert_eq!(counts(&back, &[]), [1, 0, 9, 3]);
    let serve = back.serve(&["--json"]);
    assert!(serve.line().contains("late"));
    eventually(|| counts(&back, &[]) == [0, 0, 10, 3]);
    serve.signal("TERM");
    let (_, lines, _) = serve.wait();
    assert_eq!(lines, Vec::<String>::new());
}

#[test]
fn delivery_moved_to_nats_is_recognised_as_duplicate() {
    let (file, world) = (past(), World::new());
    carry(&file, &file, &["--inbox", &world.address("HEYGEN")]);
    let serve = world.receive(&[]);
    let lines = file.run(&["inbox", "export"]).ok().stdout;
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let answer = crate::http::post(&serve, line["body"].as_str().expect("a body"));
        assert_eq!(answer["status"], "duplicate", "{line}");
    }
    assert_eq!(counts(&world.workdir, &[]), [4, 0, 5, 3]);
}

#[test]
fn an_export_goes_to_a_file_of_its_own() {
    let (file, world) = (past(), World::new());
    carry(&file, &file, &["--inbox", &world.address("HEYGEN")]);
    let folder = TempDir::new().expect("a folder");
    let to = folder.path().join("out.jsonl");
    let to = to.to_str().expect("a path");
    let json = world.json(&["inbox", "export", "--output", to, "--json"]);
    assert_eq!(json["exported"], 12, "{json}");
    assert_eq!(
        std::fs::read_to_string(to).expect("a file").lines().count(),
        12
    );
}

#[test]
fn drift_of_an_import_outlives_it() {
    let world = World::new();
    import(&world.workdir, [old("a", "pending", 1, 10)]);
    let drift = world.json(&["inbox", "drift", "--json"]);
    assert_eq!(drift[0]["name"], "order.old", "{drift}");
}
