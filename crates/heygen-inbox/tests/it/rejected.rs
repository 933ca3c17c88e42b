//! Rejected requests: bounded, fair, readable while the server runs and afterwards.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use heygen_inbox::sqlite::{
    NewRejected, RejectedFile, RejectedRing, RingOptions, SqliteInbox, rejected_path,
};
use heygen_inbox::{Header, InboxAdmin as _, InboxErrorKind, TrafficUnit};
use rusqlite::Connection;

use crate::support::{append_new, at, body, file};

const CHILD: &str = "HEYGEN_INBOX_TEST_REJECTED";

fn unsigned(seconds: u64, body: impl Into<Vec<u8>>) -> NewRejected {
    NewRejected::new(at(seconds), "missing-signature").body(body.into())
}

fn signed(seconds: u64, signature: &str, body: impl Into<Vec<u8>>) -> NewRejected {
    NewRejected::new(at(seconds), "signature-mismatch")
        .header_names(["host", "signature", "authorization"])
        .signatures([Header::new("Signature", signature.as_bytes())], true)
        .body(body.into())
}

/// Options under which nothing waits long.
fn options() -> RingOptions {
    let mut options = RingOptions::default();
    options.commit_pause = Duration::ZERO;
    options
}

/// Records them one by one, none dropped, and ends.
fn write(path: &Path, options: RingOptions, posts: impl IntoIterator<Item = NewRejected>) {
    let ring = RejectedRing::start(path, options).unwrap();
    for post in posts {
        loop {
            let before = ring.dropped();
            ring.record(post.clone());
            if ring.dropped() == before {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn open(path: &Path) -> RejectedFile {
    RejectedFile::open(path).unwrap().unwrap()
}

#[test]
fn rejected_requests_can_be_read_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = rejected_path(&folder.path().join("inbox.db"));
    assert!(path.ends_with("inbox.db.rejected"));
    let ring = RejectedRing::start(&path, options()).unwrap();
    assert_eq!(ring.path(), path);
    drop(ring);
    assert!(RejectedFile::open(&path).unwrap().is_none());
    assert!(!path.exists(), "what turns nothing away leaves no file");

    let explained = signed(2, "abc", "{1}").explanation(Some("do this".to_owned()));
    let unread = NewRejected::new(at(4), "body-too-large");
    write(
        &path,
        options(),
        [
            unsigned(1, "{1}"),
            signed(2, "abc", "{1}"),
            unread.clone(),
            explained,
            unread,
            signed(3, "abd", "{1}"),
        ],
    );
    let file = open(&path);
    let list = file.list(None).unwrap();
    let lines: Vec<_> = list
        .iter()
        .map(|line| (line.reason.as_str(), line.count, line.body_bytes))
        .collect();
    assert_eq!(
        lines,
        [
            ("body-too-large", 2, None),
            ("signature-mismatch", 1, Some(3)),
            ("signature-mismatch", 2, Some(3)),
            ("missing-signature", 1, Some(3)),
        ]
    );
    assert_eq!(file.list(Some(1)).unwrap(), list[..1]);
    assert_eq!((list[2].first_at, list[2].last_at), (at(2), at(2)));
    assert_eq!(list[2].explanation.as_deref(), Some("do this"));

    let whole = file.get(list[2].id).unwrap().unwrap();
    assert_eq!(whole.summary, list[2]);
    assert_eq!(whole.header_names, ["host", "signature", "authorization"]);
    assert_eq!(whole.signatures, [Header::new("signature", b"abc")]);
    assert_eq!(whole.body.as_deref(), Some(b"{1}".as_slice()));
    assert!(!format!("{whole:?}").contains("abc"));

    let counts = file.counts().unwrap();
    assert_eq!((counts.signed, counts.unsigned), (2, 2));
    let gone = list[2].id;
    assert_eq!(file.remove(&[gone, 999]).unwrap(), 1);
    assert_eq!(file.get(gone).unwrap(), None);
    // Its number is not used again, not even when it was the last.
    file.remove(&list.iter().map(|line| line.id).collect::<Vec<_>>())
        .unwrap();
    write(&path, options(), [unsigned(9, "new")]);
    assert!(file.list(None).unwrap()[0].id > list.iter().map(|line| line.id).max().unwrap());
}

#[tokio::test]
async fn flood_of_unsigned_requests_evicts_no_signed_one_nor_touches_the_inbox() {
    let folder = tempfile::tempdir().unwrap();
    let inbox_path = folder.path().join("inbox.db");
    let path = rejected_path(&inbox_path);
    let inbox = SqliteInbox::open(&inbox_path).unwrap();
    let ring = RejectedRing::start(&path, RingOptions::default()).unwrap();
    let before = inbox.counts().await.unwrap().bytes;
    let flood = |from: u64| {
        for number in from..from + 2500 {
            ring.record(unsigned(number, number.to_string()));
        }
    };
    flood(0);
    // In the midst of it, with the queue of the others full.
    ring.record(signed(0, "the one", "{}"));
    flood(2500);
    assert_eq!(
        inbox.counts().await.unwrap().bytes,
        before,
        "another file altogether"
    );
    append_new(&inbox, 0, &body("a")).await;
    let dropped = ring.dropped();
    assert!(dropped > 0, "more than may wait");
    drop(ring);

    let file = open(&path);
    let counts = file.counts().unwrap();
    assert_eq!(counts.signed, 1);
    assert!(counts.unsigned > 0 && counts.unsigned <= 250, "{counts:?}");
    assert!(file.list(None).unwrap().iter().any(|line| line.is_signed));
    // All of them are counted.
    assert_eq!(rejected_since(&file, 0), 5001);
    // And when nothing is dropped.
    write(
        &path,
        options(),
        (0..5000).map(|number| unsigned(number, format!("again {number}"))),
    );
    let counts = file.counts().unwrap();
    assert_eq!((counts.signed, counts.unsigned), (1, 250));
    let newest = &file.list(None).unwrap()[0];
    let newest = file.get(newest.id).unwrap().unwrap();
    assert_eq!(newest.body.as_deref(), Some(b"again 4999".as_slice()));
}

fn rejected_since(file: &RejectedFile, seconds: u64) -> u64 {
    let [minutes, hours] = [TrafficUnit::Minute, TrafficUnit::Hour].map(|unit| {
        let counts = file.traffic(at(seconds), unit).unwrap();
        counts.iter().map(|(_, count)| count).sum::<u64>()
    });
    assert_eq!(minutes, hours);
    hours
}

#[test]
fn counts_over_time_stay_when_requests_make_room() {
    let (_folder, path) = file();
    let mut options = options();
    options.max_requests = 8;
    let requests =
        |from: u64| (from..from + 40).map(|number| unsigned(number * 60, number.to_string()));
    write(&path, options.clone(), requests(0));
    let file = open(&path);
    assert!(file.list(None).unwrap().len() < 8);
    assert_eq!(rejected_since(&file, 0), 40);
    let minutes = file.traffic(at(0), TrafficUnit::Minute).unwrap();
    assert_eq!((minutes.len(), minutes[39].1), (40, 1));
    assert!(
        minutes
            .iter()
            .rev()
            .is_sorted_by(|one, other| one.0 > other.0)
    );
    // A file of the version before is read, and counts from the next request on.
    let of_before = Connection::open(&path).unwrap();
    let back = "DROP TABLE traffic; PRAGMA user_version = 1";
    of_before.execute_batch(back).unwrap();
    drop(of_before);
    let file = open(&path);
    let stored = file.list(None).unwrap().len() as u64;
    assert_eq!(rejected_since(&file, 0), stored);
    write(&path, options, requests(100_000));
    assert_eq!(rejected_since(&open(&path), 0), stored + 40);
}

#[test]
fn file_of_rejected_requests_stays_within_its_limit() {
    let (_folder, path) = file();
    let mut small = options();
    small.max_bytes = 1 << 20;
    let posts = (0..400).map(|number| {
        let len = 100 + (number as usize * 7919) % 30_000;
        let filling = format!("{number}-{}", "x".repeat(len));
        match number % 2 {
            0 => unsigned(number, filling),
            _ => signed(number, &number.to_string(), filling),
        }
    });
    write(&path, small.clone(), posts);
    let file = open(&path);
    let counts = file.counts().unwrap();
    assert!(counts.bytes <= 1 << 20, "{counts:?}");
    assert!(counts.signed > 5 && counts.unsigned > 5, "{counts:?}");
    // A page or two for the header and the schema, and the indexes.
    let bytes = std::fs::metadata(&path).unwrap().len();
    assert!(bytes <= (1 << 20) + (64 << 10), "{bytes}");
    // Longer than the quota: recorded without its body, and nothing is evicted for it.
    write(&path, small, [unsigned(1000, "x".repeat(1 << 19))]);
    let after = file.counts().unwrap();
    let newest = &file.list(Some(1)).unwrap()[0];
    assert_eq!((newest.last_at, newest.body_bytes), (at(1000), None));
    assert!(after.unsigned >= counts.unsigned);
}

#[test]
fn repeated_request_is_not_the_first_to_be_evicted() {
    let (_folder, path) = file();
    let mut few = options();
    few.max_requests = 4;
    let posts = (0..10).flat_map(|number| {
        let other = signed(number, "a", number.to_string());
        [signed(number, "a", "retried"), other]
    });
    write(&path, few, posts);
    let list = open(&path).list(None).unwrap();
    assert_eq!(list.len(), 3);
    assert!(list.iter().any(|line| line.count == 10));
}

#[test]
fn well_formed_garbage_evicts_no_earlier_request() {
    let (_folder, path) = file();
    let genuine = (0..20).map(|number| signed(number, "genuine", format!("genuine {number}")));
    let of_other_reasons = ["not-found", "encoded-body"].map(|reason| {
        NewRejected::new(at(3000), reason)
            .signatures([Header::new("Signature", b"genuine")], true)
            .body(format!("genuine {reason}"))
    });
    let garbage = |from: u64| {
        (from..from + 2500).map(|number| signed(number, &number.to_string(), number.to_string()))
    };
    write(&path, options(), genuine);
    write(&path, options(), garbage(100));
    // In the midst of it, by reasons that have few.
    write(&path, options(), of_other_reasons);
    write(&path, options(), garbage(4000));
    let file = open(&path);
    let list = file.list(None).unwrap();
    assert_eq!(file.counts().unwrap().signed, 750, "the room is used");
    let bodies: Vec<_> = list
        .iter()
        .filter_map(|line| file.get(line.id).unwrap().unwrap().body)
        .collect();
    for expected in (0..20)
        .map(|number| format!("genuine {number}"))
        .chain(["genuine not-found", "genuine encoded-body"].map(str::to_owned))
    {
        assert!(bodies.iter().any(|body| *body == expected), "{expected}");
    }
    assert_eq!(list[0].last_at, at(6499), "and the newest are there too");
}

#[test]
fn large_garbage_evicts_large_garbage() {
    let (_folder, path) = file();
    let mut small = options();
    small.max_bytes = 4 << 20;
    let genuine = (0..300).map(|number| signed(number, "genuine", format!("genuine {number}")));
    write(&path, small.clone(), genuine);
    let garbage = (1000..1040).map(|number| {
        let filling = "x".repeat(500_000);
        signed(number, &number.to_string(), format!("{number}{filling}"))
    });
    write(&path, small, garbage);
    let file = open(&path);
    let list = file.list(None).unwrap();
    let genuine = list.iter().filter(|line| line.last_at < at(1000));
    assert_eq!(genuine.count(), 300);
    assert_eq!(list[0].last_at, at(1039));
    assert!(file.counts().unwrap().bytes <= 3 << 20);
}

#[test]
fn unwritable_file_of_rejected_requests_stops_nothing() {
    let (_folder, path) = file();
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE customers (name TEXT)")
        .unwrap();
    let ring = RejectedRing::start(&path, options()).unwrap();
    ring.record(unsigned(0, "a"));
    while ring.dropped() < 1 {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(
        RejectedFile::open(&path).unwrap_err().kind(),
        InboxErrorKind::Version
    );
    // Once it is out of the way, what comes is recorded.
    std::fs::remove_file(&path).unwrap();
    ring.record(unsigned(1, "b"));
    drop(ring);
    assert_eq!(open(&path).list(None).unwrap().len(), 1);
    assert_eq!(rejected_since(&open(&path), 0), 2, "both are counted");
}

#[cfg(unix)]
#[test]
fn file_of_rejected_requests_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_folder, path) = file();
    write(&path, options(), [unsigned(0, "a")]);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// The child's part: records until it is killed. Does nothing in an ordinary run.
#[test]
fn child() {
    let Some(path) = std::env::var_os(CHILD) else {
        return;
    };
    let ring = RejectedRing::start(Path::new(&path), options()).unwrap();
    for number in 0..u64::MAX {
        ring.record(signed(number, "a", number.to_string()));
        if number % 100 == 0 && Path::new(&path).exists() {
            writeln!(std::io::stdout(), "\n> recording").unwrap();
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}

#[test]
fn inbox_is_readable_and_continues_after_a_kill() {
    let (_folder, path) = file();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "rejected::child", "--nocapture"])
        .env(CHILD, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let recording = lines
        .map(Result::unwrap)
        .filter(|line| line == "> recording");
    assert_eq!(recording.take(5).count(), 5);
    // Beside it, too.
    let beside = open(&path);
    beside.list(None).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    drop(beside);

    let check: String = Connection::open(&path)
        .unwrap()
        .query_row("PRAGMA integrity_check", (), |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
    let before = open(&path).counts().unwrap().signed;
    assert!(before > 0);
    write(&path, options(), [signed(0, "after", "{}")]);
    assert_eq!(open(&path).counts().unwrap().signed, (before + 1).min(750));
}
