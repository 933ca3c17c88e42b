//! Names of events with `*`, everywhere, and a hint where one was mistyped.

use heygen_testkit::EventBuilder;

use crate::endpoint;
use crate::support::{Workdir, sandbox};

const HINT: &str = "did you mean avatar_video.success?";

#[test]
fn deliveries_are_chosen_by_pattern() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&["--json"]);
    for name in [
        "avatar_video.success",
        "avatar_video.fail",
        "batch.finished",
    ] {
        serve.trigger(&workdir, &[name]).ok();
    }
    crate::support::eventually(|| {
        let done = ["inbox", "list", "--json", "--state", "acknowledged"];
        workdir.json(&done).as_array().map(Vec::len) == Some(3)
    });
    let count = |pattern: &str| {
        let list = ["inbox", "list", "--json", "--event-type", pattern];
        let ended = workdir.run(&list).ok();
        assert_eq!(ended.stderr, "", "{pattern}");
        ended.json().as_array().map(Vec::len)
    };
    assert_eq!(count("avatar_video.*"), Some(2));
    assert_eq!(count("*.f*"), Some(2));
    assert_eq!(count("*"), Some(3));
    assert_eq!(count("batch.finished"), Some(1));
    assert_eq!(count("video_agent.*"), Some(0), "known, and none has come");
    let export = ["inbox", "export", "--event-type", "avatar_video.*"];
    assert_eq!(workdir.run(&export).ok().stdout.lines().count(), 2);
    let replay = ["inbox", "replay", "--event-type", "*.fail", "--json"];
    assert_eq!(workdir.json(&replay)["replayed"], 1);
    let tail = workdir.command(&["inbox", "tail", "--event-type", "avatar_video.*"]);
    let tail = workdir.begin(tail, &[]);
    assert!(tail.line().contains("avatar_video.success"));
    assert!(tail.line().contains("avatar_video.fail"));
}

#[test]
fn mistyped_event_name_is_reported() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&["--on", "avatar_vido.*=print"]);
    drop(serve);
    let serve = workdir.serve_logging(&["--on", "avatar_vido.*=ignore"]);
    let line = serve.log_line("avatar_vido.*");
    assert!(line.contains("WARN") && line.contains(HINT), "{line}");
    for command in [
        &["inbox", "list", "--event-type", "avatar_video.sucess"][..],
        &["inbox", "list", "--event-type", "avatar_vido.*"],
        &["inbox", "export", "--event-type", "avatar_video.sucess"],
        &["inbox", "replay", "--event-type", "avatar_video.sucess"],
    ] {
        let ended = workdir.run(command);
        assert_eq!(ended.status, 0, "{}", ended.stderr);
        ended.says(HINT);
    }
    let far = ["inbox", "list", "--event-type", "podcast.success"];
    let far = workdir.run(&far).ok();
    far.says("`schema --list`");
    let trigger = [
        "trigger",
        "avatar_video.sucess",
        "--to",
        "http://127.0.0.1:1/",
    ];
    let ended = workdir.run(&trigger);
    ended.says(HINT);
    let new = ["trigger", "something.new", "--to", "http://127.0.0.1:1/"];
    let new = workdir.run(&new).stderr;
    assert!(!new.contains("warning"), "{new}");
    let schema = workdir.run(&["schema", "avatar_video.sucess"]);
    schema.says(HINT);
}

#[tokio::test(flavor = "multi_thread")]
async fn heygens_log_is_chosen_from_by_pattern() {
    let workdir = Workdir::new();
    let heygen = sandbox("key").await;
    let elsewhere = endpoint::start(|_| 200);
    heygen.register(&elsewhere).await.expect("registered");
    for name in [
        "avatar_video.success",
        "batch.finished",
        "avatar_video.fail",
    ] {
        heygen.send(EventBuilder::new(name));
    }
    heygen.settled().await;
    let environment = [
        ("HEYGEN_API_KEY", "key"),
        ("HEYGEN_WEBHOOKS_BASE_URL", heygen.url()),
    ];
    let count = |arguments: &[&str]| {
        let events = [
            &["events", "--json", "--event-type", "avatar_video.*"],
            arguments,
        ]
        .concat();
        let found = workdir.run_with(&events, b"", &environment).ok().json();
        found.as_array().map(Vec::len)
    };
    assert_eq!(count(&[]), Some(2));
    assert_eq!(count(&["--all"]), Some(2));
    assert_eq!(count(&["--limit", "1"]), Some(1));
    let backfill = ["backfill", "--json", "--event-type", "avatar_video.*"];
    assert_eq!(
        workdir.run_with(&backfill, b"", &environment).ok().json()["new"],
        2
    );
    let listed = workdir.run(&["inbox", "list", "--json", "--event-type", "batch.*"]);
    assert_eq!(listed.ok().json().as_array().map(Vec::len), Some(0));
    let create = [
        "endpoints",
        "create",
        &elsewhere,
        "--events",
        "avatar_video.*",
        "--json",
    ];
    let created = workdir.run_with(&create, b"", &environment).ok().json();
    assert_eq!(
        created["events"],
        serde_json::json!(["avatar_video.success", "avatar_video.fail"])
    );
    let misspelt = [
        "endpoints",
        "create",
        &elsewhere,
        "--events",
        "avatar_vido.*",
    ];
    let ended = workdir.run_with(&misspelt, b"", &environment);
    ended.fails(2, HINT);
}
