//! `dev` and `serve --backfill`: events of HeyGen's log are dispatched without a public address.

use heygen_testkit::EventBuilder;
use heygen_testkit::sandbox::Sandbox;
use serde_json::Value;

use crate::endpoint;
use crate::support::{SECRET, Serve, Workdir, sandbox};

const KEY: &str = "key-of-the-tests";

/// HeyGen, with an endpoint somewhere that takes everything, so that its log fills.
async fn heygen() -> Sandbox {
    let heygen = sandbox(KEY).await;
    let elsewhere = endpoint::start(|_| 200);
    heygen.register(&elsewhere).await.expect("registered");
    heygen
}

async fn send(heygen: &Sandbox, video_id: &str) {
    heygen.send(EventBuilder::new("avatar_video.success").set("video_id", video_id));
    heygen.settled().await;
}

fn environment(heygen: &Sandbox) -> [(&str, &str); 3] {
    [
        ("HEYGEN_API_KEY", KEY),
        ("HEYGEN_WEBHOOKS_BASE_URL", heygen.url()),
        ("HEYGEN_WEBHOOK_SECRET", SECRET),
    ]
}

fn dev(workdir: &Workdir, heygen: &Sandbox, arguments: &[&str]) -> Serve {
    let fixed = ["dev", "--interval", "0.1", "--log-format", "json"];
    let command = workdir.command(&[&fixed, arguments].concat());
    workdir.begin(command, &environment(heygen))
}

fn subject(line: &str) -> String {
    let line: Value = serde_json::from_str(line).expect("JSON");
    line["subject_id"].as_str().expect("a subject").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_forwards_new_events_as_serve_would() {
    let heygen = heygen().await;
    let behind = Workdir::new();
    let workdir = Workdir::new();
    let made = ["secrets", "forward", "--create", "--inbox", "heygen-dev.db"];
    let made = workdir.run(&made).ok().stdout;
    let secret = [("HEYGEN_WEBHOOK_SECRET", made.trim_end())];
    let application = behind.serve_with(&["--json"], &secret);
    let dev = dev(&workdir, &heygen, &["--forward", &application.url]);
    dev.log_line("polling HeyGen's event log");
    for video_id in ["first", "second"] {
        send(&heygen, video_id).await;
        assert_eq!(subject(&application.line()), video_id);
    }
    let taken = behind.json(&["inbox", "list", "--json", "--limit", "1"]);
    let id = taken[0]["id"].as_str().expect("an id").to_owned();
    let shown = behind.json(&["inbox", "show", &id, "--json"]);
    let headers = shown["headers"].to_string();
    assert!(
        headers.contains(r#"["heygen-webhooks-authenticity","log"]"#),
        "{headers}"
    );

    dev.signal("TERM");
    let (status, ..) = dev.wait();
    assert_eq!(status, 0);
    let listed = workdir.json(&["inbox", "list", "--json", "--inbox", "heygen-dev.db"]);
    let states: Vec<_> = listed
        .as_array()
        .expect("an array")
        .iter()
        .map(|one| &one["state"])
        .collect();
    assert_eq!(states, ["acknowledged", "acknowledged"]);
    assert_eq!(listed[0]["source"], "backfill");
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_since_dispatches_earlier_events() {
    let heygen = heygen().await;
    send(&heygen, "before").await;
    let workdir = Workdir::new();
    let dev = dev(&workdir, &heygen, &["--since", "1h", "--json"]);
    assert_eq!(subject(&dev.line()), "before");
    dev.signal("TERM");
    assert_eq!(dev.wait().0, 0);
    // The same inbox again: what was handled is not handed out twice.
    let dev = self::dev(&workdir, &heygen, &["--since", "1h", "--json"]);
    send(&heygen, "after").await;
    assert_eq!(subject(&dev.line()), "after");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_what_it_needs() {
    let heygen = heygen().await;
    let workdir = Workdir::new();
    let [key, base_url, secret] = environment(&heygen);
    let check = |environment: &[(&str, &str)], arguments: &[&str], expected: &str| {
        let ended = workdir.run_with(&[&["dev"], arguments].concat(), b"", environment);
        ended.fails(2, expected);
    };
    check(
        &[key, base_url],
        &["--forward", "http://user:pass@localhost:1/hook"],
        "cannot forward",
    );
    check(&[base_url, secret], &[], "HEYGEN_API_KEY");
    check(&[key, base_url], &["--interval", "0"], "interval");
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_backfills_missed_events() {
    let heygen = heygen().await;
    send(&heygen, "missed").await;
    let workdir = Workdir::new();
    let arguments = ["--json", "--backfill", "--backfill-interval", "1"];
    let serve = workdir.serve_with(&arguments, &environment(&heygen));
    let line: Value = serde_json::from_str(&serve.line()).expect("JSON");
    assert_eq!(
        (&line["subject_id"], &line["source"]),
        (&"missed".into(), &"backfill".into())
    );
    // And goes on looking.
    send(&heygen, "missed later").await;
    assert_eq!(subject(&serve.line()), "missed later");
    // What comes by POST after all is known.
    let again = serve
        .trigger(
            &workdir,
            &["avatar_video.success", "--set", "video_id=other"],
        )
        .ok();
    again.prints("accepted");
    serve.signal("TERM");
    let (status, ..) = serve.wait();
    assert_eq!(status, 0);

    let ended = workdir.run(&["serve", "--listen", "127.0.0.1:0", "--backfill"]);
    ended.fails(2, "HEYGEN_API_KEY");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_ends_it() {
    let heygen = heygen().await;
    let workdir = Workdir::new();
    let [_, base_url, secret] = environment(&heygen);
    let ended = workdir.run_with(
        &["dev"],
        b"",
        &[("HEYGEN_API_KEY", "bad"), base_url, secret],
    );
    ended.fails(1, "check HEYGEN_API_KEY");
}

#[test]
fn dev_does_not_say_that_deliveries_are_received_while_the_log_cannot_be_read() {
    let workdir = Workdir::new();
    let command = workdir.command(&["dev", "--base-url", "http://127.0.0.1:1"]);
    let dev = workdir.begin(command, &[("HEYGEN_API_KEY", KEY)]);
    let line = dev.log_line("backfill failed");
    assert!(line.contains("no events arrive"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_revoked_later_ends_it() {
    use heygen_testkit::sandbox::{Fault, Misbehaviour};
    let heygen = heygen().await;
    let workdir = Workdir::new();
    let dev = dev(&workdir, &heygen, &[]);
    dev.log_line("backfill complete");
    let refuse = Fault::refuse(401).times(1000);
    heygen.misbehave(Misbehaviour::default().fault(refuse));
    let (status, _, log) = dev.wait();
    assert_eq!(status, 1);
    let log = log.join("\n");
    assert!(log.contains("check HEYGEN_API_KEY"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_continues_when_backfill_fails_and_says_what_to_check() {
    let heygen = heygen().await;
    let workdir = Workdir::new();
    let [_, base_url, secret] = environment(&heygen);
    let environment = [("HEYGEN_API_KEY", "bad"), base_url, secret];
    let serve = workdir.serve_with(&["--backfill"], &environment);
    let line = serve.log_line("backfill failed");
    assert!(line.contains("check HEYGEN_API_KEY"), "{line}");
    serve.trigger(&workdir, &["avatar_video.success"]).ok();
}
