//! What an inbox on NATS does not support, and wrong addresses: each error names the alternative.

use xtask_nats::{Options, Program};

use super::World;
use crate::support::Workdir;

#[track_caller]
fn check(workdir: &Workdir, arguments: &[&str], status: i32, expected: &str) {
    let ended = workdir.run_with(arguments, b"", &[("HEYGEN_API_KEY", "key")]);
    assert_eq!(ended.status, status, "{arguments:?}: {}", ended.stderr);
    ended.says(expected);
    assert_eq!(ended.stdout, "", "{arguments:?}");
}

#[test]
fn commands_unsupported_on_nats_name_the_alternative() {
    let world = World::new();
    world.receive(&[]);
    let workdir = &world.workdir;
    check(workdir, &["inbox", "check"], 2, "nats stream report");
    check(
        workdir,
        &["inbox", "backup", "copy.db"],
        2,
        "nats stream backup",
    );
    check(workdir, &["serve", "--ordered"], 2, "has no order");
    check(workdir, &["work", "--ordered"], 2, "has no order");
    check(
        workdir,
        &["dev", "--inbox", &world.address("HEYGEN")],
        2,
        "leave out --inbox",
    );
    // One account holds one inbox of each prefix, and an inbox is asked for by its own.
    let other = world.address("OTHER");
    check(workdir, &["work", "--inbox", &other], 1, "--nats-subjects");
    check(
        workdir,
        &["inbox", "list", "--inbox", &other],
        1,
        "there is no stream OTHER",
    );
    check(
        workdir,
        &["inbox", "list", "--nats-subjects", "acme"],
        1,
        "--nats-subjects",
    );
}

#[test]
fn wrong_arguments_are_rejected_before_any_request() {
    let workdir = Workdir::new();
    for (inbox, expected) in [
        (
            "nats://127.0.0.1:4222",
            "no stream: write nats://host:4222/STREAM",
        ),
        ("nats://127.0.0.1:4222/a.b", "letters, digits"),
        ("nats:/127.0.0.1:4222/HEYGEN", "nats://host:4222/STREAM"),
        ("http://127.0.0.1:4222/HEYGEN", "nats://host:4222/STREAM"),
    ] {
        check(&workdir, &["inbox", "list", "--inbox", inbox], 2, expected);
        check(&workdir, &["work", "--inbox", inbox], 2, expected);
    }
    check(&workdir, &["work"], 2, "--inbox nats://host:4222/STREAM");
    check(
        &workdir,
        &["work", "--inbox", "a.db"],
        2,
        "--inbox nats://host:4222/STREAM",
    );
    check(
        &workdir,
        &["serve", "--receive-only"],
        2,
        "needs an inbox on NATS",
    );
    let inbox = "nats://127.0.0.1:4222/HEYGEN";
    check(
        &workdir,
        &["work", "--inbox", inbox, "--nats-user", "ann"],
        2,
        "--nats-password-file",
    );
    check(
        &workdir,
        &["work", "--inbox", inbox, "--nats-subjects", "a b"],
        2,
        "nats-subjects `a b`",
    );
    check(
        &workdir,
        &["work", "--inbox", inbox, "--replicas", "0"],
        2,
        "replicas",
    );
    check(
        &workdir,
        &["work", "--inbox", inbox, "--ack-wait", "0.5"],
        2,
        "ack-wait",
    );
}

#[test]
fn unreachable_servers_and_missing_jetstream_are_reported() {
    let workdir = Workdir::new();
    let nobody = "nats://127.0.0.1:1/HEYGEN";
    check(
        &workdir,
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
    let output = workdir.run(&doctor).stdout;
    assert!(output.contains("check that the servers run"), "{output}");
    // A second block puts the first one aside.
    let world = World::on(Program::Current, &Options::new().config("jetstream: false"));
    check(&world.workdir, &["inbox", "stats"], 1, "JetStream");
}
