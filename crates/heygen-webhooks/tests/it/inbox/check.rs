//! `inbox check`.

use std::fs::{self, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};

use super::history::{acknowledged, delivery, import};
use super::three_events;
use crate::support::Workdir;

#[test]
fn check_finds_no_damage_with_and_without_a_running_serve() {
    let workdir = Workdir::new();
    let (serve, _) = three_events(&workdir);
    for arguments in [&["inbox", "check"][..], &["inbox", "check", "--full"]] {
        let output = workdir.run(arguments).ok().stdout;
        assert!(output.contains("is sound"), "{output}");
    }
    drop(serve);
    import(&workdir, &[delivery("v1", "dead_lettered", 3)]);
    let json = workdir.json(&["inbox", "check", "--json"]);
    assert_eq!(json, serde_json::json!({"sound": true, "flaws": []}));
    assert_eq!(
        workdir
            .run(&["inbox", "check", "--inbox", "none.db"])
            .status,
        1
    );
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_named_where_nothing_can_be_read() {
    let workdir = Workdir::new();
    import(&workdir, &[delivery("v1", "acknowledged", 3)]);
    let ended = workdir.run_limited(1000, &["inbox", "list"]);
    ended.fails(1, "the disk is full");
}

#[test]
fn check_reports_damage() {
    // In the middle of the data, and in all of it: then not even the tag can be read.
    check_damage(0.4, 0.7);
    check_damage(0.0, 1.0);
}

#[track_caller]
fn check_damage(from: f64, to: f64) {
    let workdir = Workdir::new();
    import(&workdir, &acknowledged(200, 1));
    let path = workdir.path().join("heygen-inbox.db");
    let len = fs::metadata(&path).expect("a file").len();
    let mut file = OpenOptions::new().write(true).open(&path).expect("a file");
    let pages = len / 4096 - 1;
    let page = |part: f64| 1 + (part * pages as f64) as u64;
    file.seek(SeekFrom::Start(4096 * page(from)))
        .expect("a place");
    for _ in page(from)..page(to) {
        file.write_all(&[0x5a; 4096]).expect("damage");
    }
    drop(file);
    let ended = workdir.run(&["inbox", "check"]);
    assert_eq!(ended.status, 1);
    assert!(
        ended.stdout.contains("damaged: ") && ended.stdout.contains("backup"),
        "{}{}",
        ended.stdout,
        ended.stderr
    );
    let ended = workdir.run(&["inbox", "check", "--json"]);
    assert_eq!((ended.status, &ended.json()["sound"]), (1, &false.into()));
}
