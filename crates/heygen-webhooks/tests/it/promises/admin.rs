//! The admin listener of a running `serve`: what it counts, what it says of readiness, where it listens.

use std::net::TcpListener;

use super::{ask, event, get, metric, post, script, sign};
use crate::support::{SECRET, Workdir, eventually};

const TOKEN: &str = "Zm9vYmFyYmF6cXV4MTIzNDU2";

/// `serve` with exactly these options about its admin listener.
fn arguments<'a>(admin: &[&'a str]) -> Vec<&'a str> {
    let all = ["serve", "--listen", "127.0.0.1:0", "--log-format", "json"];
    [&all, admin].concat()
}

#[test]
fn metrics_count_deliveries_and_hold_no_secrets() {
    let workdir = Workdir::new();
    let program = script(
        &workdir,
        "handle",
        r#"cat >/dev/null
           case "$HEYGEN_EVENT_TYPE" in
             order.dead) exit 65;;
             order.twice) test "$HEYGEN_ATTEMPT" -ge 2 || exit 75;;
             order.hang) while ! test -e go; do sleep 0.05; done;;
           esac"#,
    );
    workdir.file("tokens", TOKEN);
    let serve = workdir.serve(&[
        "--callback-token-file",
        "tokens",
        "--concurrency",
        "1",
        "--retry-initial-delay",
        "0.02",
        "--log",
        "debug",
        "--exec",
        program.to_str().expect("a path"),
    ]);
    let admin = serve.admin();
    let metrics = || get(&format!("{admin}/metrics")).body;
    for path in ["/healthz", "/readyz", "/metrics"] {
        let url = format!("{admin}{path}");
        assert_eq!(get(&url).status, 200, "{path}");
        let head = ask(&url, "HEAD", &[], b"");
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        assert!(!head.head.contains("content-length: 0"), "{}", head.head);
        assert_eq!(ask(&url, "DELETE", &[], b"").status, 405, "{path}");
    }

    let known = r#"{"event_type":"avatar_video.success","event_data":{"video_id":"a","url":"https://a.b/c","new_field":1}}"#;
    assert_eq!(post(&serve, known)["status"], "accepted");
    assert_eq!(post(&serve, known)["status"], "duplicate");
    post(&serve, event("order.dead", "b"));
    post(&serve, event("order.twice", "c"));
    let wrong = sign("another body");
    let body = event("order.forged", "d");
    for headers in [&[("Signature", wrong.as_str())][..], &[]] {
        assert_eq!(
            ask(&serve.url, "POST", headers, body.as_bytes()).status,
            401
        );
    }
    let callback = format!("{}/callbacks/{TOKEN}", serve.url);
    assert_eq!(ask(&callback, "POST", &[], body.as_bytes()).status, 200);
    let ended = |result: &str| {
        let series = format!("attempts_total{{result=\"{result}\"}}");
        metric(&metrics(), &series).unwrap_or_default()
    };
    eventually(|| {
        ended("acknowledged") == 3.0 && ended("retry") == 1.0 && ended("dead_lettered") == 1.0
    });
    eventually(|| metric(&metrics(), "dead_lettered") == Some(1.0));
    let text = metrics();
    for (series, expected) in [
        (
            r#"deliveries_total{result="accepted",source="webhook"}"#,
            3.0,
        ),
        (
            r#"deliveries_total{result="duplicate",source="webhook"}"#,
            1.0,
        ),
        (
            r#"deliveries_total{result="accepted",source="callback"}"#,
            1.0,
        ),
        (r#"rejected_total{reason="missing-signature"}"#, 1.0),
        (r#"rejected_total{reason="signature-mismatch"}"#, 1.0),
        (r#"handler_seconds_count{result="acknowledged"}"#, 3.0),
        ("commit_seconds_count", 5.0),
        ("rejected_ring_dropped_total", 0.0),
    ] {
        assert_eq!(metric(&text, series), Some(expected), "{series} in {text}");
    }
    let drift = |kind: &str, event_type: &str, name: &str| {
        let labels = format!(r#"{{kind="{kind}",event_type="{event_type}",name="{name}"}}"#);
        metric(&text, &format!("drift_total{labels}"))
    };
    for name in ["order.dead", "order.twice", "order.forged"] {
        assert_eq!(drift("unknown_event", name, name), Some(1.0), "{text}");
    }
    let field = drift("unknown_field", "avatar_video.success", "new_field");
    assert_eq!(field, Some(1.0), "{text}");

    // One hangs, and the other waits behind it.
    post(&serve, event("order.hang", "e"));
    post(&serve, event("order.waits", "f"));
    let age = || metric(&metrics(), "oldest_pending_age_seconds").unwrap_or_default();
    eventually(|| metric(&metrics(), "claimed") == Some(1.0));
    eventually(|| metric(&metrics(), "pending") == Some(1.0) && age() > 0.0);
    let before = age();
    eventually(|| age() > before);
    assert_eq!(get(&format!("{admin}/readyz")).status, 200);
    let while_hanging = metrics();
    workdir.file("go", "");
    eventually(|| metric(&metrics(), "pending") == Some(0.0) && age() == 0.0);
    eventually(|| metric(&metrics(), "claimed") == Some(0.0));

    let last = metrics();
    serve.signal("TERM");
    let (status, out, log) = serve.wait();
    assert_eq!(status, 0);
    let log = log.join("\n");
    assert!(
        log.contains("order.twice"),
        "debug tells of attempts: {log}"
    );
    let all = [text, while_hanging, last, out.join("\n"), log].concat();
    for secret in [SECRET, TOKEN, &wrong, &sign(known)] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
}

#[test]
fn switched_off_there_is_none() {
    let workdir = Workdir::new();
    let command = workdir.command(&arguments(&["--admin", "off"]));
    let serve = workdir.start(command, &[("HEYGEN_WEBHOOK_SECRET", SECRET)]);
    post(&serve, event("order.new", "a"));
    #[cfg(target_os = "linux")]
    assert_eq!(listening(serve.process_id()), 1, "HeyGen's alone");
    serve.signal("TERM");
    let (status, _, log) = serve.wait();
    assert_eq!(status, 0);
    assert!(log.iter().all(|line| !line.contains("/metrics")), "{log:?}");
}

/// How many sockets of a process listen.
#[cfg(target_os = "linux")]
fn listening(process_id: u32) -> usize {
    let all = std::fs::read_to_string("/proc/net/tcp").expect("a table");
    let inodes: Vec<_> = all
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|columns| columns.get(3) == Some(&"0A"))
        .map(|columns| format!("socket:[{}]", columns[9]))
        .collect();
    let files = std::fs::read_dir(format!("/proc/{process_id}/fd")).expect("a folder");
    files
        .filter_map(|file| std::fs::read_link(file.ok()?.path()).ok())
        .filter(|link| {
            inodes
                .iter()
                .any(|inode| link.as_os_str() == inode.as_str())
        })
        .count()
}

#[test]
fn occupied_default_admin_port_is_skipped() {
    // By us, or by whoever else runs here; then it is taken just as well.
    let _taken = TcpListener::bind("127.0.0.1:9180");
    let workdir = Workdir::new();
    let command = workdir.command(&arguments(&[]));
    let serve = workdir.start(command, &[("HEYGEN_WEBHOOK_SECRET", SECRET)]);
    let warning = serve.log_line("no admin listener");
    assert!(
        warning.contains("WARN")
            && warning.contains("127.0.0.1:9180")
            && warning.contains("--admin"),
        "{warning}"
    );
    assert_eq!(post(&serve, event("order.new", "a"))["status"], "accepted");
}

#[test]
fn occupied_explicit_admin_port_stops_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("its address").to_string();
    let workdir = Workdir::new();
    let ended = workdir.run(&arguments(&["--admin", &address]));
    assert_eq!(ended.status, 1, "{}", ended.stderr);
    let expected = format!("cannot listen on {address} for --admin");
    ended.says(&expected);
    ended.says("in use");
}
