//! What streams cannot do, and what is no inbox on streams: said, with what to do instead.

use xtask_nats::{Options, Program};

use super::World;
use crate::support::Place;

#[track_caller]
fn check(place: &Place, arguments: &[&str], status: i32, expected: &str) {
    let ended = place.run_with(arguments, b"", &[("HEYGEN_API_KEY", "key")]);
    assert_eq!(ended.status, status, "{arguments:?}: {}", ended.stderr);
    assert!(
        ended.stderr.contains(expected),
        "{arguments:?}: {}",
        ended.stderr
    );
    assert_eq!(ended.stdout, "", "{arguments:?}");
}

#[test]
fn what_streams_cannot_do_says_what_does_it() {
    let world = World::new();
    world.receive(&[]);
    let place = &world.place;
    check(place, &["inbox", "check"], 2, "nats stream report");
    check(
        place,
        &["inbox", "backup", "copy.db"],
        2,
        "nats stream backup",
    );
    check(place, &["inbox", "drift"], 2, "/metrics");
    check(place, &["serve", "--ordered"], 2, "has no order");
    check(place, &["work", "--ordered"], 2, "has no order");
    check(
        place,
        &["dev", "--inbox", &world.address("HEYGEN")],
        2,
        "leave out --inbox",
    );
    // One account holds one inbox of each prefix, and an inbox is asked for by its own.
    let other = world.address("OTHER");
    check(place, &["work", "--inbox", &other], 1, "--nats-subjects");
    check(
        place,
        &["inbox", "list", "--inbox", &other],
        1,
        "there is no stream OTHER",
    );
    check(
        place,
        &["inbox", "list", "--nats-subjects", "acme"],
        1,
        "--nats-subjects",
    );
}

#[test]
fn what_is_written_wrongly_is_told_before_anything_is_asked() {
    let place = Place::new();
    for (inbox, expected) in [
        (
            "nats://127.0.0.1:4222",
            "no stream: write nats://host:4222/STREAM",
        ),
        ("nats://127.0.0.1:4222/a.b", "letters, digits"),
        ("nats:/127.0.0.1:4222/HEYGEN", "nats://host:4222/STREAM"),
        ("http://127.0.0.1:4222/HEYGEN", "nats://host:4222/STREAM"),
    ] {
        check(&place, &["inbox", "list", "--inbox", inbox], 2, expected);
        check(&place, &["work", "--inbox", inbox], 2, expected);
    }
    check(&place, &["work"], 2, "--inbox nats://host:4222/STREAM");
    check(
        &place,
        &["work", "--inbox", "a.db"],
        2,
        "--inbox nats://host:4222/STREAM",
    );
    check(
        &place,
        &["serve", "--receive-only"],
        2,
        "needs an inbox on NATS",
    );
    let inbox = "nats://127.0.0.1:4222/HEYGEN";
    check(
        &place,
        &["work", "--inbox", inbox, "--nats-user", "ann"],
        2,
        "--nats-password-file",
    );
    check(
        &place,
        &["work", "--inbox", inbox, "--nats-subjects", "a b"],
        2,
        "nats-subjects `a b`",
    );
    check(
        &place,
        &["work", "--inbox", inbox, "--replicas", "0"],
        2,
        "replicas",
    );
    check(
        &place,
        &["work", "--inbox", inbox, "--ack-wait", "0.5"],
        2,
        "ack-wait",
    );
}

#[test]
fn servers_that_are_away_or_have_no_jetstream_are_told() {
    let place = Place::new();
    let nobody = "nats://127.0.0.1:1/HEYGEN";
    check(
        &place,
        &["inbox", "stats", "--inbox", nobody],
        1,
        "cannot connect to the inbox",
    );
    let doctor = [
        "doctor",
        "--inbox",
        nobody,
        "--base-url",
        "http://127.0.0.1:1",
    ];
    let told = place.run(&doctor).stdout;
    assert!(told.contains("check that the servers run"), "{told}");
    // A second block puts the first one aside.
    let world = World::on(Program::Current, &Options::new().config("jetstream: false"));
    check(&world.place, &["inbox", "stats"], 1, "JetStream");
}
