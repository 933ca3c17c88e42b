//! `inbox backup`.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use heygen_signature::Secret;
use heygen_testkit::{EventBuilder, Sender};
use tokio::time::{sleep, timeout};

use super::history::{delivery, import};
use crate::support::{SECRET, Workdir};

fn subjects(workdir: &Workdir, inbox: &str) -> BTreeSet<String> {
    let list = workdir.json(&["inbox", "list", "--json", "--limit", "0", "--inbox", inbox]);
    let lines = list.as_array().expect("an array").iter();
    lines
        .map(|line| line["subject_id"].as_str().expect("a subject").to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backup_under_load_is_sound_and_holds_acknowledged_deliveries() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&["--json"]);
    let answered = Arc::new(Mutex::new(BTreeSet::new()));
    let is_enough = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|client| {
            let secret = Secret::new(SECRET).expect("a secret");
            let sender = Sender::new(&serve.url).secret(secret);
            let (answered, is_enough) = (answered.clone(), is_enough.clone());
            tokio::spawn(async move {
                for number in 0.. {
                    let video_id = format!("{client}-{number}");
                    let event = EventBuilder::new("avatar_video.success");
                    let body = event.set("video_id", video_id.as_str()).body();
                    let report = sender.deliver(body).await.expect("a request");
                    assert!(report.accepted());
                    answered.lock().expect("no panic").insert(video_id);
                    if is_enough.load(Ordering::SeqCst) {
                        return;
                    }
                }
            })
        })
        .collect();
    for round in 0..3 {
        // Each copy is made of something.
        let seen = answered.lock().expect("no panic").len();
        let more = async {
            while answered.lock().expect("no panic").len() < seen + 50 {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(60), more)
            .await
            .expect("the server answers");
        let before = answered.lock().expect("no panic").clone();
        let copy = format!("copy-{round}.db");
        let json = workdir.json(&["inbox", "backup", &copy, "--json"]);
        let check = workdir.run(&["inbox", "check", "--full", "--inbox", &copy]);
        check.ok();
        let copied = subjects(&workdir, &copy);
        assert_eq!(json["deliveries"].as_u64(), Some(copied.len() as u64));
        let lost: Vec<_> = before.difference(&copied).collect();
        assert!(lost.is_empty(), "{lost:?}");
    }
    is_enough.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.expect("a client ends");
    }
    drop(serve);

    // Restored, it is served, and knows what it holds.
    std::fs::remove_file(workdir.path().join("heygen-inbox.db-wal")).expect("a log");
    std::fs::remove_file(workdir.path().join("heygen-inbox.db-shm")).expect("its index");
    let restored = workdir.path().join("heygen-inbox.db");
    std::fs::rename(workdir.path().join("copy-2.db"), restored).expect("moved");
    let serve = workdir.serve(&["--json"]);
    let body = EventBuilder::new("avatar_video.success").set("video_id", "0-0");
    let secret = Secret::new(SECRET).expect("a secret");
    let sender = Sender::new(&serve.url).secret(secret);
    let report = sender.deliver(body.body()).await.expect("a request");
    assert!(report.accepted());
}

#[cfg(unix)]
#[test]
fn a_backup_that_is_stopped_leaves_nothing_half_made() {
    let workdir = Workdir::new();
    let large = |number: usize| {
        let mut large = delivery(&number.to_string(), "acknowledged", 3);
        large["body"] = format!("{number}{}", "x".repeat(1_000_000)).into();
        large
    };
    import(&workdir, &(0..100).map(large).collect::<Vec<_>>());
    let names = || {
        let entries = std::fs::read_dir(workdir.path()).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let copies = names.filter(|name| name.to_string_lossy().starts_with("copy"));
        copies.collect::<Vec<_>>()
    };
    let mut child = workdir
        .command(&["inbox", "backup", "copy.db"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("the binary starts");
    let is_begun = || {
        let first = names().first().map(|name| workdir.path().join(name));
        first.is_some_and(|path| path.metadata().is_ok_and(|copy| copy.len() > 0))
    };
    while !is_begun() && child.try_wait().expect("its state").is_none() {
        std::thread::yield_now();
    }
    let kill = format!("kill -TERM {}", child.id());
    let _ = std::process::Command::new("sh")
        .args(["-c", &kill])
        .status();
    let status = child.wait().expect("it ends");
    match status.success() {
        // It was quicker than the signal.
        true => assert_eq!(names(), ["copy.db"]),
        false => assert!(names().is_empty(), "{:?}", names()),
    }
}

#[test]
fn a_copy_is_one_private_file_and_replaces_nothing_unasked() {
    let workdir = Workdir::new();
    import(&workdir, &[delivery("v1", "dead_lettered", 3)]);
    let backup = |arguments: &[&str]| workdir.run(&[&["inbox", "backup"], arguments].concat());
    let output = backup(&["copy.db"]).ok().stdout;
    assert!(
        output.starts_with("1 delivery in copy.db") && output.contains("To restore"),
        "{output}"
    );
    let names: BTreeSet<_> = std::fs::read_dir(workdir.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .filter(|name| name.to_string_lossy().starts_with("copy"))
        .collect();
    assert_eq!(names, BTreeSet::from(["copy.db".into()]));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let copy = std::fs::metadata(workdir.path().join("copy.db")).expect("a file");
        assert_eq!(copy.permissions().mode() & 0o777, 0o600);
    }
    let again = backup(&["copy.db"]);
    assert!(
        again.status == 2 && again.stderr.contains("--force"),
        "{}",
        again.stderr
    );
    backup(&["copy.db", "--force"]).ok();
    // Neither the inbox nor its log, which need not be there.
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let target = format!("./heygen-inbox.db{suffix}");
        assert_eq!(backup(&[&target, "--force"]).status, 2, "{suffix}");
        let export = ["inbox", "export", "--output", &target, "--force"];
        assert_eq!(workdir.run(&export).status, 2, "{suffix}");
    }
    workdir.file("other.db-wal", "");
    assert_eq!(backup(&["other.db"]).status, 2);
    assert_eq!(backup(&["no/such/folder/copy.db"]).status, 1);
}
