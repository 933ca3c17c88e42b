//! The dashboard on the admin listener, and the command that shows an inbox alone.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use heygen_testkit::EventBuilder;
use serde_json::Value;

use crate::support::{SECRET, Serve, Workdir, sandbox, words};
use crate::{endpoint, http};

/// Status and text of a page.
fn get(url: &str) -> (u16, String) {
    let answer = http::get(url);
    (answer.status, answer.body)
}

/// The address that its log names.
pub(crate) fn address(command: &Serve) -> String {
    let line: Value = serde_json::from_str(&command.log_line("\"dashboard\"")).expect("JSON");
    line["url"].as_str().expect("an address").to_owned()
}

/// What stands at its address, and on the page of the newest delivery.
#[track_caller]
pub(crate) fn overview_and_delivery(url: &str) -> (String, String) {
    let (status, overview) = get(url);
    assert_eq!(status, 200, "{overview}");
    let (_, link) = overview
        .split_once("href=\"/deliveries/")
        .expect("a link to it");
    let (id, _) = link.split_once('"').expect("its end");
    let (status, delivery) = get(&format!("{url}deliveries/{id}"));
    assert_eq!(status, 200, "{delivery}");
    (overview, delivery)
}

#[test]
fn serve_shows_what_came_and_tells_where() {
    let workdir = Workdir::new();
    let serve = workdir.serve_logging(&[]);
    let listening: Value = serde_json::from_str(&serve.log_line("listening")).expect("JSON");
    let to = listening["url"].as_str().expect("an address").to_owned();
    let url = address(&serve);
    workdir
        .run(&["trigger", "avatar_video.fail", "--to", &to])
        .ok();
    let (text, delivery) = overview_and_delivery(&url);
    assert!(
        text.contains("avatar_video.fail") && text.contains("1 in use"),
        "{text}"
    );
    assert!(delivery.contains("HEYGEN_WEBHOOK_SECRET"), "{delivery}");
    assert!(!delivery.contains(SECRET), "{delivery}");
    assert_eq!(get(&format!("{url}rejected")).0, 200);
    assert_eq!(get(&format!("{url}sandbox")).0, 404, "there is none");
    assert_eq!(get(&format!("{url}healthz")).0, 200);
    // The inbox alone, once no server has it.
    serve.kill();
    let arguments = [
        "dashboard",
        "--admin",
        "127.0.0.1:0",
        "--admin-read-only",
        "--log-format",
        "json",
    ];
    let alone = workdir.start(workdir.command(&arguments), &[]);
    let (status, text) = get(&alone.url);
    assert_eq!(status, 200);
    assert!(
        text.contains("avatar_video.fail") && text.contains("read-only"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_shows_what_it_dispatches() {
    let heygen = sandbox("key").await;
    // Its log fills by what it sends somewhere.
    let elsewhere = endpoint::start(|_| 200);
    heygen.register(&elsewhere).await.expect("registered");
    let workdir = Workdir::new();
    let arguments = ["--interval", "0.1", "--log-format", "json", "--json"];
    let dev = workdir.command(&[&["dev", "--admin", "127.0.0.1:0"], &arguments[..]].concat());
    let environment = [
        ("HEYGEN_API_KEY", "key"),
        ("HEYGEN_WEBHOOKS_BASE_URL", heygen.url()),
    ];
    let dev = workdir.begin(dev, &environment);
    let url = address(&dev);
    heygen.send(EventBuilder::new("avatar_video.success").set("video_id", "of-the-log"));
    assert!(dev.line().contains("of-the-log"));
    let (overview, delivery) = overview_and_delivery(&url);
    assert!(overview.contains("heygen-dev.db"), "{overview}");
    for wanted in ["of-the-log", "Read over TLS with the account's key."] {
        assert!(delivery.contains(wanted), "{wanted}: {delivery}");
    }
}

#[test]
fn sandbox_has_a_page() {
    let workdir = Workdir::new();
    let serve = workdir.serve_logging(&["--sandbox"]);
    let url = address(&serve);
    let (status, text) = get(&format!("{url}sandbox?event=avatar_video.fail"));
    assert_eq!(status, 200);
    assert!(
        text.contains("An avatar video could not be rendered."),
        "{text}"
    );
    // As HeyGen documents it.
    let in_order = ["event_type", "event_data", "video_id", "msg", "callback_id"];
    let in_order = in_order.map(|name| text.find(&format!("&quot;{name}&quot;: ")));
    assert!(in_order[0].is_some() && in_order.is_sorted(), "{text}");
}

/// The page of the command drives it from the browser: nothing else is needed but a receiver.
#[test]
fn sandbox_command_has_its_page_alone() {
    let workdir = Workdir::new();
    let mut sandbox = workdir.command(&["sandbox", "--json", "--until-stdin-closes"]);
    let arguments = ["--listen", "127.0.0.1:0", "--dashboard", "127.0.0.1:0"];
    let sandbox = sandbox
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut sandbox = sandbox.spawn().expect("the binary starts");
    let mut first = String::new();
    let stdout = sandbox.stdout.take().expect("a pipe");
    let mut lines = BufReader::new(stdout);
    lines.read_line(&mut first).expect("a line");
    let first: Value = serde_json::from_str(&first).expect("JSON");
    let [api, page] = ["url", "dashboard"].map(|name| first[name].as_str().expect("an address"));
    let page = page.trim_end_matches('/');
    assert_eq!(get(page).0, 303);
    let (status, text) = get(&format!("{page}/sandbox"));
    assert_eq!(status, 200);
    assert!(text.contains("no address is registered"), "{text}");
    assert!(!text.contains("href=\"/deliveries\""), "{text}");
    for path in ["deliveries", "replay", "drift"] {
        assert_eq!(get(&format!("{page}/{path}")).0, 404, "{path}");
    }

    let serve = workdir.serve_logging(&[]);
    let listening: Value = serde_json::from_str(&serve.log_line("listening")).expect("JSON");
    let to = listening["url"].as_str().expect("an address");
    let register = serde_json::json!({"url": to}).to_string();
    let registered = format!("{api}/sandbox/endpoints");
    let answer = http::ask(&registered, "POST", &[], register.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.body);
    let form = [
        ("Origin", page),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    let send = |body: &str| {
        let body = format!("body={body}");
        http::ask(
            &format!("{page}/sandbox/send"),
            "POST",
            &form,
            body.as_bytes(),
        )
    };
    let malformed =
        send("%7B%22event_type%22%3A%22avatar_video.fail%22%2C%22event_data%22%3A%5B%5D%7D");
    assert_eq!(malformed.status, 422, "{}", malformed.body);
    let sent = send(
        "%7B%22event_type%22%3A%22avatar_video.fail%22%2C%22event_data%22%3A%7B%22video_id%22%3A%22from-the-page%22%2C%22msg%22%3A%22a%22%7D%7D",
    );
    assert_eq!(sent.status, 303, "{}", sent.body);
    let deliveries: Value =
        serde_json::from_str(&get(&format!("{api}/sandbox/deliveries")).1).expect("JSON");
    assert_eq!(
        deliveries["data"][0]["body"],
        r#"{"event_type":"avatar_video.fail","event_data":{"video_id":"from-the-page","msg":"a"}}"#
    );
    let mut attempt = String::new();
    lines.read_line(&mut attempt).expect("a line");
    assert!(attempt.contains("avatar_video.fail"), "{attempt}");
    // Signed with the endpoint's own secret, of which this receiver knows nothing.
    assert!(attempt.contains("401"), "{attempt}");
    let misbehave = format!("{api}/sandbox/misbehave");
    let answer = http::ask(&misbehave, "POST", &[], br#"{"duplicates": 2}"#);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let (_, text) = get(&format!("{page}/sandbox"));
    assert!(text.contains("{&quot;duplicates&quot;:2}"), "{text}");
    assert!(
        text.contains(&format!("Delivers to <code>{to}</code>")) && text.contains(">401<"),
        "{text}"
    );
    // A page that is open does not keep it.
    drop(sandbox.stdin.take());
    assert!(sandbox.wait().expect("it ends").success());
    let exposed = workdir.run(&["sandbox", "--dashboard", "0.0.0.0:0"]);
    exposed.fails(2, "ssh -L");
}

#[test]
fn address_that_others_reach_needs_a_token() {
    let workdir = Workdir::new();
    let token = "0123456789abcdef0123456789abcdef";
    workdir.file("token", token);
    let exposed = ["--admin", "0.0.0.0:0"];
    for (arguments, expected) in [(&[][..], 404), (&["--admin-token-file", "token"], 303)] {
        let all = [
            &["serve", "--listen", "127.0.0.1:0", "--log-format", "json"],
            &exposed[..],
            arguments,
        ]
        .concat();
        let serve = workdir.start(
            workdir.command(&all),
            &[("HEYGEN_WEBHOOK_SECRET", "whsec_of_this")],
        );
        let admin = serve.admin().replace("0.0.0.0", "127.0.0.1");
        assert_eq!(get(&format!("{admin}/healthz")).0, 200);
        assert_eq!(
            get(&format!("{admin}/deliveries")).0,
            expected,
            "{arguments:?}"
        );
    }
    let protected = ["--admin-token-file", "token", "--admin-protect-metrics"];
    let serve = workdir.serve_logging(&protected);
    let metrics = format!("{}/metrics", serve.admin());
    assert_eq!(get(&metrics).0, 303);
    let bearer = format!("Bearer {token}");
    let answer = http::ask(&metrics, "GET", &[("Authorization", &bearer)], b"");
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("heygen_webhooks_"), "{}", answer.body);
    let refused = workdir.run(&words("serve --admin-protect-metrics --listen 127.0.0.1:0"));
    assert_eq!(refused.status, 2, "{}", refused.stderr);
    workdir.file("token", "short");
    let refused = workdir.run(&words(
        "serve --admin-token-file token --listen 127.0.0.1:0",
    ));
    refused.fails(2, "at least 22 characters");
    let refused = workdir.run(&["dashboard", "--admin", "0.0.0.0:0"]);
    assert_ne!(refused.status, 0);
}

#[cfg(unix)]
#[test]
fn unix_socket_needs_a_token() {
    let workdir = Workdir::new();
    workdir.file("token", "0123456789abcdef0123456789abcdef");
    let protected = ["--admin-token-file", "token", "--admin-protect-metrics"];
    let socket = ["serve", "--listen", "127.0.0.1:0", "--log-format", "json"];
    let socket = [&socket[..], &["--admin", "unix:admin.sock"], &protected].concat();
    let environment = [("HEYGEN_WEBHOOK_SECRET", SECRET)];
    let serve = workdir.begin(workdir.command(&socket), &environment);
    let dashboard = serve.log_line("\"dashboard\"");
    assert!(dashboard.contains("admin.sock"), "{dashboard}");
    serve.kill();
    let refused = workdir.run(&["dashboard", "--admin", "unix:admin.sock"]);
    assert_ne!(refused.status, 0);
    refused.says("--admin-token-file");
}
