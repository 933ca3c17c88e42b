//! What HeyGen refuses, told with advice.

use heygen_testkit::sandbox::{Fault, Operation};
use serde_json::json;

use super::{BOTH, Heygen, URL};

#[test]
fn a_wrong_key_is_told_with_advice_and_not_repeated() {
    let heygen = Heygen::start();
    let commands: [&[&str]; 7] = [
        &["endpoints", "list"],
        &["endpoints", "create", URL],
        &["endpoints", "update", "x", "--url", URL],
        &["endpoints", "delete", "x", "--yes"],
        &["event-types"],
        &["endpoints", "rotate-secret", "x"],
        &["events"],
    ];
    for (place, command) in commands.iter().enumerate() {
        for api in BOTH {
            // The last two are of v3 alone.
            if api == "v1" && place > 4 {
                continue;
            }
            let ended = heygen.run_as("wrong-key", &[command, &["--api", api][..]].concat());
            ended.told(1, &["HTTP 401", "check HEYGEN_API_KEY"]);
            assert!(!ended.stderr.contains("wrong-key"), "{}", ended.stderr);
        }
    }
    heygen
        .run_as("", &["endpoints", "list"])
        .told(2, &["no API key", "HEYGEN_API_KEY"]);
}

#[test]
fn refusals_are_told_with_advice() {
    let heygen = Heygen::start();
    let check = |fault: Fault, arguments: &[&str], parts: &[&str]| {
        heygen.refuse(fault);
        heygen
            .run(&[&["endpoints", "list"], arguments].concat())
            .told(1, parts);
    };
    check(
        Fault::refuse(404),
        &["--api", "v1"],
        &["retired v1 on 2026-11-01", "v3"],
    );
    check(Fault::refuse(404), &[], &["check --base-url"]);
    check(Fault::refuse(403), &[], &["HTTP 403", "may do this"]);
    check(Fault::refuse(402), &[], &["HTTP 402", "credit"]);
    let limited = Fault::refuse(429).retry_after(0).times(3);
    check(limited, &[], &["HTTP 429", "try again in 1 s"]);
    let quota = json!({"error": {"code": "quota_exceeded", "message": "No\u{1b}[2J more."}});
    let quota = Fault::refuse(429).body(quota.to_string());
    check(
        quota,
        &[],
        &[
            "quota_exceeded",
            "No [2J more.",
            "waiting a little does not help",
        ],
    );

    heygen
        .run(&["endpoints", "create", "http://plain.example/"])
        .told(1, &["url", "invalid_parameter", "public and https"]);
    heygen
        .run(&["endpoints", "create", URL, "--events", "video.completed"])
        .told(1, &["events", "`event-types` lists the names"]);
    assert!(heygen.sandbox.endpoints().is_empty());
    heygen.refuse(Fault::refuse(500).on(Operation::V1Add));
    heygen
        .run(&["endpoints", "create", URL, "--api", "v1"])
        .told(1, &["HTTP 500", "may have been made all the same"]);
}
