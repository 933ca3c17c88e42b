//! Signed deliveries rejected for another reason than their signature: reported, kept, and accepted later.

use serde_json::{Value, json};

use super::{Answer, ask, event, get, post, sign};
use crate::support::{SECRET, Workdir, eventually, with_free_ports};

/// Names and values, in order.
type Headers<'a> = &'a [(&'a str, &'a str)];

fn send(url: &str, headers: Headers<'_>, body: &str) -> Answer {
    let signature = sign(body);
    let headers = [headers, &[("Signature", signature.as_str())]].concat();
    ask(url, "POST", &headers, body.as_bytes())
}

/// What was rejected, as soon as there are so many.
fn rejected(workdir: &Workdir, number: usize) -> Vec<Value> {
    let mut found = Vec::new();
    eventually(|| {
        let list = workdir
            .run(&["inbox", "rejected", "list", "--json", "--limit", "0"])
            .ok();
        found = list.json().as_array().expect("an array").clone();
        found.len() == number
    });
    found
}

#[test]
fn one_path_with_and_without_a_final_slash() {
    for path in ["/webhooks/heygen", "/hooks/", "/"] {
        let workdir = Workdir::new();
        let serve = workdir.serve(&["--path", path]);
        let base = serve.url.strip_suffix(path).expect("its address");
        let bare = path.trim_end_matches('/');
        // At the root there is no other spelling.
        let without_slash = if bare.is_empty() { "/" } else { bare };
        for (number, spelling) in [
            format!("{bare}/"),
            format!("{bare}/?a=b/"),
            format!("{without_slash}?a"),
            without_slash.to_owned(),
        ]
        .iter()
        .enumerate()
        {
            let url = format!("{base}{spelling}");
            for method in ["OPTIONS", "GET", "HEAD"] {
                assert_eq!(ask(&url, method, &[], b"").status, 204, "{method} {url}");
            }
            let body = event("order.new", &number.to_string());
            assert_eq!(send(&url, &[], &body).status, 200, "{url}");
        }
    }
}

#[test]
fn signed_request_is_recorded_whatever_it_is_rejected_for() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&["--max-body-bytes", "1000", "--body-timeout", "1"]);
    let base = serve
        .url
        .strip_suffix("/webhooks/heygen")
        .expect("its path");
    let secret_path = "/wrong/callbacks/Zm9vYmFyYmF6cXV4MTIzNDU2";
    let astray = format!("{base}{secret_path}");
    let cases: &[(&str, Headers<'_>, &str, u16, &str)] = &[
        (&astray, &[], "a", 404, "not-found"),
        (
            &serve.url,
            &[("Content-Encoding", "gzip")],
            "b",
            415,
            "encoded-body",
        ),
        (
            &serve.url,
            &[("X", "y"); 100],
            "c",
            431,
            "headers-too-large",
        ),
        (&serve.url, &[], &"d".repeat(1000), 413, "body-too-large"),
    ];
    for (url, headers, subject, status, reason) in cases {
        let answer = send(url, headers, &event("order.new", subject));
        assert_eq!(answer.status, *status, "{reason}");
        let line = serve.log_line("signed delivery rejected");
        let line: Value = serde_json::from_str(&line).expect("a log line is JSON");
        assert_eq!(line["reason"], *reason, "{line}");
        assert_eq!(line["served_path"], "/webhooks/heygen");
    }
    // One whose body does not come to its end.
    let signature = sign("{}");
    let late = ask_with_part_of_a_body(&serve.url, &signature);
    assert!(late.starts_with("HTTP/1.1 408"), "{late}");
    let line = serve.log_line("signed delivery rejected");
    assert!(line.contains(r#""reason":"body-too-slow""#), "{line}");
    // Strangers, who sign nothing, are not told of for a wrong path.
    assert_eq!(ask(&astray, "POST", &[], b"{}").status, 404);
    let list = rejected(&workdir, 5);
    let bodies: Vec<_> = list
        .iter()
        .map(|line| {
            (
                line["reason"].as_str().expect("a word"),
                line["body_bytes"].is_u64(),
            )
        })
        .collect();
    assert_eq!(
        bodies,
        [
            ("body-too-slow", false),
            ("body-too-large", false),
            ("headers-too-large", false),
            ("encoded-body", true),
            ("not-found", true),
        ]
    );
    for line in &list {
        let explanation = line["explanation"].as_str().expect("a sentence");
        assert!(!explanation.is_empty(), "{line}");
    }
    let again = workdir.json(&["inbox", "rejected", "reverify", "--json"]);
    assert_eq!(
        (&again["verified"], &again["new"]),
        (&json!(2), &json!(2)),
        "{again}"
    );
    assert_eq!(workdir.list().len(), 2);

    // A flood of them has a line now and then, and each reason its own.
    for number in 0..50 {
        send(&astray, &[], &event("order.new", &number.to_string()));
    }
    serve.signal("TERM");
    let (_, _, log) = serve.wait();
    let lines = log
        .iter()
        .filter(|line| line.contains("signed delivery rejected"));
    assert!(lines.count() < 20, "{log:#?}");
    let log = log.join("\n");
    assert!(!log.contains("Zm9v"), "a path may hold a token: {log}");
    for file in ["heygen-inbox.db.rejected", "heygen-inbox.db.rejected-wal"] {
        let bytes = std::fs::read(workdir.path().join(file)).unwrap_or_default();
        let held = bytes.windows(4).any(|bytes| bytes == b"Zm9v");
        assert!(!held, "a path may hold a token: {file}");
    }
}

/// A signed post that announces a longer body than it sends, and what it is answered.
fn ask_with_part_of_a_body(url: &str, signature: &str) -> String {
    use std::io::{Read as _, Write as _};
    let rest = url.strip_prefix("http://").expect("an address");
    let (address, path) = rest.split_once('/').expect("a path");
    let mut stream = std::net::TcpStream::connect(address).expect("a connection");
    let request = format!(
        "POST /{path} HTTP/1.1\r\nHost: x\r\nSignature: {signature}\r\nContent-Length: 10\r\n\r\n{{"
    );
    stream.write_all(request.as_bytes()).expect("it is read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn deliveries_before_a_secret_exists_are_recorded_as_rejected() {
    let workdir = Workdir::new();
    let serve = workdir.serve_with(&[], &[]);
    assert_eq!(send(&serve.url, &[], &event("order.new", "a")).status, 503);
    serve.log_line("there is no secret yet to verify it with");
    assert_eq!(rejected(&workdir, 1)[0]["reason"], "no-secret");
}

#[test]
fn charsets_are_no_compression() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    let encodings = [
        "UTF-8",
        "utf8",
        "us-ascii",
        "iso-8859-1",
        "windows-1252",
        "",
        "identity",
        "identity, utf-8",
    ];
    for (number, encoding) in encodings.iter().enumerate() {
        let body = event("order.new", &number.to_string());
        let answer = send(&serve.url, &[("Content-Encoding", encoding)], &body);
        assert_eq!(answer.status, 200, "{encoding}");
    }
    for encoding in [
        "gzip",
        "x-gzip",
        "deflate",
        "br",
        "compress",
        "zstd",
        "unheard-of",
    ] {
        let answer = send(
            &serve.url,
            &[("Content-Encoding", encoding)],
            &event("order.new", "z"),
        );
        assert_eq!(answer.status, 415, "{encoding}");
    }
    assert_eq!(workdir.list().len(), encodings.len());
}

#[test]
fn signed_garbage_does_not_displace_rejected_deliveries() {
    let workdir = Workdir::new();
    let serve = workdir.serve_with(&[], &[("HEYGEN_WEBHOOK_SECRET", "whsec_another")]);
    assert_eq!(send(&serve.url, &[], &event("order.new", "a")).status, 401);
    rejected(&workdir, 1);
    for number in 0..2500 {
        let signature = format!("{number:064x}");
        let answer = ask(&serve.url, "POST", &[("Signature", &signature)], b"{}");
        assert_eq!(answer.status, 401);
    }
    serve.signal("TERM");
    serve.wait();
    let again = workdir.json(&["inbox", "rejected", "reverify", "--json"]);
    assert_eq!(again["new"], 1, "{again}");
}

#[test]
fn no_patience_is_too_long_for_the_clock() {
    let most = u64::MAX.to_string();
    let workdir = Workdir::new();
    let serve = workdir.serve(&[
        "--keep-alive",
        &most,
        "--header-timeout",
        &most,
        "--body-timeout",
        &most,
        "--handler-timeout",
        "1e19",
        "--retry-initial-delay",
        "1e19",
        "--retry-max-delay",
        "1e19",
        "--exec",
        "true",
    ]);
    for number in 0..3 {
        post(&serve, event("order.new", &number.to_string()));
    }
    eventually(|| super::are_all(&workdir, "acknowledged"));
    serve.signal("TERM");
    let (status, _, log) = serve.wait();
    assert_eq!(status, 0);
    assert!(
        !log.iter().any(|line| line.contains("panicked")),
        "{log:#?}"
    );
}

#[test]
fn the_admin_listener_answers_under_its_own_names() {
    let workdir = Workdir::new();
    workdir.file("heygen-webhooks.toml", "admin-host = [\"from.file\"]\n");
    let status = |admin: &str, host: &str| {
        let address = admin.strip_prefix("http://").expect("an address");
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let mut stream = std::net::TcpStream::connect(address).expect("a connection");
        std::io::Write::write_all(&mut stream, request.as_bytes()).expect("it is read");
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).expect("an answer");
        answer.split(' ').nth(1).expect("a status").to_owned()
    };
    let secret = ("HEYGEN_WEBHOOK_SECRET", SECRET);
    let variable = (
        "HEYGEN_WEBHOOKS_ADMIN_HOST",
        "from.variable,also.from.variable",
    );
    for (arguments, environment, known) in [
        (&[][..], vec![secret], "from.file"),
        (&[], vec![secret, variable], "also.from.variable"),
        (
            &["--admin-host", "a", "--admin-host", "from.flag"],
            vec![secret, variable],
            "from.flag",
        ),
    ] {
        let arguments = with_free_ports(arguments);
        let serve = workdir.begin(workdir.command(&arguments), &environment);
        let admin = serve.admin();
        for (host, expected) in [
            (known, "200"),
            ("127.0.0.1:9180", "200"),
            ("localhost", "200"),
            ("attacker.example", "421"),
        ] {
            assert_eq!(status(&admin, host), expected, "{host} with {known}");
        }
        let text = get(&format!("{admin}/metrics"));
        assert!(
            text.head.contains("text/plain; version=0.0.4"),
            "{}",
            text.head
        );
        assert!(
            text.body
                .contains("# TYPE heygen_webhooks_rejected_total counter")
        );
        assert!(!text.body.contains("# EOF"));
        let accept = [(
            "Accept",
            "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
        )];
        let open = ask(&format!("{admin}/metrics"), "GET", &accept, b"");
        assert!(
            open.head.contains("application/openmetrics-text"),
            "{}",
            open.head
        );
        assert!(open.body.ends_with("# EOF\n"));
    }
}
