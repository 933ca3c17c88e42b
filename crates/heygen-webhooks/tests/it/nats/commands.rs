//! The `inbox` commands on streams.

use serde_json::{Value, json};

use super::{World, counts};
use crate::http::{get, post, sign};
use crate::promises::event;
use crate::support::eventually;

#[test]
fn inbox_commands_list_show_count_and_follow_streams() {
    let world = World::new();
    let serve = world.receive(&[]);
    let worker = world.work(&["--json"]);
    let bodies = [
        event("avatar_video.success", "v1"),
        event("avatar_video.fail", "v2"),
        event("order.new", "v3"),
    ];
    let mut ids: Vec<Value> = Vec::new();
    for body in &bodies {
        ids.push(post(&serve, body)["id"].clone());
        worker.line();
    }
    eventually(|| counts(&world.workdir, &[]) == [0, 0, 3, 0]);

    let listed = |arguments: &[&str]| -> Vec<Value> {
        let list = world.json(&[&["inbox", "list", "--json"], arguments].concat());
        let list = list.as_array().expect("an array").iter();
        list.map(|delivery| delivery["id"].clone()).collect()
    };
    assert_eq!(
        listed(&[]),
        [ids[2].clone(), ids[1].clone(), ids[0].clone()]
    );
    assert_eq!(listed(&["--limit", "1"]), [ids[2].clone()]);
    assert_eq!(
        listed(&["--event-type", "avatar_video.fail"]),
        [ids[1].clone()]
    );
    assert_eq!(listed(&["--subject", "v1"]), [ids[0].clone()]);
    assert_eq!(listed(&["--since", "1h"]).len(), 3);
    assert_eq!(listed(&["--until", "1h"]).len(), 0);
    assert_eq!(listed(&["--state", "dead_lettered"]).len(), 0);

    let id = ids[0].as_str().expect("an id");
    let shown = world.json(&["inbox", "show", id, "--json"]);
    assert_eq!(
        (&shown["state"], &shown["attempts"]),
        (&json!("acknowledged"), &json!(1))
    );
    let header = json!(["signature", sign(&bodies[0])]);
    let headers = shown["headers"].as_array().expect("headers");
    assert!(headers.contains(&header), "{shown}");
    assert!(
        world
            .run(&["inbox", "attempts", id])
            .ok()
            .stdout
            .contains("is acknowledged")
    );
    let unknown = world.run(&["inbox", "show", "000000000zzzzzz"]);
    assert_eq!(
        (unknown.status, unknown.stdout.as_str()),
        (1, ""),
        "{}",
        unknown.stderr
    );

    let tail = world
        .workdir
        .command(&["inbox", "tail", "--json", "-n", "1"]);
    let tail = world.workdir.begin(tail, &[]);
    assert!(tail.line().contains(ids[2].as_str().expect("an id")));
    post(&serve, event("order.new", "v4"));
    assert!(tail.line().contains("v4"));

    world.run(&["inbox", "replay", id]).ok();
    worker.line();
    let again = worker.line();
    assert!(
        again.contains("v1") && again.contains(r#""attempt":2"#),
        "{again}"
    );
    eventually(|| counts(&world.workdir, &[]) == [0, 0, 4, 0]);
    let metrics = get(&format!("{}/metrics", serve.admin())).body;
    let accepted = metrics.lines().find(|line| {
        let is_named = |name| line.contains(name);
        [
            "deliveries_total{",
            r#"source="webhook""#,
            r#"result="accepted""#,
        ]
        .into_iter()
        .all(is_named)
    });
    assert!(
        accepted.is_some_and(|line| line.ends_with(" 4")),
        "{metrics}"
    );

    let lines = world.run(&["inbox", "export"]).ok().stdout;
    assert_eq!(lines.lines().count(), 4);
    let first: Value = serde_json::from_str(lines.lines().next().unwrap_or("")).expect("JSON");
    assert_eq!(first["body"], bodies[0]);
    let pruned = world.json(&["inbox", "prune", "--older-than", "0s", "--yes", "--json"]);
    assert_eq!(pruned["deleted"], 4, "{pruned}");
    assert_eq!(listed(&[]).len(), 0);
    // What is carried back in is there as it was.
    let imported = world.workdir.run_with(
        &["inbox", "import", "-", "--trust", "--json"],
        lines.as_bytes(),
        &[],
    );
    assert_eq!(
        imported.ok().json(),
        json!({"new": 4, "duplicate": 0, "bad": 0})
    );
    assert_eq!(counts(&world.workdir, &[]), [0, 0, 4, 0]);
}

#[test]
fn workers_notice_a_pause_and_what_was_given_up_meanwhile() {
    let world = World::new();
    let receiver = world.receive(&[]);
    let worker = world.work(&["--json"]);
    post(&receiver, event("order.new", "v1"));
    assert!(worker.line().contains("v1"));
    world.run(&["inbox", "pause"]).ok();
    worker.log_line("dispatch is paused");
    for subject in ["v2", "v3", "v4"] {
        post(&receiver, event("order.new", subject));
    }
    let change = |command: &str, subject: &str| {
        let arguments = ["inbox", command, "--subject", subject, "--yes", "--json"];
        world.json(&arguments)
    };
    assert_eq!(change("dead-letter", "v2")["dead_lettered"], 1);
    assert_eq!(change("delete", "v3")["deleted"], 1);
    world.run(&["inbox", "resume"]).ok();
    assert!(worker.line().contains("v4"), "neither v2 nor v3");
}
