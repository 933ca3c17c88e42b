//! The account: key, registered endpoints, event types.

use heygen_testkit::sandbox::{Fault, Misbehaviour, Operation};
use serde_json::json;

use super::servers::closed_address;
use super::{HeyGen, KEY, examine};
use crate::support::{SECRET, Workdir};

#[test]
fn a_key_that_is_missing_wrong_or_not_heard() {
    let heygen = HeyGen::start();
    let workdir = Workdir::new();
    let base_url = ["--base-url", heygen.sandbox.url()];
    examine(&workdir, &base_url, &[])
        .problems(&[])
        .is("key", "skipped", "HEYGEN_API_KEY")
        .is("endpoints", "skipped", "there is no API key")
        .is("endpoints.v1", "skipped", "")
        .is("events.known", "skipped", "");
    examine(&workdir, &base_url, &[("HEYGEN_API_KEY", "wrong-key")])
        .problems(&["key"])
        .is("key", "problem", "does not accept the key");
    let missing = ["--api-key-file", "missing"];
    examine(&workdir, &[&base_url[..], &missing].concat(), &[])
        .problems(&["key"])
        .is("key", "problem", "cannot read API key file missing");
    let closed = format!("http://{}", closed_address());
    examine(
        &workdir,
        &["--base-url", &closed],
        &[("HEYGEN_API_KEY", KEY)],
    )
    .problems(&["key"])
    .is("key", "problem", "HeyGen: ");
}

#[test]
fn doctor_reports_endpoints_that_cannot_work() {
    let heygen = HeyGen::start();
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    let url = ["--public-url", serve.url.as_str()];

    let seen = heygen.examine(&workdir, &url, Some(SECRET));
    seen.problems(&["endpoints", "endpoints.registered"]);
    heygen
        .examine(&workdir, &[], Some(SECRET))
        .problems(&[])
        .is("endpoints", "warn", "no endpoint is registered");

    heygen.register("https://elsewhere.example/hook?token=hidden");
    let seen = heygen.examine(&workdir, &url, Some(SECRET));
    seen.problems(&["endpoints.registered"])
        .is("endpoints.foreign", "ok", "elsewhere.example");
    assert!(!seen.ended.stdout.contains("hidden"));

    let (first, secret) = heygen.register(&serve.url);
    let (second, _) = heygen.register(&serve.url);
    let secrets = format!("{SECRET},{secret}");
    let seen = heygen.examine(&workdir, &url, Some(&secrets));
    seen.is("endpoints.duplicates", "warn", &first)
        .is("endpoints.duplicates", "warn", &second)
        .is("endpoints.registered", "ok", "")
        .is(
            "secrets",
            "problem",
            "signs with a secret that is not known here",
        );

    heygen.sandbox.set_status(&first, "disabled");
    heygen
        .examine(&workdir, &url, Some(&secrets))
        .is("endpoints.disabled", "problem", &first);
    heygen.sandbox.set_status(&first, "resting");
    heygen
        .examine(&workdir, &url, Some(&secrets))
        .is("endpoints.disabled", "warn", "resting");
}

#[test]
fn v1_may_be_gone() {
    let heygen = HeyGen::start();
    let workdir = Workdir::new();
    heygen.without_v1();
    heygen
        .examine(&workdir, &[], None)
        .problems(&[])
        .is("endpoints.v1", "ok", "not found (HTTP 404)")
        .is("endpoints.v1", "ok", "announced its end for 2026-10-31");
}

#[test]
fn doctor_reports_unknown_and_unsubscribed_events() {
    use heygen_api::{Client, Credentials, v3::NewEndpoint};
    let heygen = HeyGen::start();
    let workdir = Workdir::new();
    let client = Client::builder(Credentials::api_key(KEY)).base_url(heygen.sandbox.url());
    let client = client.build().expect("a client");
    let new = NewEndpoint::new("https://a.example/").with_event("avatar_video.success");
    heygen
        .runtime
        .block_on(client.v3().create_endpoint(&new))
        .expect("created");
    let catalogue = json!({"data": [
        {"event_type": "avatar_video.fail"},
        {"event_type": "podcast.success"},
    ], "has_more": false});
    let fault = Fault::refuse(200)
        .on(Operation::EventTypes)
        .body(catalogue.to_string());
    heygen
        .sandbox
        .misbehave(Misbehaviour::default().fault(fault));
    heygen
        .examine(&workdir, &[], Some(SECRET))
        .is("events.known", "warn", "podcast.success")
        .is("events.offered", "warn", "avatar_video.success")
        .is("events.subscribed", "problem", "nothing will arrive");
    heygen
        .examine(&workdir, &[], Some(SECRET))
        .problems(&[])
        .is("events.subscribed", "ok", "to 1 of 30 events");
}
