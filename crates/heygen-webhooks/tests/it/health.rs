//! `health`: the admin listener's answer as an exit status.

use std::fs;

use crate::doctor::servers::small_server;
use crate::support::{Workdir, eventually};

#[test]
fn the_exit_status_is_the_servers_health() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    let admin = serve.admin();
    let admin = admin.trim_start_matches("http://");
    let health = |more: &[&str]| workdir.run(&[&["health", "--admin", admin], more].concat());
    health(&[]).ok();
    health(&["--ready"]).ok();
    // By the variable of `serve` too, as in a container.
    workdir
        .run_with(&["health"], b"", &[("HEYGEN_WEBHOOKS_ADMIN", admin)])
        .ok();

    // Alive, and not ready: its inbox has gone.
    for name in [
        "heygen-inbox.db",
        "heygen-inbox.db-wal",
        "heygen-inbox.db-shm",
    ] {
        fs::remove_file(workdir.path().join(name)).expect("removed");
    }
    eventually(|| health(&["--ready"]).status == 1);
    health(&["--ready"]).fails(1, "/readyz answered 503");
    health(&[]).ok();

    serve.signal("TERM");
    serve.wait();
    health(&[]).fails(1, "is the server running");
    workdir
        .run(&["health", "--admin", "off"])
        .fails(2, "the admin listener is off");
}

#[test]
fn another_program_at_the_address_is_not_healthy() {
    let workdir = Workdir::new();
    for answer in [|_: &str| Some("200 OK"), |_: &str| Some("404 Not Found")] {
        let other = small_server(answer);
        let admin = other.replace("http://", "").replace("/hook", "");
        for more in [&[][..], &["--ready"]] {
            let ended = workdir.run(&[&["health", "--admin", &admin], more].concat());
            ended.fails(1, "another program answered");
        }
    }
}
