//! The receiver on this machine, and what waits in its inbox.

use super::servers::{closed_address, small_server};
use super::{HeyGen, examine};
use crate::endpoint;
use crate::support::{SECRET, Workdir, eventually};

#[test]
fn doctor_reports_a_stopped_receiver() {
    let heygen = HeyGen::start();
    let workdir = Workdir::new();
    let address = closed_address();
    workdir.file("heygen-webhooks.toml", format!("listen = \"{address}\"\n"));
    heygen
        .examine(&workdir, &[], Some(SECRET))
        .problems(&["receiver"])
        .is(
            "receiver",
            "problem",
            &format!("nothing listens at {address}"),
        )
        .is("receiver", "problem", "start `serve`")
        .is("receiver.admin", "skipped", "no receiver");
    // By the flag and the variable too.
    workdir.file("heygen-webhooks.toml", "");
    let address = address.to_string();
    heygen
        .examine(&workdir, &["--listen", &address], Some(SECRET))
        .problems(&["receiver"]);
    examine(&workdir, &[], &[("HEYGEN_WEBHOOKS_LISTEN", &address)]).is(
        "receiver",
        "problem",
        "nothing listens",
    );
}

#[test]
fn the_receiver_of_the_configuration_is_found() {
    let heygen = HeyGen::start();
    let workdir = Workdir::new();
    let serve = workdir.serve_logging(&["--path", "/from-flag"]);
    let admin = serve.log_line(r#""url":"#);
    let admin: serde_json::Value = serde_json::from_str(&admin).expect("JSON");
    let address = admin["url"].as_str().expect("a URL").replace("http://", "");
    let address = address.split('/').next().expect("an address").to_owned();
    let admin = serve.admin().replace("http://", "");
    let everywhere = address.replace("127.0.0.1", "0.0.0.0");
    workdir.file(
        "heygen-webhooks.toml",
        format!("listen = \"{everywhere}\"\npath = \"/from-flag\"\nadmin = \"{admin}\"\n"),
    );
    heygen
        .examine(&workdir, &[], Some(SECRET))
        .problems(&[])
        .is("receiver", "ok", &format!("http://{address}/from-flag"))
        .is("receiver.admin", "ok", "/readyz");
    // `trigger` finds it there as well.
    workdir.run(&["trigger", "batch.finished"]).ok();
    let other = [
        ("HEYGEN_WEBHOOK_SECRET", SECRET),
        ("HEYGEN_WEBHOOKS_PATH", "/elsewhere"),
    ];
    let missed = workdir.run_with(&["trigger", "batch.finished"], b"", &other);
    assert_eq!(missed.status, 1);
    missed.prints("404");
}

#[test]
fn another_program_is_not_taken_for_the_admin_listener() {
    let heygen = HeyGen::start();
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    let listen = serve.url.replace("http://", "");
    let listen = listen.split('/').next().expect("an address").to_owned();
    let other = small_server(|_| Some("200 OK"));
    let admin = other.replace("http://", "").replace("/hook", "");
    workdir.file(
        "heygen-webhooks.toml",
        format!("listen = \"{listen}\"\nadmin = \"{admin}\"\n"),
    );
    heygen.examine(&workdir, &[], Some(SECRET)).is(
        "receiver.admin",
        "warn",
        "another program answers",
    );
}

#[test]
fn doctor_reports_another_server_at_the_address() {
    let heygen = HeyGen::start();
    let workdir = Workdir::new();
    let other = small_server(|_| Some("405 Method Not Allowed"));
    let address = other.replace("http://", "").replace("/hook", "");
    heygen
        .examine(&workdir, &["--listen", &address], Some(SECRET))
        .problems(&["receiver"])
        .is("receiver", "problem", "no receiver answers");
}

#[test]
fn doctor_shows_the_error_of_a_failing_backlog() {
    let heygen = HeyGen::start();
    let workdir = Workdir::new();
    let application = endpoint::start(|_| 401);
    let serve = workdir.serve(&["--forward", &application, "--retry-initial-delay", "3600"]);
    serve
        .trigger(&workdir, &["avatar_video.fail", "--count", "2"])
        .ok();
    eventually(|| {
        let listed = workdir.list();
        listed.len() == 2
            && listed
                .iter()
                .all(|one| one["attempts"] == 1 && one["state"] == "pending")
    });
    heygen
        .examine(
            &workdir,
            &["--public-url", &serve.url, "--no-sample"],
            Some(SECRET),
        )
        .is("inbox.backlog", "warn", "2 pending")
        .is("inbox.backlog", "warn", "the last attempt failed")
        .is("inbox.backlog", "warn", "401");
}
