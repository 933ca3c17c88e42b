//! `drill`: our own `serve` passes, and an endpoint of twenty lines fails where it should.

use std::collections::BTreeMap;

use heygen_testkit::drill::Check;
use serde_json::Value;

use crate::endpoint::{self, naive};
use crate::support::{Ended, SECRET, Workdir, words};

/// The verdict of every check, by its name.
fn verdicts(ended: &Ended) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let document = ended.json();
    let checks = document["checks"].as_array().expect("a list").clone();
    checks
        .iter()
        .map(|check| (text(&check["id"]), text(&check["verdict"])))
        .collect()
}

fn with_verdict(ended: &Ended, wanted: &str) -> Vec<String> {
    let verdicts = verdicts(ended);
    let mut ids: Vec<String> = verdicts
        .into_iter()
        .filter(|(_, verdict)| verdict == wanted)
        .map(|(id, _)| id)
        .collect();
    ids.sort();
    ids
}

#[test]
fn serve_passes() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    let drilled = workdir.run(&["drill", &serve.url, "--json"]);
    assert_eq!(drilled.status, 0, "{}{}", drilled.stdout, drilled.stderr);
    let document = drilled.json();
    assert_eq!(document["passed"], true);
    assert_eq!(
        document["checks"].as_array().map(Vec::len),
        Some(Check::ALL.len())
    );
    assert_eq!(document["counts"]["fail"], 0);
    assert_eq!(document["counts"]["skip"], 0);
    assert_eq!(document["counts"]["note"], 2);
    assert!(document["requests"].as_u64() >= Some(70), "{document}");
    assert!(document["slowest_milliseconds"].is_number(), "{document}");
    for check in document["checks"].as_array().expect("a list") {
        for key in ["id", "title", "verdict", "seen", "cost", "fix"] {
            assert!(check[key].is_string(), "{key}: {check}");
        }
        assert_eq!(check["mistakes"], serde_json::json!([]), "{check}");
        assert!(check["milliseconds"].is_number(), "{check}");
    }
    assert!(!drilled.stdout.contains(SECRET));
}

#[test]
fn an_endpoint_of_twenty_lines_fails_where_it_should() {
    let workdir = Workdir::new();
    let drilled = workdir.run(&["drill", &endpoint::start(naive), "--json"]);
    assert_eq!(drilled.status, 1, "{}", drilled.stderr);
    assert_eq!(
        with_verdict(&drilled, "fail"),
        [
            "event-key",
            "missing-media",
            "odd-data",
            "probe",
            "tampered",
            "unknown-event",
            "unsigned",
            "wrong-secret",
        ]
    );
    assert_eq!(
        with_verdict(&drilled, "skip"),
        ["burst-probe", "malformed-signature"]
    );
    assert_eq!(drilled.json()["passed"], false);
}

#[test]
fn drill_text_shows_the_cost_of_failures_and_their_fix() {
    let workdir = Workdir::new();
    let drilled = workdir.run(&["drill", &endpoint::start(naive), "--only", "probe,valid"]);
    assert_eq!(drilled.status, 1);
    let text = &drilled.stdout;
    for expected in [
        "FAIL  probe",
        "405",
        "      costs: HeyGen's v1 does not register the endpoint, and v3 may not either\n",
        "      fix: answer OPTIONS on this path with 204",
        "pass  valid",
        "1 passed, 1 failed; 2 requests, slowest delivery ",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains('\x1b'), "{text:?}");
}

#[test]
fn junit_is_well_formed() {
    let workdir = Workdir::new();
    let url = format!("{}?a=1&token=<x>", endpoint::start(naive));
    let drilled = workdir.run(&["drill", &url, "--burst", "0", "--junit", "drill.xml"]);
    assert_eq!(drilled.status, 1, "{}", drilled.stderr);
    let xml = std::fs::read_to_string(workdir.path().join("drill.xml")).expect("a file");
    let elements = elements(&xml);
    let count = |name: &str| elements.iter().filter(|element| *element == name).count();
    assert_eq!(count("testsuite"), 1, "{xml}");
    assert_eq!(count("testcase"), Check::ALL.len(), "{xml}");
    assert_eq!(count("failure"), 8, "{xml}");
    assert_eq!(count("skipped"), 3, "{xml}");
    assert!(
        xml.contains("skipped=\"3\" errors=\"0\" failures=\"8\""),
        "{xml}"
    );
    assert!(xml.contains("; fix: answer 2xx to"), "{xml}");
    assert!(!xml.contains("token"), "{xml}");
}

/// The names of all elements of a document, which has to be well-formed: every element ends where it should, and
/// nothing but markup looks like it.
fn elements(xml: &str) -> Vec<String> {
    let body = xml
        .strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>")
        .expect("a declaration");
    assert!(!body.chars().any(|c| c.is_control() && c != '\n'), "{xml}");
    let mut names = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let mut pieces = body.split('<');
    assert_eq!(pieces.next().map(str::trim), Some(""), "{xml}");
    for piece in pieces {
        let (tag, text) = piece.split_once('>').expect("a tag ends");
        assert!(!text.contains('>'), "{piece}");
        let entities = piece.split('&').skip(1);
        for entity in entities {
            let (name, _) = entity.split_once(';').expect("an entity ends");
            assert!(
                ["amp", "lt", "gt", "quot", "apos"].contains(&name),
                "{name}"
            );
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "{xml}");
            continue;
        }
        let name = tag
            .split([' ', '/'])
            .next()
            .expect("an element has a name")
            .to_owned();
        if !tag.ends_with('/') {
            open.push(name.clone());
        }
        names.push(name);
    }
    assert!(open.is_empty(), "{open:?}");
    names
}

#[test]
fn drill_with_a_wrong_secret_fails_once_and_skips_the_rest() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    let secret = workdir.file("secret", "whsec_of_somebody_else");
    let secret = secret.to_str().expect("UTF-8");
    let drilled = workdir.run_with(
        &["drill", &serve.url, "--secret-file", secret, "--json"],
        b"",
        &[],
    );
    assert_eq!(drilled.status, 1, "{}", drilled.stderr);
    assert_eq!(with_verdict(&drilled, "fail"), ["valid"]);
    assert_eq!(with_verdict(&drilled, "pass"), ["probe"]);
    let drilled = workdir.run(&["drill", &endpoint::start(naive), "--burst", "0"]);
    drilled.prints("skip  burst, burst-probe: the burst is 0\n");
}

#[test]
fn drill_names_the_mistake_of_an_endpoint() {
    let workdir = Workdir::new();
    let github = |request: &endpoint::Request| {
        let value = request
            .headers
            .iter()
            .find(|(name, _)| name == "x-heygen-signature");
        let is_github = value.is_some_and(|(_, value)| value.starts_with("sha256="));
        if is_github || request.method == "OPTIONS" {
            200
        } else {
            401
        }
    };
    let url = endpoint::start(github);
    let arguments = ["drill", &url, "--only", "valid"];
    let drilled = workdir.run(&arguments);
    assert_eq!(drilled.status, 1);
    for expected in [
        "it accepts the signature in the header X-HeyGen-Signature, and the signature after sha256=\n",
        "fix: read the header Signature; expect nothing before the digits",
    ] {
        drilled.prints(expected);
    }
    let drilled = workdir.run(&[&arguments[..], &["--json"]].concat());
    assert_eq!(
        drilled.json()["checks"][0]["mistakes"],
        serde_json::json!(["x-heygen-signature-header", "sha256-prefix"])
    );
}

#[test]
fn drill_without_a_secret_runs_the_checks_that_need_none() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    let drilled = workdir.run_with(
        &["drill", &serve.url, "--without-secret", "--json"],
        b"",
        &[],
    );
    assert_eq!(drilled.status, 0, "{}{}", drilled.stdout, drilled.stderr);
    assert_eq!(
        with_verdict(&drilled, "pass"),
        ["malformed-signature", "probe", "unsigned", "wrong-secret"]
    );
    let nothing_there = endpoint::start(|_| 404);
    let drilled = workdir.run_with(
        &["drill", &nothing_there, "--without-secret", "--json"],
        b"",
        &[],
    );
    assert_eq!(drilled.status, 1);
    assert_eq!(with_verdict(&drilled, "fail"), ["probe"]);
}

#[test]
fn a_redirect_is_not_followed() {
    let workdir = Workdir::new();
    let drilled = workdir.run(&["drill", &endpoint::start(|_| 308), "--json"]);
    assert_eq!(drilled.status, 1);
    assert_eq!(with_verdict(&drilled, "fail"), ["probe", "valid"]);
}

#[test]
fn mistakes_are_told() {
    let workdir = Workdir::new();
    let check = |ended: &Ended, status: i32, message: &str| {
        let output = format!("{}{}", ended.stdout, ended.stderr);
        assert_eq!(ended.status, status, "{message}: {output}");
        assert!(output.contains(message), "{message}: {output}");
    };
    let url = "http://127.0.0.1:1/";
    let without_secret = workdir.run_with(&["drill", url], b"", &[]);
    check(&without_secret, 2, "--without-secret");
    for (arguments, status, message) in [
        ("nonsense", 2, "is not a URL"),
        ("ftp://a.example", 2, "neither http nor https"),
        ("URL --only nothing", 2, "missing-media"),
        ("URL --only probe --skip probe", 2, "no check"),
        ("URL", 1, "cannot be reached"),
        (
            "URL --only probe --junit no/a.xml",
            1,
            "cannot write no/a.xml",
        ),
        ("URL --junit -", 2, "name a file"),
    ] {
        let line = format!("drill {}", arguments.replace("URL", url));
        check(&workdir.run(&words(&line)), status, message);
    }
}
