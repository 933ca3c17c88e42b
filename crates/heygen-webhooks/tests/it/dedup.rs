//! Deduplication through the built binary: signed posts, imports, and how they are shown.

use serde_json::{Value, json};

use crate::http::post;
use crate::support::Workdir;

/// Pairs of signed bodies that differ: each was once answered `duplicate`, and its bytes were nowhere.
const PAIRS: &[[&str; 2]] = &[
    [
        r#"{"event_type":"podcast.success","data":{"podcast_id":"a"}}"#,
        r#"{"event_type":"podcast.success","data":{"podcast_id":"b"}}"#,
    ],
    [
        r#"{"event_type":"scene.success","scene_id":"a"}"#,
        r#"{"event_type":"scene.success","scene_id":"b"}"#,
    ],
    [
        r#"{"event":"avatar_video.success","payload":{"video_id":"a"}}"#,
        r#"{"event":"avatar_video.success","payload":{"video_id":"b"}}"#,
    ],
    [
        r#"{"event_type":"video_agent.fail","callback_id":"order-1"}"#,
        r#"{"event_type":"video_agent.fail","callback_id":"order-2"}"#,
    ],
    [
        r#"{"event_type":"video_agent.success","callback_id":"order-1","event_data":{}}"#,
        r#"{"event_type":"video_agent.success","callback_id":"order-2","event_data":{}}"#,
    ],
    [
        r#"{"event_type":"batch.finished","created_at":"2026-11-27T00:00:00Z","event_data":{"status":"finished"}}"#,
        r#"{"event_type":"batch.finished","created_at":"2026-11-28T00:00:00Z","event_data":{"status":"finished"}}"#,
    ],
    [
        r#"{"event_id":0,"event_type":"avatar_video.success","event_data":{"video_id":"a"}}"#,
        r#"{"event_id":0,"event_type":"avatar_video.fail","event_data":{"video_id":"b"}}"#,
    ],
    [
        r#"{"event_id":"job-7","event_type":"avatar_video.success","event_data":{"video_id":"j"}}"#,
        r#"{"event_id":"job-7","event_type":"avatar_video_gif.success","event_data":{"video_id":"j"}}"#,
    ],
    [
        r#"{"event_id":"e1","event_type":"live_avatar.fail","event_data":{"reason":"quota"}}"#,
        r#"{"event_id":"e2","event_type":"live_avatar.fail","event_data":{"reason":"quota"}}"#,
    ],
    [
        r#"{"event_type":"instant_avatar.fail","event_data":{"a":1,"a":2}}"#,
        r#"{"event_type":"instant_avatar.fail","event_data":{"a":2}}"#,
    ],
];

#[test]
fn signed_body_that_differs_anywhere_is_stored() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&["--json"]);
    let mut bodies = Vec::new();
    for body in PAIRS.as_flattened() {
        let answer = post(&serve, body);
        assert_eq!(answer["status"], "accepted", "{body}");
        bodies.push((answer["id"].clone(), *body));
    }
    for (id, body) in &bodies {
        let again = post(&serve, format!(" {body} "));
        match body.contains("\"a\":1,\"a\":2") {
            // Compared byte for byte, since readers take it differently.
            true => assert_eq!(again["status"], "accepted", "{body}"),
            false => assert_eq!(again, json!({"status": "duplicate", "id": id}), "{body}"),
        }
        let id = id.as_str().expect("an id");
        let kept = workdir.run(&["inbox", "show", id, "--raw"]).ok().stdout;
        assert_eq!(kept, *body, "byte for byte");
    }
}

fn line(source: &str, received_at: &str, body: &str) -> String {
    let line = json!({
        "received_at": received_at, "source": source, "state": "pending", "attempts": 0, "headers": [],
        "body": body,
    });
    format!("{line}\n")
}

fn import(workdir: &Workdir, options: &[&str], lines: &str) -> Value {
    let arguments = [&["inbox", "import", "-", "--json"], options].concat();
    workdir
        .run_with(&arguments, lines.as_bytes(), &[])
        .ok()
        .json()
}

const VIDEO: &str = r#"{"event_type":"avatar_video.success","event_data":{"video_id":"a"}}"#;

#[test]
fn an_import_suppresses_nothing_unless_it_is_trusted() {
    let workdir = Workdir::new();
    let at = "2026-09-21T14:13:20Z";
    let lines = line("webhook", at, VIDEO)
        + &line("backfill", at, &VIDEO.replace("\"a\"", "\"b\""))
        + &line("callback", at, &VIDEO.replace("\"a\"", "\"c\""));
    for duplicate in [0, 3] {
        let counts = import(&workdir, &[], &lines);
        assert_eq!(
            counts,
            json!({"new": 3 - duplicate, "duplicate": duplicate, "bad": 0})
        );
    }
    let imported = workdir.list();
    assert!(
        imported.iter().all(|one| one["source"] == "import"),
        "{imported:?}"
    );
    let serve = workdir.serve(&["--json"]);
    let signed = post(&serve, VIDEO);
    assert_eq!(signed["status"], "accepted");
    assert_eq!(post(&serve, VIDEO)["status"], "duplicate");
    assert_eq!(workdir.list()[0]["id"], signed["id"]);
    assert_eq!(workdir.list()[0]["source"], "webhook");
    let stats = workdir.json(&["inbox", "stats", "--json"]);
    assert_eq!(
        stats["sources"],
        json!({"webhook": 1, "callback": 0, "backfill": 0, "import": 3})
    );
    // An equal body is here already, by whatever way.
    let counts = import(
        &workdir,
        &[],
        &line("callback", "2026-11-01T00:00:00Z", VIDEO),
    );
    assert_eq!(counts["duplicate"], 1);

    let other = Workdir::new();
    assert_eq!(import(&other, &["--trust"], &lines)["new"], 3);
    let mut sources: Vec<_> = other
        .list()
        .iter()
        .map(|one| one["source"].clone())
        .collect();
    sources.sort_by_key(Value::to_string);
    assert_eq!(sources, ["backfill", "callback", "webhook"]);
    let serve = other.serve(&["--json"]);
    assert_eq!(post(&serve, VIDEO)["status"], "duplicate");
}

/// Two lines of equal words, hours apart, are two events, however often they are imported.
#[test]
fn lines_are_compared_by_their_time_too() {
    let workdir = Workdir::new();
    let words = r#"{"event_type":"instant_avatar.fail","event_data":{"reason":"quota"}}"#;
    let lines = line("webhook", "2026-09-21T10:00:00Z", words)
        + &line("webhook", "2026-09-21T10:59:00Z", words)
        + &line("webhook", "2026-09-21T12:00:00Z", words);
    for options in [&[][..], &["--trust"]] {
        let workdir = match options {
            [] => &workdir,
            _ => &Workdir::new(),
        };
        let counts = import(workdir, options, &lines);
        assert_eq!(counts, json!({"new": 2, "duplicate": 1, "bad": 0}));
        let counts = import(workdir, options, &lines);
        assert_eq!(counts, json!({"new": 0, "duplicate": 3, "bad": 0}));
    }
}

/// A record of HeyGen's log and its POST are one delivery, in either order, and show what each of them had.
#[test]
fn a_record_and_its_post_are_shown_as_one() {
    let workdir = Workdir::new();
    let record = |id: &str, video: &str| {
        let body = json!({
            "event_id": id, "event_type": "avatar_video.success", "event_data": {"video_id": video},
            "created_at": "2026-09-21T14:00:00Z",
        });
        line("backfill", "2026-09-21T14:13:20Z", &body.to_string())
    };
    let first = import(&workdir, &["--trust"], &record("e1", "a"));
    assert_eq!(first["new"], 1);
    let id = workdir.list()[0]["id"].clone();
    let serve = workdir.serve(&["--json"]);
    let odd = format!("{VIDEO}\n");
    for _ in 0..2 {
        let answer = post(&serve, &odd);
        assert_eq!(answer, json!({"status": "duplicate", "id": id}));
    }
    let show = |id: &Value| {
        let id = id.as_str().expect("an id");
        let shown = workdir.json(&["inbox", "show", id, "--json"]);
        (shown, workdir.run(&["inbox", "show", id]).ok().stdout)
    };
    let (shown, people) = show(&id);
    assert_eq!(
        (&shown["source"], &shown["event_id"]),
        (&"backfill".into(), &"e1".into())
    );
    assert_eq!(shown["signed"]["body"], odd);
    let headers = shown["signed"]["headers"].as_array().expect("pairs");
    assert!(
        headers.iter().any(|pair| pair[0] == "signature"),
        "{headers:?}"
    );
    assert!(people.contains("\nSigned POST, received "), "{people}");

    let posted = post(&serve, VIDEO.replace("\"a\"", "\"b\""));
    assert_eq!(posted["status"], "accepted");
    let (shown, _) = show(&posted["id"]);
    assert_eq!(
        (&shown["event_id"], &shown["signed"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        import(&workdir, &["--trust"], &record("e2", "b"))["duplicate"],
        1
    );
    let (shown, people) = show(&posted["id"]);
    assert_eq!(shown["event_id"], "e2");
    assert!(people.contains("event id        e2\n"), "{people}");
    assert_eq!(import(&workdir, &["--trust"], &record("e3", "b"))["new"], 1);
    assert_eq!(
        import(&workdir, &["--trust"], &record("e2", "b"))["duplicate"],
        1
    );

    // It is carried along, and known there too.
    let lines = workdir.run(&["inbox", "export"]).ok().stdout;
    let other = Workdir::new();
    assert_eq!(import(&other, &["--trust"], &lines)["new"], 3);
    assert_eq!(
        import(&other, &["--trust"], &record("e2", "b"))["duplicate"],
        1
    );
    let again = workdir.run(&["inbox", "export"]).ok().stdout;
    let without_ids = |lines: &str| -> Vec<Value> {
        let lines = lines.lines().map(|line| {
            let mut line: Value = serde_json::from_str(line).expect("a line is JSON");
            line["id"].take();
            line
        });
        lines.collect()
    };
    let carried = other.run(&["inbox", "export"]).ok().stdout;
    let carried = without_ids(&carried);
    assert_eq!(carried.len(), 3);
    assert_eq!(carried[0]["signed"]["body"], odd);
    assert_eq!(carried[0]["signed"], without_ids(&again)[0]["signed"]);
}
