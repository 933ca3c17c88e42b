//! The receiver on this machine, and what waits in its inbox.

use super::servers::{closed_address, small_server};
use super::{HeyGen, examine};
use crate::endpoint;
use crate::support::{Place, SECRET, eventually};

#[test]
fn a_receiver_that_was_stopped_is_missed() {
    let heygen = HeyGen::start();
    let place = Place::new();
    let address = closed_address();
    place.file("heygen-webhooks.toml", format!("listen = \"{address}\"\n"));
    heygen
        .examine(&place, &[], Some(SECRET))
        .problems(&["receiver"])
        .is(
            "receiver",
            "problem",
            &format!("nothing listens at {address}"),
        )
        .is("receiver", "problem", "start `serve`")
        .is("receiver.admin", "skipped", "no receiver");
    // By the flag and the variable too.
    place.file("heygen-webhooks.toml", "");
    let address = address.to_string();
    heygen
        .examine(&place, &["--listen", &address], Some(SECRET))
        .problems(&["receiver"]);
    examine(&place, &[], &[("HEYGEN_WEBHOOKS_LISTEN", &address)]).is(
        "receiver",
        "problem",
        "nothing listens",
    );
}

#[test]
fn the_receiver_of_the_configuration_is_found() {
    let heygen = HeyGen::start();
    let place = Place::new();
    let serve = place.serve_logging(&["--path", "/from-flag"]);
    let admin = serve.log_line(r#""url":"#);
    let admin: serde_json::Value = serde_json::from_str(&admin).expect("JSON");
    let address = admin["url"].as_str().expect("a URL").replace("http://", "");
    let address = address.split('/').next().expect("an address").to_owned();
    let admin = serve.admin().replace("http://", "");
    let everywhere = address.replace("127.0.0.1", "0.0.0.0");
    place.file(
        "heygen-webhooks.toml",
        format!("listen = \"{everywhere}\"\npath = \"/from-flag\"\nadmin = \"{admin}\"\n"),
    );
    heygen
        .examine(&place, &[], Some(SECRET))
        .problems(&[])
        .is("receiver", "ok", &format!("http://{address}/from-flag"))
        .is("receiver.admin", "ok", "/readyz");
    // `trigger` finds it there as well.
    place.run(&["trigger", "batch.finished"]).ok();
    let other = [
        ("HEYGEN_WEBHOOK_SECRET", SECRET),
        ("HEYGEN_WEBHOOKS_PATH", "/elsewhere"),
    ];
    let missed = place.run_with(&["trigger", "batch.finished"], b"", &other);
    assert_eq!(missed.status, 1);
    assert!(missed.stdout.contains("404"), "{}", missed.stdout);
}

#[test]
fn something_else_at_the_address_is_told() {
    let heygen = HeyGen::start();
    let place = Place::new();
    let other = small_server(|_| Some("405 Method Not Allowed"));
    let address = other.replace("http://", "").replace("/hook", "");
    heygen
        .examine(&place, &["--listen", &address], Some(SECRET))
        .problems(&["receiver"])
        .is("receiver", "problem", "no receiver answers");
}

#[test]
fn a_backlog_that_fails_is_told_with_its_error() {
    let heygen = HeyGen::start();
    let place = Place::new();
    let application = endpoint::start(|_| 401);
    let serve = place.serve(&["--forward", &application, "--retry-initial-delay", "3600"]);
    serve
        .trigger(&place, &["avatar_video.fail", "--count", "2"])
        .ok();
    eventually(|| {
        let listed = place.run(&["inbox", "list", "--json"]).ok().json();
        let listed = listed.as_array().expect("a list");
        listed.len() == 2
            && listed
                .iter()
                .all(|one| one["attempts"] == 1 && one["state"] == "pending")
    });
    heygen
        .examine(
            &place,
            &["--public-url", &serve.url, "--no-sample"],
            Some(SECRET),
        )
        .is("inbox.backlog", "warn", "2 pending")
        .is("inbox.backlog", "warn", "the last attempt failed")
        .is("inbox.backlog", "warn", "401");
}
