//! Errors of HeyGen's API, reported with advice.

use heygen_testkit::sandbox::{Fault, Operation};
use serde_json::json;

use super::{BOTH, Heygen, URL};

#[test]
fn wrong_api_key_is_reported_with_advice_and_not_printed() {
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
    for (workdir, command) in commands.iter().enumerate() {
        for api in BOTH {
            // The last two are of v3 alone.
            if api == "v1" && workdir > 4 {
                continue;
            }
            let ended = heygen.run_as("wrong-key", &[command, &["--api", api][..]].concat());
            ended.fails_with(1, &["HTTP 401", "check HEYGEN_API_KEY"]);
            assert!(!ended.stderr.contains("wrong-key"), "{}", ended.stderr);
        }
    }
    heygen
        .run_as("", &["endpoints", "list"])
        .fails_with(2, &["no API key", "HEYGEN_API_KEY"]);
}

#[test]
fn api_errors_are_reported_with_advice() {
    let heygen = Heygen::start();
    let check = |fault: Fault, arguments: &[&str], parts: &[&str]| {
        heygen.refuse(fault);
        heygen
            .run(&[&["endpoints", "list"], arguments].concat())
            .fails_with(1, parts);
    };
    check(
        Fault::refuse(404),
        &["--api", "v1"],
        &["announced the end of v1 for 2026-10-31", "use v3"],
    );
    check(Fault::refuse(404), &[], &["check --base-url"]);
    check(
        Fault::refuse(403),
        &[],
        &["HTTP 403", "is allowed to do this"],
    );
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
            "retrying soon does not help",
        ],
    );

    let body = json!({"code": 400_542, "message": "Url of this webhook endpoint is invalid"});
    let fault = Fault::refuse(400).body(body.to_string());
    heygen.refuse(fault.on(Operation::V1Add));
    heygen
        .run(&["endpoints", "create", URL, "--api", "v1"])
        .fails_with(1, &["url (HTTP 400, 400542)", "answer to OPTIONS"]);
    heygen
        .run(&["endpoints", "create", "http://plain.example/"])
        .fails_with(1, &["url", "invalid_parameter", "public and https"]);
    heygen
        .run(&["endpoints", "create", URL, "--events", "video.completed"])
        .fails_with(1, &["events", "with `event-types`"]);
    assert!(heygen.sandbox.endpoints().is_empty());
    heygen.refuse(Fault::refuse(500).on(Operation::V1Add));
    heygen
        .run(&["endpoints", "create", URL, "--api", "v1"])
        .fails_with(1, &["HTTP 500", "may have been made anyway"]);
}

/// v1's own 404 says that the endpoint is gone; any other may be the end of v1.
#[test]
fn missing_v1_endpoint_is_not_reported_as_the_end_of_v1() {
    let heygen = Heygen::start();
    let gone = [
        "HTTP 404, 400131",
        "this endpoint no longer exists",
        "endpoints list --api v1",
    ];
    let update = ["endpoints", "update", "gone", "--url", URL, "--api", "v1"];
    let update = heygen.run(&[&update[..], &["--events", "all"]].concat());
    update.fails_with(1, &gone);
    assert!(!update.stderr.contains("2026-10-31"), "{}", update.stderr);

    // It is still listed, and somebody else deletes it before we do.
    let id = heygen.create().endpoint_id;
    let body = json!({"code": 400_131, "message": "Webhook endpoint not found"});
    let fault = Fault::refuse(404).body(body.to_string());
    heygen.refuse(fault.on(Operation::V1Delete));
    let delete = ["endpoints", "delete", &id, "--yes", "--api", "v1"];
    let deleted = heygen.run(&delete);
    deleted.fails_with(1, &gone);
    assert!(!deleted.stderr.contains("2026-10-31"), "{}", deleted.stderr);

    heygen.refuse(Fault::refuse(404).on(Operation::V1Delete));
    heygen
        .run(&delete)
        .fails_with(1, &["HTTP 404", "announced the end of v1 for 2026-10-31"]);

    // What a lost answer had done is done.
    heygen.refuse(Fault::cut_off().on(Operation::V1Delete));
    heygen.run(&delete).ok();
    heygen
        .run(&delete)
        .fails_with(1, &["lists no endpoint", "`endpoints list --api v1`"]);
}

/// The probe is documented for v1 alone.
#[test]
fn the_probe_of_v3_is_marked_as_assumed() {
    let heygen = Heygen::start();
    let help = heygen.run(&["endpoints", "create", "--help"]).ok().stdout;
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("v1 asks the address with OPTIONS"), "{help}");
    assert!(help.contains("v3 may do so too (assumed)"), "{help}");
    assert!(!help.contains("v3 only"), "{help}");
    assert!(help.contains("announced its end for 2026-10-31"), "{help}");
}
