//! `serve`: what it answers, prints and logs, and how it ends.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;

use heygen_events::EventType;
use heygen_signature::Secret;
use heygen_testkit::Sender;
use serde_json::Value;

use crate::support::{SECRET, Workdir, words};

#[test]
fn serve_prints_a_line_for_each_of_thirty_samples() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    assert_eq!(serve.line(), format!("listening on {}", serve.url));
    let sent = serve.trigger(&workdir, &["--all"]).ok();
    assert_eq!(sent.stdout.lines().count(), 30);

    let lines: Vec<_> = (0..30).map(|_| serve.line()).collect();
    for event_type in EventType::KNOWN {
        let count = lines
            .iter()
            .filter(|line| {
                line.split_whitespace()
                    .any(|word| word == event_type.as_str())
            })
            .count();
        assert_eq!(count, 1, "{event_type}: {lines:#?}");
    }
}

#[test]
fn json_lines_hold_the_view_and_the_event() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&["--json"]);
    serve.trigger(&workdir, &["--all"]).ok();
    let lines: Vec<Value> = (0..30)
        .map(|_| serde_json::from_str(&serve.line()).expect("JSON"))
        .collect();
    let names: BTreeSet<_> = lines
        .iter()
        .filter_map(|line| line["event_type"].as_str())
        .collect();
    assert_eq!(
        names,
        EventType::KNOWN.iter().map(EventType::as_str).collect()
    );
    for line in &lines {
        assert_eq!(line["known"], true, "{line}");
        assert_eq!(line["well_formed"], true, "{line}");
        assert_eq!(line["attempt"], 1, "{line}");
        assert_eq!(line["source"], "webhook", "{line}");
        assert_eq!(line["event"]["event_type"], line["event_type"], "{line}");
    }
}

#[test]
fn a_tampered_delivery_is_refused_and_the_log_says_why_without_the_body() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    let refused = serve.trigger(
        &workdir,
        &words("avatar_video.success --tamper --set msg=do-not-log-me"),
    );
    assert_eq!(refused.status, 1);
    refused.prints("401");
    let line = serve.log_line("delivery rejected");
    let log: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(log["reason"], "matches-no-secret");
    assert!(
        log["signature_like_headers"]
            .as_str()
            .is_some_and(|names| names.contains("signature")),
        "{line}"
    );
    assert!(
        !line.contains("do-not-log-me") && !line.contains(SECRET),
        "{line}"
    );
    let kept = workdir.run(&["inbox", "list", "--json"]).ok();
    assert_eq!(kept.json(), serde_json::json!([]));
}

/// What a load balancer or a proxy does that was set up for another kind of server, or adds too much.
#[test]
fn what_is_no_request_is_logged() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    let address = serve.url.split('/').nth(2).expect("an address");
    let large = format!(
        "POST /webhooks/heygen HTTP/1.1\r\nX: {}\r\n\r\n",
        "x".repeat(20_000)
    );
    for (sent, reason) in [
        (
            &b"PROXY TCP4 192.0.2.1 192.0.2.2 5 80\r\nPOST /webhooks/heygen HTTP/1.1\r\n\r\n"[..],
            "proxy-protocol",
        ),
        (b"\x16\x03\x01\0\x05\x01\0\0\x01\0", "tls"),
        (large.as_bytes(), "large-head"),
        (
            b"POST /webhooks/heygen HTTP/1.1\r\nNo name: x\r\n\r\n",
            "unreadable-head",
        ),
    ] {
        let mut client = TcpStream::connect(address).expect("it listens");
        client.write_all(sent).expect("a connection");
        let _ = client.read_to_end(&mut Vec::new());
        let line = serve.log_line(&format!(r#""reason":"{reason}""#));
        let log: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(log["level"], "WARN", "{line}");
    }
}

#[test]
fn what_is_no_request_after_one_is_not_logged() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    let address = serve.url.split('/').nth(2).expect("an address");
    let signature = Secret::new(SECRET).expect("a secret").sign(b"{}");
    let mut client = TcpStream::connect(address).expect("it listens");
    write!(
        client,
        "POST /webhooks/heygen HTTP/1.1\r\nSignature: {signature}\r\nContent-Length: 2\r\n\r\n{{}}\0\r\n\r\n"
    )
    .expect("a connection");
    let mut answers = String::new();
    client.read_to_string(&mut answers).expect("answers");
    assert!(answers.starts_with("HTTP/1.1 200"), "{answers}");
    assert!(answers.contains("HTTP/1.1 400"), "{answers}");
    serve.signal("TERM");
    let (_, _, log) = serve.wait();
    assert!(!log.iter().any(|line| line.contains("unread")), "{log:?}");
}

#[test]
fn too_many_headers_are_logged_as_too_many() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    let address = serve.url.split('/').nth(2).expect("an address");
    let mut client = TcpStream::connect(address).expect("it listens");
    // More than the parser takes, which is more than the receiver does.
    let many = "X: x\r\n".repeat(201);
    write!(client, "POST /webhooks/heygen HTTP/1.1\r\n{many}\r\n").expect("a connection");
    let _ = client.read_to_end(&mut Vec::new());
    let line = serve.log_line(r#""reason":"large-head""#);
    assert!(line.contains("more than 100 headers"), "{line}");
}

#[tokio::test]
async fn without_a_secret_probes_pass_and_deliveries_wait() {
    let workdir = Workdir::new();
    let serve = workdir.serve_with(&[], &[]);
    let probe = Sender::new(&serve.url).probe().await.expect("a request");
    assert_eq!(
        probe.attempt().status().map(|status| status.as_u16()),
        Some(204)
    );
    let refused = serve.trigger(&workdir, &["avatar_video.fail", "--json"]);
    assert_eq!(refused.status, 1);
    assert_eq!(refused.json()["status"], 503);
}

#[test]
fn links_are_cut_unless_asked_for() {
    let link = "url=https://resource2.heygen.ai/v.mp4?X-Amz-Signature=gives-access";
    for (arguments, is_shown) in [(&[][..], false), (&["--full"][..], true)] {
        let workdir = Workdir::new();
        let serve = workdir.serve(arguments);
        serve.line();
        serve
            .trigger(&workdir, &["avatar_video.success", "--set", link])
            .ok();
        let line = serve.line();
        assert!(
            line.contains("https://resource2.heygen.ai/v.mp4?"),
            "{line}"
        );
        assert_eq!(line.contains("gives-access"), is_shown, "{line}");
    }
}

#[test]
fn duplicates_are_acknowledged_and_dispatched_once() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    serve.line();
    let sent = serve
        .trigger(
            &workdir,
            &["avatar_video.fail", "--duplicates", "2", "--json"],
        )
        .ok();
    let answers: Vec<Value> = sent
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let statuses: Vec<_> = answers
        .iter()
        .map(|line| line["answer"]["status"].as_str().unwrap_or(""))
        .collect();
    assert_eq!(statuses, ["accepted", "duplicate", "duplicate"]);
    assert_eq!(answers[0]["answer"]["id"], answers[2]["answer"]["id"]);

    serve.trigger(&workdir, &["batch.finished"]).ok();
    assert!(serve.line().contains("avatar_video.fail"));
    assert!(
        serve.line().contains("batch.finished"),
        "the next line is the next event"
    );
}

#[test]
fn a_signal_ends_it_in_good_order() {
    for signal in ["TERM", "INT"] {
        let workdir = Workdir::new();
        let serve = workdir.serve(&[]);
        serve.line();
        serve.trigger(&workdir, &["avatar_video.success"]).ok();
        serve.line();
        serve.signal(signal);
        let (status, rest, log) = serve.wait();
        assert_eq!(status, 0, "{log:?}");
        assert_eq!(rest, Vec::<String>::new());
        let done = workdir
            .run(&["inbox", "list", "--json", "--state", "acknowledged"])
            .ok();
        assert_eq!(
            done.json().as_array().map(Vec::len),
            Some(1),
            "its handling was recorded"
        );
    }
}

#[test]
fn one_inbox_is_one_servers() {
    let workdir = Workdir::new();
    let _serve = workdir.serve(&[]);
    let second = workdir.run(&["serve", "--listen", "127.0.0.1:0"]);
    second.fails(1, "in use by another process");
}

#[test]
fn secrets_are_replaced_without_a_gap() {
    let workdir = Workdir::new();
    let file = workdir.file("secret", "# the old one\nwhsec_old\nwhsec_new\n");
    let file = file.to_str().expect("UTF-8");
    let serve = workdir.serve_with(&["--secret-file", file], &[]);
    for secret in ["whsec_old", "whsec_new"] {
        let to = ["trigger", "avatar_video.success", "--to", &serve.url];
        workdir
            .run_with(&to, b"", &[("HEYGEN_WEBHOOK_SECRET", secret)])
            .ok();
    }
}

#[tokio::test]
async fn unread_output_stops_no_delivery_and_no_probe() {
    let workdir = Workdir::new();
    let mut child = workdir
        .command(&["serve", "--listen", "127.0.0.1:0", "--log-format", "json"])
        .env("HEYGEN_WEBHOOK_SECRET", SECRET)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut log = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    log.read_line(&mut line).expect("a log line");
    let line: Value = serde_json::from_str(&line).expect("JSON");
    let url = line["url"].as_str().expect("where it listens");
    // Far more than a pipe holds.
    let message = format!("msg={}", "x".repeat(2000));
    let sent = [
        "trigger",
        "avatar_video.fail",
        "--count",
        "200",
        "--set",
        &message,
        "--to",
        url,
    ];
    workdir.run(&sent).ok();
    let probe = Sender::new(url).probe().await.expect("a request");
    assert!(probe.passed());
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}
