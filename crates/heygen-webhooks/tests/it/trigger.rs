//! `trigger`: what it sends.

use heygen_events::Event;
use serde_json::{Value, json};

use crate::support::{Ended, SECRET, Serve, Workdir, words};

/// Sends with these arguments and returns the body that was kept.
fn kept(workdir: &Workdir, serve: &Serve, arguments: &[&str]) -> Value {
    let sent = serve
        .trigger(workdir, &[arguments, &["--json"]].concat())
        .ok();
    let id = sent.json()["answer"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let shown = workdir.run(&["inbox", "show", &id, "--raw"]).ok();
    serde_json::from_slice(&shown.raw).expect("a body")
}

#[test]
fn fields_are_set_and_ids_are_fresh() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    let first = kept(
        &workdir,
        &serve,
        &words("avatar_video.success --set folder_id=f --set url:=null"),
    );
    assert_eq!(first["event_data"]["folder_id"], "f");
    assert_eq!(first["event_data"]["url"], Value::Null);
    let second = kept(&workdir, &serve, &["avatar_video.success"]);
    assert_ne!(
        first["event_data"]["video_id"],
        second["event_data"]["video_id"]
    );
    let given = kept(
        &workdir,
        &serve,
        &words("avatar_video.success --set video_id=mine --event-id evt_1"),
    );
    assert_eq!(given["event_data"]["video_id"], "mine");
    assert_eq!(given["event_id"], "evt_1");
}

/// As in a container without a package of them.
#[test]
fn event_is_sent_over_http_where_there_are_no_certificates() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    let without_certificates = [
        ("HEYGEN_WEBHOOK_SECRET", SECRET),
        ("SSL_CERT_FILE", "no/such/file"),
        ("SSL_CERT_DIR", "no/such/folder"),
    ];
    let send = |to: &str| {
        let arguments = ["trigger", "avatar_video.success", "--to", to];
        workdir.run_with(&arguments, b"", &without_certificates)
    };
    send(&serve.url).ok();
    let https = serve.url.replace("http://", "https://");
    send(&https).fails(1, "HTTP client cannot be set up");
}

#[test]
fn unknown_event_is_sent_and_stored() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    let body = kept(
        &workdir,
        &serve,
        &["podcast.episode.success", "--set", "id=7"],
    );
    assert_eq!(
        body,
        json!({"event_type": "podcast.episode.success", "event_data": {"id": "7"}})
    );
    let event = Event::from_slice(body.to_string().as_bytes()).expect("an event");
    assert!(!event.is_known());
    serve.line();
    assert!(serve.line().contains("new event name"));
}

#[test]
fn both_signature_headers_are_accepted_and_no_others() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    for (header, status) in [
        ("Signature", 0),
        ("heygen-signature", 0),
        ("X-HeyGen-Signature", 1),
    ] {
        let sent = serve.trigger(&workdir, &["avatar_video.success", "--header-name", header]);
        assert_eq!(sent.status, status, "{header}: {}", sent.stdout);
    }
    assert!(
        serve
            .log_line("delivery rejected")
            .contains("x-heygen-signature")
    );
}

#[test]
fn several_and_unsigned() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    let sent = serve
        .trigger(&workdir, &["video_agent.fail", "--count", "3"])
        .ok();
    assert_eq!(
        sent.stdout
            .lines()
            .filter(|line| line.contains("accepted"))
            .count(),
        3
    );
    let refused = workdir.run_with(
        &[
            "trigger",
            "video_agent.fail",
            "--unsigned",
            "--to",
            &serve.url,
        ],
        b"",
        &[],
    );
    assert_eq!(refused.status, 1);
    refused.prints("401");
}

#[test]
fn stored_body_is_sent_again_after_an_edit() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    let first = serve
        .trigger(&workdir, &["avatar_video.fail", "--json"])
        .ok();
    let id = first.json()["answer"]["id"].clone();
    let show = ["inbox", "show", id.as_str().expect("an id"), "--raw"];
    let stored = workdir.run(&show).ok().raw;
    let environment = [("HEYGEN_WEBHOOK_SECRET", SECRET)];
    let send = |body: &[u8], arguments: &[&str]| {
        let trigger = ["trigger", "--body", "-", "--to", &serve.url, "--json"];
        workdir.run_with(&[&trigger, arguments].concat(), body, &environment)
    };
    let unchanged = send(&stored, &[]).ok().json();
    assert_eq!(unchanged["answer"]["status"], "duplicate");

    let text = String::from_utf8(stored).expect("text");
    let edited = text.replacen("\"msg\":\"", "\"msg\":\"edited: ", 1);
    assert_ne!(edited, text);
    let sent = send(edited.as_bytes(), &[]).ok();
    assert_eq!(sent.stderr, "");
    let sent = sent.json();
    assert_eq!(sent["answer"]["status"], "accepted");
    assert_eq!(sent["event_type"], "avatar_video.fail");
    let id = sent["answer"]["id"].as_str().expect("an id");
    let stored = workdir.run(&["inbox", "show", id, "--raw"]).ok();
    assert_eq!(stored.raw, edited.as_bytes(), "to the byte");

    let again = send(edited.as_bytes(), &["--duplicates", "1", "--tamper"]);
    assert_eq!(again.status, 1, "{}", again.stdout);
    assert_eq!(again.json()["status"], 401);
}

#[test]
fn body_may_be_any_bytes() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    for body in [
        &b"not JSON"[..],
        b"\xff\x00\xfe",
        b"",
        br#"{"event_data":{}}"#,
    ] {
        let file = workdir.file("body", body);
        let file = file.to_str().expect("UTF-8");
        let sent = serve.trigger(&workdir, &["--body", file]).ok();
        assert!(sent.stdout.starts_with("(not an event)"), "{}", sent.stdout);
        sent.says("not an event, and is sent as it is");
        let json = serve
            .trigger(&workdir, &["--body", file, "--json"])
            .ok()
            .json();
        assert_eq!(json["event_type"], Value::Null);
        let id = json["answer"]["id"].as_str().expect("an id");
        let stored = workdir.run(&["inbox", "show", id, "--raw"]).ok();
        assert_eq!(stored.raw, body);
    }
}

#[test]
fn mistakes_are_told() {
    let workdir = Workdir::new();
    let check = |ended: &Ended, status: i32, message: &str| {
        let output = format!("{}{}", ended.stdout, ended.stderr);
        assert_eq!(ended.status, status, "{message}: {output}");
        assert!(output.contains(message), "{message}: {output}");
    };
    let none = workdir.run_with(&["trigger", "avatar_video.fail"], b"", &[]);
    check(&none, 2, "no signing secret");
    for (line, status, message) in [
        ("trigger", 2, "EVENT_TYPE"),
        ("trigger --body none", 1, "cannot read none"),
        ("trigger --body - a.b", 2, "cannot be used with"),
        ("trigger --body - --all", 2, "cannot be used with"),
        ("trigger --body - --set a=b", 2, "cannot be used with"),
        ("trigger --body - --count 2", 2, "cannot be used with"),
        ("trigger a.b --set x", 2, "give a field and its value"),
        ("trigger a.b --to http://127.0.0.1:1/", 1, "no answer"),
    ] {
        check(&workdir.run(&words(line)), status, message);
    }
    let ended = workdir.run(&["trigger", "a.b", "--to", "not a url"]);
    check(&ended, 2, "is not a URL");
}

#[test]
fn unknown_event_gets_a_fresh_id_each_time() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    let count = |arguments: &[&str]| {
        let sent = ["something.new", "--count", "3", "--json"];
        let sent = serve.trigger(&workdir, &[&sent, arguments].concat()).ok();
        let is_new = |line: &&str| line.contains("\"status\":\"accepted\"");
        sent.stdout.lines().filter(is_new).count()
    };
    assert_eq!(count(&[]), 3);
    assert_eq!(count(&["--set", "id=1"]), 1);
    assert_eq!(count(&["--keep-ids"]), 1);
}

#[test]
fn what_was_not_accepted_says_what_to_do() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    #[track_caller]
    fn check(workdir: &Workdir, arguments: &[&str], secret: &str, expected: Option<&str>) {
        let trigger = [&["trigger", "batch.finished", "--to"], arguments].concat();
        let ended = workdir.run_with(&trigger, b"", &[("HEYGEN_WEBHOOK_SECRET", secret)]);
        assert_eq!(ended.status, 1, "{}", ended.stderr);
        match expected {
            Some(expected) => assert!(ended.stderr.contains(expected), "{}", ended.stderr),
            None => assert_eq!(ended.stderr, ""),
        }
    }
    let wrong = "the receiver does not know this secret";
    check(&workdir, &[&serve.url], "whsec_wrong", Some(wrong));
    check(&workdir, &[&serve.url, "--unsigned"], SECRET, None);
    check(&workdir, &[&serve.url, "--tamper"], SECRET, None);
    let elsewhere = format!("{}/elsewhere?a=b", serve.url);
    let path = format!(
        "at the path of {}/elsewhere?…: give another with --to; that of `serve` is /webhooks/heygen",
        serve.url
    );
    check(&workdir, &[&elsewhere], SECRET, Some(&path));
    let nowhere = "start `serve`, or give another address with --to";
    check(&workdir, &["127.0.0.1:1"], SECRET, Some(nowhere));
}
