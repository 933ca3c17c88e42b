//! Logging in: the permissions of the example suffice, and no secret is printed.

use std::fs;
use std::path::Path;

use xtask_nats::{Options, Program};

use super::{World, counts};
use crate::http::post;
use crate::promises::event;
use crate::support::eventually;

const PASSWORD: &str = "secret-of-the-tests";

/// The accounts of `deploy/`, with users who have passwords instead of keys that nobody has.
fn accounts() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/nats/accounts.conf");
    let text = fs::read_to_string(file).expect("the example");
    let mut words = Vec::new();
    let mut users = 0;
    for line in text.lines() {
        match line.split_once("{ nkey: ") {
            Some((_, rest)) => {
                users += 1;
                let (_, rest) = rest.split_once(',').expect("permissions");
                words.push(format!(
                    "{{ user: user{users}, password: \"{PASSWORD}\",{rest}"
                ));
            }
            None => words.push(line.to_owned()),
        }
    }
    assert_eq!(users, 2, "{text}");
    words.join("\n")
}

#[test]
fn the_permissions_of_the_example_are_enough_and_the_password_is_nowhere() {
    let world = World::on(Program::Current, &Options::new().config(&accounts()));
    world.configure("nats-user = \"user1\"\nnats-password-file = \"password\"\n");
    world
        .workdir
        .file("password", format!("\u{feff}{PASSWORD}\r\n"));
    let serve = world
        .workdir
        .serve_logging(&["--receive-only", "--keep", "90d", "--log", "debug"]);
    let url = serve.log_line(r#""url":"#);
    let url: serde_json::Value = serde_json::from_str(&url).expect("JSON");
    let mut serve = serve;
    serve.url = url["url"].as_str().expect("an address").to_owned();
    let options = [
        "--retry-max-attempts",
        "1",
        "--on",
        "*.fail=exec:false",
        "--json",
    ];
    let worker = world.work(&options);
    post(&serve, event("order.new", "v1"));
    post(&serve, event("order.fail", "v2"));
    eventually(|| counts(&world.workdir, &[]) == [0, 0, 1, 1]);
    assert_eq!(world.workdir.list().len(), 2);
    world
        .run(&["inbox", "replay", "--state", "dead_lettered"])
        .ok();
    worker.log_line(r#""attempt":1"#);
    worker.log_line(r#""attempt":2"#);
    eventually(|| counts(&world.workdir, &[]) == [0, 0, 1, 1]);
    world
        .run(&["inbox", "prune", "--older-than", "0s", "--yes"])
        .ok();
    assert_eq!(counts(&world.workdir, &[]), [0, 0, 0, 0]);

    let mut output = String::new();
    for process in [serve, worker] {
        let id = process.process_id();
        if let Ok(arguments) = fs::read(format!("/proc/{id}/cmdline")) {
            output.push_str(&String::from_utf8_lossy(&arguments));
        }
        process.signal("TERM");
        let (status, lines, log) = process.wait();
        assert_eq!(status, 0, "{log:?}");
        output.push_str(&lines.join("\n"));
        output.push_str(&log.join("\n"));
    }
    assert!(!output.contains(PASSWORD), "{output}");
    let log = world.server.log().expect("the server's log");
    let violations: Vec<_> = log
        .lines()
        .filter(|line| line.contains("Violation"))
        .collect();
    assert!(violations.is_empty(), "{violations:?}");
}

#[test]
fn a_login_that_fails_names_the_options() {
    let world = World::on(Program::Current, &Options::new().config(&accounts()));
    world.workdir.file("password", "another");
    let login = ["--nats-user", "user1", "--nats-password-file", "password"];
    for login in [&login[..], &[]] {
        for command in [&["inbox", "list"][..], &["work", "--admin", "off"]] {
            let ended = world.run(&[command, login].concat());
            assert_eq!(ended.status, 1, "{}", ended.stderr);
            for expected in ["refuse the login", "--nats-creds"] {
                ended.says(expected);
            }
            assert!(!ended.stderr.contains("another"), "{}", ended.stderr);
        }
    }
    let url = world
        .address("HEYGEN")
        .replace("nats://", &format!("nats://user1:{PASSWORD}x@"));
    // Where every list of processes shows it, a password is refused, right or wrong.
    let ended = world.run(&["inbox", "list", "--inbox", &url]);
    assert_eq!(ended.status, 2, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("--nats-password-file") && !ended.stderr.contains(PASSWORD),
        "{}",
        ended.stderr
    );
    let environment = [("HEYGEN_WEBHOOKS_INBOX", url.as_str())];
    let ended = world
        .workdir
        .run_with(&["inbox", "list"], b"", &environment);
    assert_eq!(ended.status, 1, "{}", ended.stderr);
    assert!(!ended.stderr.contains(PASSWORD), "{}", ended.stderr);
}
