//! `--require-sync`: refuses servers that may lose acknowledged deliveries.

use xtask_nats::{Cluster, Options, Program};

use super::World;
use crate::http::post;
use crate::promises::event;
use crate::support::Workdir;

/// Neither of them starts, and this is why.
#[track_caller]
fn check_refuses(world: &World, arguments: &[&str], expected: &[&str]) {
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["work"]] {
        let all = [command, &["--admin", "off", "--require-sync"], arguments].concat();
        let ended = world.run(&all);
        assert_eq!(
            (ended.status, ended.stdout.as_str()),
            (1, ""),
            "{}",
            ended.stderr
        );
        for expected in expected {
            ended.says(expected);
        }
    }
}

#[test]
fn require_sync_rejects_servers_without_sync_interval() {
    let world = World::on(Program::Debian, &Options::new());
    let monitor = world.server.monitor_url();
    let expected = ["2.9.10", "2.10.0 and later", "docs/scale-out.md"];
    check_refuses(&world, &["--nats-monitor", &monitor], &expected);
    // Without being asked for more it works, and says what it thinks of it.
    let serve = world
        .workdir
        .serve_logging(&["--receive-only", "--nats-monitor", &monitor]);
    serve.log_line("2.9.10");
    serve.log_line("listening");
}

#[test]
fn require_sync_rejects_unknown_and_insufficient_settings() {
    let world = World::new();
    check_refuses(&world, &[], &["--nats-monitor"]);
    let monitor = world.server.monitor_url();
    check_refuses(
        &world,
        &["--nats-monitor", &monitor],
        &["on one server only"],
    );
    let late = World::on(Program::Current, &Options::new().sync_interval("2m"));
    let monitor = late.server.monitor_url();
    check_refuses(
        &late,
        &["--nats-monitor", &monitor],
        &["sync_interval: always"],
    );
    // The scheme may be left out, and a port where nobody listens is no proof.
    let monitor = monitor.replace("http://", "");
    check_refuses(
        &late,
        &["--nats-monitor", &monitor],
        &["sync_interval: always"],
    );
    check_refuses(&late, &["--nats-monitor", "127.0.0.1:1"], &["cannot reach"]);
}

#[test]
fn three_servers_that_write_first_are_enough() {
    let cluster = Cluster::start(Program::Current, 3, &Options::new()).expect("a cluster");
    let hosts: Vec<String> = (0..3)
        .map(|node| cluster.node(node).address().to_string())
        .collect();
    let monitors: Vec<String> = (0..3)
        .map(|node| format!("{:?}", cluster.node(node).monitor_url()))
        .collect();
    let workdir = Workdir::new();
    workdir.file(
        "heygen-webhooks.toml",
        format!(
            "inbox = \"nats://{}/HEYGEN\"\nrequire-sync = true\nreplicas = 3\nnats-monitor = [{}]\n",
            hosts.join(","),
            monitors.join(", ")
        ),
    );
    let serve = workdir.serve(&["--receive-only"]);
    let worker = super::work(&workdir, &["--json"]);
    assert_eq!(post(&serve, event("order.new", "v1"))["status"], "accepted");
    assert!(worker.line().contains("v1"));
    for process in [serve, worker] {
        process.signal("TERM");
        let (status, _, log) = process.wait();
        assert_eq!(status, 0, "{log:?}");
        assert!(
            !log.iter().any(|line| line.contains("may be lost")),
            "{log:?}"
        );
    }
}
