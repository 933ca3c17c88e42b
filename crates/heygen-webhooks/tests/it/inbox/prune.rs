//! `inbox prune`.

use super::history::{acknowledged, delivery, import, of_state};
use crate::http::post;
use crate::support::Workdir;

#[test]
fn keep_deletes_old_finished_deliveries_only() {
    let workdir = Workdir::new();
    import(
        &workdir,
        &[
            delivery("v1", "acknowledged", 40),
            delivery("v2", "dead_lettered", 39),
            delivery("v3", "pending", 38),
            delivery("v4", "acknowledged", 2),
        ],
    );
    let prune = |arguments: &[&str]| {
        workdir.run(&[&["inbox", "prune", "--older-than", "30d"], arguments].concat())
    };
    let dry = prune(&["--dry-run"]).ok().stdout;
    assert!(dry.starts_with("2 deliveries older than "), "{dry}");
    let unasked = prune(&[]);
    assert!(
        unasked.status == 2 && unasked.stderr.contains("--yes"),
        "{}",
        unasked.stderr
    );
    assert_eq!(of_state(&workdir, "acknowledged").len(), 2);
    let json = prune(&["--yes", "--json"]).ok().json();
    assert_eq!((&json["found"], &json["deleted"]), (&2.into(), &2.into()));
    assert_eq!(of_state(&workdir, "pending").len(), 1);
    assert_eq!(of_state(&workdir, "acknowledged").len(), 1);
    assert_eq!(of_state(&workdir, "dead_lettered").len(), 0);
    let json = prune(&["--json"]).ok().json();
    assert_eq!((&json["found"], &json["deleted"]), (&0.into(), &0.into()));
}

#[test]
fn prune_skips_and_reports_damaged_deliveries() {
    let workdir = Workdir::new();
    let mut large = delivery("v1", "acknowledged", 42);
    large["body"] = "Z".repeat(20_000).into();
    let other = |subject| delivery(subject, "acknowledged", 40);
    import(&workdir, &[large, other("v2"), other("v3")]);
    super::damage_body(&workdir, b'Z');
    let damaged = of_state(&workdir, "acknowledged")[2].clone();
    for deleted in [2, 0] {
        let ended = workdir.run(&["inbox", "prune", "--older-than", "30d", "--yes", "--json"]);
        ended.fails(1, &damaged);
        if deleted > 0 {
            assert_eq!(ended.json()["deleted"], deleted);
        }
        assert_eq!(of_state(&workdir, "acknowledged"), [damaged.as_str()]);
    }
}

#[cfg(unix)]
#[test]
fn prune_reports_what_it_deleted_before_the_disk_was_full() {
    let workdir = Workdir::new();
    import(&workdir, &acknowledged(2000, 40));
    let prune = ["inbox", "prune", "--older-than", "30d", "--yes", "--json"];
    // A few steps of 200 fit into the log.
    let ended = workdir.run_limited(900_000, &prune);
    ended.fails(1, "cannot write to inbox");
    let deleted = ended.json()["deleted"].as_u64().expect("a number");
    assert!((200..2000).contains(&deleted), "{deleted}");
    let left = of_state(&workdir, "acknowledged").len() as u64;
    assert_eq!(deleted + left, 2000);
}

#[test]
fn prune_deletes_many_beside_a_running_serve() {
    let workdir = Workdir::new();
    let many = acknowledged(450, 40);
    import(&workdir, &many);
    let serve = workdir.serve(&["--json"]);
    let json = workdir.json(&["inbox", "prune", "--older-than", "30d", "--yes", "--json"]);
    assert_eq!(json["deleted"], 450);
    assert!(json["bytes_in_use_after"].as_u64() < json["bytes_in_use_before"].as_u64());
    let body = many[0]["body"].as_str().expect("a body");
    let answer = post(&serve, body);
    assert_eq!(answer["status"], "accepted", "no longer a duplicate");
    serve.line();
}
