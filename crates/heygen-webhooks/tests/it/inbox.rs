//! `inbox list` and `inbox show`, beside a running server.

use serde_json::{Value, json};

use crate::http::post;
use crate::support::{Serve, Workdir, words};

mod attempts;
mod backup;
mod by_hand;
mod check;
mod drift;
pub(crate) mod history;
#[cfg(unix)]
mod pause;
mod prune;
#[cfg(unix)]
mod rejected;
mod replay;
mod round_trip;
mod stats;
mod tail;
mod transfer;

fn ids(workdir: &Workdir, arguments: &[&str]) -> Vec<String> {
    let list = workdir.json(&[&["inbox", "list", "--json"], arguments].concat());
    let lines = list.as_array().expect("an array").iter();
    lines
        .map(|line| line["id"].as_str().expect("an id").to_owned())
        .collect()
}

/// Damages a page of nothing but the body that is filled with this: it names the next of such, now
/// one that cannot be.
fn damage_body(workdir: &Workdir, filling: u8) {
    let path = workdir.path().join("heygen-inbox.db");
    let mut bytes = std::fs::read(&path).expect("a file");
    let page = bytes
        .chunks_mut(4096)
        .find(|page| page[4..].iter().all(|byte| *byte == filling))
        .expect("a page of the body");
    page[..4].fill(0xff);
    std::fs::write(&path, bytes).expect("damage");
}

/// A server that has handled three events, and their ids, oldest first.
fn three_events(workdir: &Workdir) -> (Serve, Vec<String>) {
    let serve = workdir.serve(&["--json"]);
    let mut sent = Vec::new();
    for arguments in [
        &words("avatar_video.success --set video_id=v1 --set callback_id=c1")[..],
        &["avatar_video.fail", "--set", "video_id=v2"][..],
        &["batch.finished"][..],
    ] {
        let answer = serve
            .trigger(workdir, &[arguments, &["--json"]].concat())
            .ok()
            .json();
        sent.push(answer["answer"]["id"].as_str().expect("an id").to_owned());
        serve.line();
    }
    // Handled is not yet recorded: a stop waits for the records.
    serve.signal("TERM");
    serve.wait();
    (workdir.serve(&["--json"]), sent)
}

#[test]
fn lists_filter_and_come_newest_first() {
    let workdir = Workdir::new();
    let (_serve, mut sent) = three_events(&workdir);
    sent.reverse();
    assert_eq!(ids(&workdir, &[]), sent);
    assert_eq!(ids(&workdir, &["--limit", "2"]), sent[..2]);
    assert_eq!(
        ids(&workdir, &["--event-type", "avatar_video.fail"]),
        sent[1..2]
    );
    assert_eq!(ids(&workdir, &["--state", "acknowledged"]), sent);
    assert_eq!(
        ids(&workdir, &["--state", "dead_lettered"]),
        Vec::<String>::new()
    );
    assert_eq!(ids(&workdir, &["--since", "1h"]), sent);
    assert_eq!(ids(&workdir, &["--subject", "v2"]), sent[1..2]);
    assert_eq!(ids(&workdir, &["--callback-id", "c1"]), sent[2..]);
    let both = ["--callback-id", "c1", "--subject", "v2"];
    assert_eq!(ids(&workdir, &both), Vec::<String>::new());
    assert_eq!(ids(&workdir, &["--until", "1h"]), Vec::<String>::new());
    assert_eq!(
        ids(&workdir, &["--since", "2200-01-01"]),
        Vec::<String>::new()
    );
}

#[test]
fn a_line_has_the_promised_keys() {
    let workdir = Workdir::new();
    let (_serve, sent) = three_events(&workdir);
    let list = workdir.json(&words(
        "inbox list --json --event-type avatar_video.success",
    ));
    let mut line = list[0].clone();
    let received_at = line["received_at"].take();
    assert!(
        received_at
            .as_str()
            .is_some_and(|time| time.ends_with('Z') && time.len() == 27),
        "{received_at}"
    );
    assert_eq!(
        line,
        json!({
            "id": sent[0], "received_at": null, "event_type": "avatar_video.success", "subject_id": "v1",
            "callback_id": "c1", "outcome": "success", "state": "acknowledged", "attempts": 1, "source": "webhook",
        })
    );
    let people = workdir.run(&["inbox", "list"]).ok().stdout;
    assert!(people.starts_with("ID "), "{people}");
    assert_eq!(people.lines().count(), 4, "{people}");
}

#[test]
fn show_tells_all_of_one() {
    let workdir = Workdir::new();
    let (serve, sent) = three_events(&workdir);
    let shown: Value = workdir.json(&["inbox", "show", &sent[1], "--json"]);
    assert_eq!(shown["event"]["outcome"], "failure");
    assert_eq!(shown["attempt_list"][0]["result"], "acknowledged");
    let names: Vec<_> = shown["headers"]
        .as_array()
        .expect("pairs")
        .iter()
        .map(|pair| pair[0].clone())
        .collect();
    assert!(names.contains(&json!("signature")), "{names:?}");

    let again = [
        "avatar_video.success",
        "--set",
        "video_id=v1",
        "--set",
        "callback_id=c1",
        "--keep-ids",
    ];
    serve.trigger(&workdir, &again).ok();
    let people = workdir.run(&["inbox", "show", &sent[0]]).ok().stdout;
    for text in [
        "avatar_video.success",
        "v1",
        "c1",
        "acknowledged",
        "Headers (unsigned)",
        "Body, ",
    ] {
        assert!(people.contains(text), "{text} is missing:\n{people}");
    }
}

#[test]
fn raw_is_byte_for_byte() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    let body = "{ \"event_type\" : \"x.y\",\n\t\"event_data\":{\"a\":\"\\u00e9é\"} }\r\n";
    let answer = post(&serve, body);
    let id = answer["id"].as_str().expect("an id").to_owned();
    assert_eq!(
        workdir.run(&["inbox", "show", &id, "--raw"]).ok().raw,
        body.as_bytes()
    );

    let not_an_event = b"\xff\x00 no event";
    let answer = post(&serve, not_an_event);
    assert_eq!(answer["status"], "accepted");
    let id = answer["id"].as_str().expect("an id").to_owned();
    assert_eq!(
        workdir.run(&["inbox", "show", &id, "--raw"]).ok().raw,
        not_an_event
    );
    let shown = workdir.json(&["inbox", "show", &id, "--json"]);
    assert_eq!(
        (&shown["event_type"], &shown["outcome"], &shown["body"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    serve.line();
    serve.line();
    assert!(serve.line().contains("(unreadable)"));
}

#[test]
fn empty_lists_say_what_to_do_and_leave_a_pipe_alone() {
    let workdir = Workdir::new();
    let inbox = workdir.path().join("heygen-dev.db");
    let inbox = inbox.to_str().expect("a path in UTF-8");
    let serve = workdir.serve(&["--inbox", inbox]);
    serve.signal("TERM");
    serve.wait();
    workdir.file("heygen-sandbox.db", "");
    let beside = workdir.run(&["inbox", "list"]);
    assert_eq!(beside.status, 1);
    let message = "there is one at ./heygen-dev.db and ./heygen-sandbox.db";
    beside.says(message);
    for (more, message) in [
        (&[][..], "`trigger` sends a signed sample"),
        (&["--state", "pending"], "no deliveries match"),
    ] {
        let list = [&["inbox", "list", "--inbox", inbox], more].concat();
        let empty = workdir.run(&list).ok();
        assert_eq!(empty.stdout, "");
        empty.says(message);
        let json = workdir.run(&[&list[..], &["--json"]].concat()).ok();
        assert_eq!((json.json(), &*json.stderr), (serde_json::json!([]), ""));
    }
}

/// Root may look everywhere: a folder that leads to itself stands for one that the user may not enter.
#[cfg(unix)]
#[test]
fn folder_that_cannot_be_entered_is_not_taken_for_one_without_an_inbox() {
    let workdir = Workdir::new();
    std::os::unix::fs::symlink("loop", workdir.path().join("loop")).expect("a link");
    for list in [&["inbox", "list"][..], &["inbox", "rejected", "list"]] {
        let ended = workdir.run(&[list, &["--inbox", "loop/inbox.db"]].concat());
        assert_eq!(ended.status, 1, "{}", ended.stdout);
        let is_advised = ended.stderr.contains("start `serve` to create one");
        assert!(!is_advised, "{}", ended.stderr);
    }
}

#[test]
fn delivery_is_named_by_the_beginning_of_its_id_or_as_the_last() {
    let workdir = Workdir::new();
    let (_serve, sent) = three_events(&workdir);
    let shown = |id: &str| {
        let shown = workdir.json(&["inbox", "show", id, "--json"]);
        shown["id"].as_str().expect("an id").to_owned()
    };
    let last = sent.iter().max().expect("three events");
    assert_eq!(shown("last"), *last);
    // What tells them apart: they came within the same second or two.
    assert_eq!(shown(&sent[0][..11]), sent[0]);
    let all = workdir.run(&["inbox", "show", &sent[0][..4]]);
    all.fails(2, "begins more than one id");
}

#[test]
fn mistakes_are_told() {
    let workdir = Workdir::new();
    let none = workdir.run(&["inbox", "list"]);
    assert_eq!(none.status, 1);
    assert!(
        none.stderr.contains("no inbox at") && none.stderr.contains("--inbox"),
        "{}",
        none.stderr
    );
    let _serve = workdir.serve(&[]);
    let unknown = workdir.run(&["inbox", "show", "000000000000000"]);
    unknown.fails(1, "no delivery");
    assert_eq!(workdir.run(&["inbox", "show", "17!"]).status, 2);
    let beginning = workdir.run(&["inbox", "show", "17"]);
    beginning.fails(1, "no delivery whose id begins with `17`");
    assert_eq!(
        workdir
            .run(&["inbox", "list", "--since", "yesterday"])
            .status,
        2
    );
}

#[test]
fn list_says_that_there_are_more() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    serve
        .trigger(&workdir, &["batch.finished", "--count", "3"])
        .ok();
    for (limit, shown, more) in [("2", 2, true), ("3", 3, false), ("0", 3, false)] {
        let list = ["inbox", "list", "--limit", limit];
        let text = workdir.run(&list).ok();
        assert_eq!(text.stdout.lines().count(), shown + 1, "{}", text.stdout);
        let json = workdir.run(&[&list[..], &["--json"]].concat()).ok();
        assert_eq!(json.json().as_array().expect("an array").len(), shown);
        for ended in [text, json] {
            let is_noted = ended.stderr.contains("there are more: use --limit");
            assert_eq!(is_noted, more, "{}", ended.stderr);
        }
    }
}

#[test]
fn nothing_is_between_two_moments_in_the_wrong_order() {
    let workdir = Workdir::new();
    workdir.serve(&[]).kill();
    for command in ["list", "export", "replay"] {
        let ended = workdir.run(&["inbox", command, "--since", "1h", "--until", "2h"]);
        ended.fails(2, "nothing is between them");
    }
}

#[test]
fn folder_is_no_inbox() {
    let workdir = Workdir::new();
    let ended = workdir.run(&["inbox", "list", "--inbox", "."]);
    ended.fails(2, ". is a folder: name a file in it");
}

#[test]
fn inbox_that_was_not_finished_is_listed_after_serve_was_started() {
    let workdir = Workdir::new();
    workdir.file("heygen-inbox.db", "");
    let ended = workdir.run(&["inbox", "list"]);
    ended.fails(1, "start `serve` once with this version");
    let serve = workdir.serve(&[]);
    serve.signal("TERM");
    serve.wait();
    workdir.run(&["inbox", "list"]).ok();
}
