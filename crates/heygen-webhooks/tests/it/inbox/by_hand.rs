//! `inbox dead-letter` and `inbox delete`.

use serde_json::json;

use super::history::{delivery, import, of_state};
use crate::http::post;
use crate::support::Workdir;

#[test]
fn dead_letter_gives_up_what_waits_and_says_what_it_left() {
    let workdir = Workdir::new();
    import(
        &workdir,
        &[
            delivery("v1", "pending", 3),
            delivery("v2", "acknowledged", 2),
            delivery("v3", "pending", 1),
        ],
    );
    let pending = of_state(&workdir, "pending");
    let acknowledged = of_state(&workdir, "acknowledged");
    let dead_letter =
        |arguments: &[&str]| workdir.run(&[&["inbox", "dead-letter"], arguments].concat());

    let nothing = dead_letter(&[]);
    assert!(nothing.status == 2 && nothing.stderr.contains("--callback-id"));
    let unasked = dead_letter(&["--subject", "v1"]);
    assert!(unasked.status == 2 && unasked.stderr.contains("--yes"));
    let dry = dead_letter(&["--subject", "v1", "--dry-run"]).ok().stdout;
    assert!(dry.contains("pending") && dry.contains("dry run"), "{dry}");
    assert_eq!(of_state(&workdir, "pending"), pending);

    let ended = dead_letter(&["--subject", "v1", "--yes", "--json"]).ok();
    assert_eq!(
        ended.json(),
        json!({
            "chosen": 1, "ids": [pending[1]],
            "kinds": [{"event_type": "avatar_video.success", "state": "pending", "count": 1}],
            "dead_lettered": 1, "acknowledged": 0, "claimed": 0, "missing": 0, "not_reached": 0, "dry_run": false,
        })
    );
    let unasked = dead_letter(&["last"]);
    assert!(unasked.status == 2 && unasked.stderr.contains("--yes"));
    let dry = dead_letter(&[&pending[0], "--dry-run"]).ok().stdout;
    assert!(dry.contains(&pending[0]) && dry.contains("v3"), "{dry}");
    // By id it does not ask: a replay undoes it.
    let ended = dead_letter(&[&pending[0], &acknowledged[0]]);
    assert_eq!(ended.status, 1, "one was left");
    ended.prints("1 delivery acknowledged already");
    assert_eq!(of_state(&workdir, "dead_lettered").len(), 2);
    assert_eq!(of_state(&workdir, "acknowledged"), acknowledged);
    assert_eq!(dead_letter(&["000000000000000"]).status, 1);
    let attempts = workdir.run(&["inbox", "attempts", &pending[0]]).ok().stdout;
    assert!(attempts.contains("dead-lettered by hand"), "{attempts}");
}

#[test]
fn deleted_delivery_is_new_when_it_comes_again() {
    let workdir = Workdir::new();
    let lines = [
        delivery("v1", "dead_lettered", 3),
        delivery("v2", "acknowledged", 2),
        delivery("v2", "pending", 1),
    ];
    import(&workdir, &lines[..2]);
    let serve = workdir.serve(&["--json"]);
    let delete = |arguments: &[&str]| workdir.run(&[&["inbox", "delete"], arguments].concat());
    let dead = of_state(&workdir, "dead_lettered").remove(0);
    let unasked = delete(&[&dead]);
    assert!(unasked.status == 2 && unasked.stderr.contains("cannot be undone"));
    let output = delete(&[&dead, "--yes"]).ok().stdout;
    assert!(output.contains("1 delivery deleted"), "{output}");
    let gone = delete(&[&dead, "--yes"]);
    assert!(gone.status == 1 && gone.stdout.contains("not in this inbox"));
    assert_eq!(workdir.run(&["inbox", "show", &dead]).status, 1);

    let json = delete(&["--subject", "v2", "--yes", "--json"]).ok().json();
    assert_eq!((&json["deleted"], &json["claimed"]), (&json!(1), &json!(0)));
    assert_eq!(super::ids(&workdir, &[]), Vec::<String>::new());
    let body = lines[1]["body"].as_str().expect("a body");
    let answer = post(&serve, body);
    assert_eq!(answer["status"], "accepted", "nothing signed is swallowed");
    let line = serve.line();
    assert!(line.contains("\"v2\""), "it is dispatched: {line}");
}

/// What a handler works on stays; its attempt ends as any other.
#[cfg(unix)]
#[test]
fn claimed_delivery_is_left_to_its_handler() {
    let workdir = Workdir::new();
    import(&workdir, &[delivery("v1", "pending", 1)]);
    let wait = "touch begun; while ! [ -e go ]; do sleep 0.01; done";
    let serve = workdir.serve(&["--exec", "sh", "-c", wait]);
    crate::support::eventually(|| workdir.path().join("begun").exists());
    let id = of_state(&workdir, "claimed").remove(0);
    for command in ["dead-letter", "delete"] {
        let ended = workdir.run(&["inbox", command, &id, "--yes"]);
        assert_eq!(ended.status, 1);
        ended.prints("1 delivery claimed by a handler");
    }
    workdir.file("go", "");
    crate::support::eventually(|| of_state(&workdir, "acknowledged") == [id.as_str()]);
    drop(serve);
}
