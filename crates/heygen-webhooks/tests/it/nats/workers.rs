//! Any number of workers: each delivery is with one of them until its handler acknowledges it.

use std::collections::BTreeSet;
use std::fs;

use xtask_nats::{Options, Program};

use super::{World, counts};
use crate::http::{get, post};
use crate::promises::{are_all, event, results, script, show};
use crate::support::{Serve, eventually};

/// A worker whose program is told its name.
fn worker(world: &World, name: &str, options: &[&str], text: &str) -> Serve {
    let program = script(&world.workdir, &format!("handle-{name}"), text);
    let program = program.to_str().expect("a path").to_owned();
    world.work(&[options, &["--exec", &program, name]].concat())
}

fn lines(world: &World, file: &str) -> Vec<String> {
    let text = fs::read_to_string(world.workdir.path().join(file)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn two_workers_dispatch_each_event_once() {
    let world = World::new();
    let serve = world.receive(&[]);
    // Each holds what it has until the other has something too.
    let text = r#"cat >/dev/null; touch "begun-$1"
        while ! { test -e begun-a && test -e begun-b; }; do sleep 0.02; done
        echo "$HEYGEN_SUBJECT_ID" >> "handled-$1""#;
    let options = ["--concurrency", "1"];
    let workers = ["a", "b"].map(|name| worker(&world, name, &options, text));
    for number in 0..30 {
        post(&serve, event("order.new", &format!("v{number}")));
    }
    eventually(|| counts(&world.workdir, &[]) == [0, 0, 30, 0]);
    for worker in workers {
        worker.signal("TERM");
        assert_eq!(worker.wait().0, 0);
    }
    let handled = ["handled-a", "handled-b"].map(|file| lines(&world, file));
    assert!(
        handled.iter().all(|handled| !handled.is_empty()),
        "{handled:?}"
    );
    let all: Vec<_> = handled.concat();
    assert_eq!(all.len(), 30, "{handled:?}");
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len(), 30);
}

#[test]
fn delivery_of_a_killed_worker_goes_to_another_but_a_slow_one_stays() {
    let world = World::new();
    let serve = world.receive(&["--ack-wait", "1"]);
    let text = r#"cat >/dev/null; echo "$HEYGEN_SUBJECT_ID $HEYGEN_ATTEMPT" >> "begun-$1"
        case "$HEYGEN_SUBJECT_ID" in
          long) sleep 2.5;;
          fatal) test "$1" = b || kill -KILL $PPID;;
        esac"#;
    let first = worker(&world, "a", &[], text);
    post(&serve, event("order.new", "long"));
    eventually(|| !lines(&world, "begun-a").is_empty());
    // There is another one to take it, and it stays where it is.
    let second = worker(&world, "b", &[], text);
    eventually(|| are_all(&world.workdir, "acknowledged"));
    assert_eq!(lines(&world, "begun-a"), ["long 1"]);
    assert_eq!(lines(&world, "begun-b"), Vec::<String>::new());

    second.signal("TERM");
    assert_eq!(second.wait().0, 0);
    post(&serve, event("order.new", "fatal"));
    assert_eq!(first.wait().0, -1, "killed");
    let _second = worker(&world, "b", &[], text);
    eventually(|| are_all(&world.workdir, "acknowledged"));
    assert_eq!(lines(&world, "begun-b"), ["fatal 2"]);
    let delivery = show(&world.workdir, &world.workdir.list()[0]);
    assert_eq!(results(&delivery), ["interrupted", "acknowledged"]);
}

#[test]
fn stopped_worker_finishes_its_claimed_deliveries() {
    let world = World::new();
    let serve = world.receive(&[]);
    let text = r#"cat >/dev/null; touch begun; while ! test -e go; do sleep 0.02; done; echo end >> ended"#;
    let worker = worker(&world, "a", &["--concurrency", "1"], text);
    post(&serve, event("order.new", "v1"));
    eventually(|| world.workdir.path().join("begun").exists());
    post(&serve, event("order.new", "v2"));
    worker.signal("TERM");
    worker.log_line("stopping");
    world.workdir.file("go", "");
    assert_eq!(worker.wait().0, 0);
    assert_eq!(lines(&world, "ended"), ["end"]);
    assert_eq!(counts(&world.workdir, &[]), [1, 0, 1, 0]);
    // Nothing waits for an ack wait: the other one is there for the next.
    let next = world.work(&["--json"]);
    assert!(next.line().contains("v2"));
}

#[test]
fn failed_delivery_is_retried_dead_lettered_and_replayed() {
    let world = World::new();
    let serve = world.receive(&[]);
    let program = script(
        &world.workdir,
        "refuse",
        "cat >/dev/null; echo no >&2; exit 1",
    );
    let rule = format!("*.fail=exec:{}", program.display());
    let options = [
        "--retry-max-attempts",
        "3",
        "--retry-initial-delay",
        "0.05",
        "--json",
        "--on",
        &rule,
    ];
    let worker = world.work(&options);
    post(&serve, event("order.fail", "v1"));
    post(&serve, event("order.new", "v2"));
    assert!(worker.line().contains("v2"));
    worker.log_line("attempt failed, retry");
    let line = worker.log_line("dead-lettered");
    assert!(line.contains("inbox replay"), "{line}");
    eventually(|| counts(&world.workdir, &[]) == [0, 0, 1, 1]);
    worker.signal("TERM");
    assert_eq!(worker.wait().0, 0);

    let dead = ["inbox", "list", "--state", "dead_lettered", "--json"];
    let dead = world.json(&dead);
    assert_eq!(dead[0]["subject_id"], "v1");
    assert_eq!(dead[0]["attempts"], 3);
    let dry = ["inbox", "replay", "--state", "dead_lettered", "--dry-run"];
    assert!(world.run(&dry).ok().stdout.contains("nothing was changed"));
    assert_eq!(counts(&world.workdir, &[]), [0, 0, 1, 1]);
    world
        .run(&["inbox", "replay", "--state", "dead_lettered"])
        .ok();
    let worker = world.work(&["--json"]);
    let line = worker.line();
    assert!(
        line.contains("v1") && line.contains(r#""attempt":4"#),
        "{line}"
    );
    eventually(|| counts(&world.workdir, &[]) == [0, 0, 2, 0]);
    let delivery = show(&world.workdir, &dead[0]);
    assert_eq!(
        results(&delivery),
        ["retry", "retry", "dead_lettered", "acknowledged"]
    );
}

/// Its inbox commits and answers, so that nothing but the claims shows it.
#[test]
fn worker_that_cannot_claim_is_not_ready() {
    let world = World::on(
        Program::Current,
        &Options::new().config(
            "authorization { users: [ { user: all, password: none, permissions: { publish: {\n\
             deny: \"$JS.API.CONSUMER.MSG.NEXT.HEYGEN_AGAIN.>\" } } } ] }\n\
             no_auth_user: all",
        ),
    );
    let serve = world.receive(&[]);
    let mut command = world.workdir.command(&["work", "--log-format", "json"]);
    command.args(["--admin", "127.0.0.1:0"]);
    let worker = world.workdir.begin(command, &[]);
    let admin = worker.admin();
    post(&serve, event("order.new", "a"));
    let readiness = || get(&format!("{admin}/readyz"));
    eventually(|| readiness().status == 503);
    let answer = readiness().body;
    assert!(
        answer.contains(r#""inbox":"ok","dispatch":"cannot claim deliveries""#),
        "{answer}"
    );
    let metrics = get(&format!("{admin}/metrics")).body;
    assert!(metrics.contains("heygen_webhooks_dispatch_stalled 1\n"));
    assert_eq!(counts(&world.workdir, &[]), [1, 0, 0, 0]);
}
