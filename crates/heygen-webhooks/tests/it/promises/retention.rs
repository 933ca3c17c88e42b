//! `serve --keep` and `--keep-bytes`: finished deliveries are deleted, pending ones stay, under load.

use std::collections::BTreeSet;

use super::{event, get, import, metric, old, post, serve_with_program};
use crate::support::{Workdir, eventually};

const NOT_NOW: &[&str] = &["--retry-initial-delay", "3600"];

#[test]
fn prune_deletes_only_old_finished_deliveries() {
    let workdir = Workdir::new();
    let finished = (0..1500).map(|number| match number % 10 {
        0 => old(&format!("old-{number}"), "dead_lettered", 40, 0),
        _ => old(&format!("old-{number}"), "acknowledged", 40, 0),
    });
    import(&workdir, finished);
    import(
        &workdir,
        (0..3).map(|number| old(&format!("waits-{number}"), "pending", 400, 0)),
    );
    import(
        &workdir,
        (0..3).map(|number| old(&format!("young-{number}"), "acknowledged", 20, 0)),
    );
    let options = [&["--keep", "30d"], NOT_NOW].concat();
    let serve = serve_with_program(&workdir, &options, "cat >/dev/null; exit 75");
    let mut expected: BTreeSet<_> = (0..3)
        .flat_map(|number| [format!("waits-{number}"), format!("young-{number}")])
        .collect();
    let mut sent = 0;
    eventually(|| {
        for _ in 0..10 {
            let subject = format!("new-{sent}");
            assert_eq!(
                post(&serve, event("order.new", &subject))["status"],
                "accepted"
            );
            expected.insert(subject);
            sent += 1;
        }
        workdir
            .by_subject()
            .keys()
            .all(|subject| !subject.starts_with("old-"))
    });
    serve.log_line("old deliveries deleted");
    let stored: BTreeSet<_> = workdir.by_subject().into_keys().collect();
    assert_eq!(stored, expected);
}

#[test]
fn the_oldest_finished_go_until_the_rest_fits() {
    let workdir = Workdir::new();
    let lines = (0..1200).map(|number| match number % 300 {
        0 => old(&format!("waits-{number}"), "pending", 3, 2000),
        _ => old(&format!("old-{number:04}"), "acknowledged", 3, 2000),
    });
    import(&workdir, lines);
    let options = [&["--keep-bytes", "1MiB"], NOT_NOW].concat();
    let serve = serve_with_program(&workdir, &options, "cat >/dev/null; exit 75");
    let metrics = format!("{}/metrics", serve.admin());
    let bytes = || metric(&get(&metrics).body, "inbox_bytes").unwrap_or(f64::MAX);
    let mut sent = 0;
    eventually(|| {
        post(&serve, event("order.new", &format!("new-{sent}")));
        sent += 1;
        bytes() <= f64::from(1 << 20) + 20_000.0
    });
    serve.log_line("old deliveries deleted");
    let stored: Vec<_> = workdir
        .list()
        .iter()
        .map(|delivery| {
            delivery["subject_id"]
                .as_str()
                .expect("a subject")
                .to_owned()
        })
        .collect();
    let of = |prefix: &str| -> Vec<String> {
        let these = stored.iter().filter(|subject| subject.starts_with(prefix));
        these.cloned().collect()
    };
    assert_eq!((of("waits-").len(), of("new-").len()), (4, sent));
    // The newest come first: those that are left are the newest of all.
    let left = of("old-");
    assert!(left.len() > 100 && left.len() < 600, "{}", left.len());
    let newest = (0..1200).rev().filter(|number| number % 300 != 0);
    let newest: Vec<_> = newest
        .map(|number| format!("old-{number:04}"))
        .take(left.len())
        .collect();
    assert_eq!(left, newest);
}

#[test]
fn what_backfill_stores_again_is_deleted_with_a_warning() {
    let workdir = Workdir::new();
    let young = |number| old(&format!("young-{number}"), "acknowledged", 3, 2000);
    import(&workdir, (0..1200).map(young));
    let options = ["--keep-bytes", "1MiB", "--backfill"];
    let options = [&options[..], &["--base-url", "http://127.0.0.1:1"]].concat();
    let serve = workdir.serve_with(&options, &[("HEYGEN_API_KEY", "key")]);
    serve.log_line("raise --keep-bytes");
}
