//! `inbox replay`.

use serde_json::{Value, json};

use super::history::{acknowledged, delivery, import, of_state};
use crate::support::Workdir;

fn replay(workdir: &Workdir, arguments: &[&str]) -> Value {
    let arguments = [&["inbox", "replay", "--json"], arguments].concat();
    workdir.json(&arguments)
}

#[test]
fn dead_lettered_delivery_is_replayed_by_a_running_serve() {
    let workdir = Workdir::new();
    import(
        &workdir,
        &[
            delivery("v1", "dead_lettered", 3),
            delivery("v2", "dead_lettered", 2),
        ],
    );
    let ids = of_state(&workdir, "dead_lettered");
    let serve = workdir.serve(&["--json"]);
    let json = replay(&workdir, &[&ids[1]]);
    assert_eq!(
        (&json["chosen"], &json["replayed"], &json["missing"]),
        (&json!(1), &json!(1), &json!(0))
    );
    let line = serve.line();
    assert!(line.contains("\"v1\""), "{line}");
    serve.signal("TERM");
    serve.wait();
    let shown = workdir.json(&["inbox", "attempts", &ids[1], "--json"]);
    let results: Vec<_> = shown["attempt_list"]
        .as_array()
        .expect("an array")
        .iter()
        .map(|attempt| (&attempt["number"], &attempt["result"]))
        .collect();
    assert_eq!(
        results,
        [
            (&json!(1), &json!("dead_lettered")),
            (&json!(2), &json!("acknowledged"))
        ]
    );
    assert_eq!(of_state(&workdir, "dead_lettered"), ids[..1]);
}

#[test]
fn it_says_which_and_changes_nothing_in_a_dry_run() {
    let workdir = Workdir::new();
    import(
        &workdir,
        &[
            delivery("v1", "dead_lettered", 3),
            delivery("v2", "dead_lettered", 2),
            delivery("v3", "acknowledged", 1),
        ],
    );
    let dry = workdir
        .run(&["inbox", "replay", "--all", "--dry-run"])
        .ok()
        .stdout;
    assert!(
        dry.contains("avatar_video.success  dead_lettered  2") && dry.contains("dry run"),
        "{dry}"
    );
    assert_eq!(of_state(&workdir, "dead_lettered").len(), 2);
    let json = replay(&workdir, &["--state", "dead_lettered", "--since", "60h"]);
    assert_eq!(json["replayed"], 1);
    assert_eq!(
        json["kinds"],
        json!([{"event_type": "avatar_video.success", "state": "dead_lettered", "count": 1}])
    );
    assert_eq!(replay(&workdir, &["--subject", "v3"])["replayed"], 1);
    assert_eq!(of_state(&workdir, "pending").len(), 2);
    assert_eq!(of_state(&workdir, "dead_lettered").len(), 1);
}

#[test]
fn nothing_is_replayed_by_accident() {
    let workdir = Workdir::new();
    import(&workdir, &acknowledged(101, 1));
    let status = |arguments: &[&str]| {
        let ended = workdir.run(&[&["inbox", "replay"], arguments].concat());
        (ended.status, ended.stderr)
    };
    let (none, why) = status(&[]);
    assert!(none == 2 && why.contains("--all"), "{why}");
    assert_eq!(status(&["--all", "--state", "acknowledged"]).0, 2);
    assert_eq!(status(&["17!"]).0, 2);
    let (unasked, why) = status(&["--all"]);
    assert!(unasked == 2 && why.contains("--yes"), "{why}");
    assert_eq!(of_state(&workdir, "acknowledged").len(), 101);
    assert_eq!(status(&["000000000000000"]).0, 1);
    assert_eq!(status(&["--all", "--yes"]).0, 0);
    assert_eq!(of_state(&workdir, "pending").len(), 101);
    let none = Workdir::new();
    assert_eq!(none.run(&["inbox", "replay", "--all"]).status, 1);
    assert!(!none.path().join("heygen-inbox.db").exists());
}

#[test]
fn a_rate_paces_it() {
    let workdir = Workdir::new();
    import(&workdir, &acknowledged(5, 1));
    let begun_at = std::time::Instant::now();
    let json = replay(&workdir, &["--all", "--rate", "10/s"]);
    assert_eq!(
        (&json["replayed"], &json["not_reached"]),
        (&json!(5), &json!(0))
    );
    let took = begun_at.elapsed();
    assert!(took >= std::time::Duration::from_millis(400), "{took:?}");
    let wrong = workdir.run(&["inbox", "replay", "--all", "--rate", "10/d"]);
    assert!(
        wrong.status == 2 && wrong.stderr.contains("rate"),
        "{}",
        wrong.stderr
    );
}

#[cfg(unix)]
#[test]
fn it_can_be_stopped() {
    let workdir = Workdir::new();
    import(&workdir, &acknowledged(3, 1));
    let command = workdir.command(&["inbox", "replay", "--all", "--rate", "1/h", "--json"]);
    let replaying = workdir.begin(command, &[]);
    crate::support::eventually(|| of_state(&workdir, "pending").len() == 1);
    replaying.signal("INT");
    let (status, lines, _) = replaying.wait();
    assert_eq!(status, 1);
    let json: Value = serde_json::from_str(&lines.concat()).expect("JSON");
    assert_eq!(
        (&json["replayed"], &json["not_reached"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(of_state(&workdir, "acknowledged").len(), 2);
}

/// On streams some of the first step may be done.
#[cfg(target_os = "linux")]
#[test]
fn failure_of_the_first_step_is_reported() {
    let workdir = Workdir::new();
    import(&workdir, &acknowledged(200, 1));
    let plain = workdir.command(&["inbox", "replay", "--all", "--yes", "--json"]);
    let mut command = std::process::Command::new("sh");
    // Room for the index of the log, but not for the log.
    let limit = r#"trap '' XFSZ; exec prlimit --fsize=32768 "$@""#;
    command.args(["-c", limit, "sh"]);
    command.arg(plain.get_program()).args(plain.get_args());
    for (name, _) in plain.get_envs() {
        command.env_remove(name);
    }
    let (status, lines, log) = workdir.begin(command, &[]).wait();
    assert_eq!(status, 1);
    let json: Value = serde_json::from_str(&lines.concat()).expect("JSON");
    assert_eq!(
        (&json["replayed"], &json["not_reached"]),
        (&json!(0), &json!(200)),
        "{log:?}"
    );
}

// Elsewhere a file that is open cannot be moved.
#[cfg(unix)]
#[test]
fn what_was_replayed_before_a_failure_is_reported() {
    let workdir = Workdir::new();
    import(&workdir, &acknowledged(3, 1));
    let command = workdir.command(&["inbox", "replay", "--all", "--rate", "30/m", "--json"]);
    let replaying = workdir.begin(command, &[]);
    crate::support::eventually(|| !of_state(&workdir, "pending").is_empty());
    let inbox = workdir.path().join("heygen-inbox.db");
    std::fs::rename(&inbox, workdir.path().join("moved.db")).expect("moved");
    let (status, lines, log) = replaying.wait();
    assert_eq!(status, 1);
    let json: Value = serde_json::from_str(&lines.concat()).expect("JSON");
    let [replayed, left] = ["replayed", "not_reached"].map(|key| json[key].as_u64());
    // On a slow machine the second came before the file was moved.
    assert!(replayed >= Some(1) && left >= Some(1), "{json}");
    assert_eq!(replayed.zip(left).map(|(one, two)| one + two), Some(3));
    assert!(log.concat().contains("heygen-inbox.db"), "{log:?}");
}
