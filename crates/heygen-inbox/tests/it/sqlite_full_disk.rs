//! A file that may not grow: a child process under a limit of the shell's, so that the failures are
//! the system's own.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use heygen_inbox::sqlite::SqliteInbox;
use heygen_inbox::{
    AttemptOutcome, ClaimRequest, Completion, Inbox as _, InboxAdmin as _, InboxErrorKind,
    NewDelivery, Query, Source, State,
};
use rusqlite::Connection;

use crate::support::{body, delivery, file};

const FILE: &str = "HEYGEN_INBOX_TEST_FULL_DISK";

/// The child's part: does nothing in an ordinary run.
#[tokio::test]
async fn child() {
    let Some(path) = std::env::var_os(FILE) else {
        return;
    };
    let inbox = SqliteInbox::open(Path::new(&path)).unwrap();
    let claimed = {
        inbox.append(delivery(0, body("first"))).await.unwrap();
        inbox
            .claim(ClaimRequest::due(1, SystemTime::now()))
            .await
            .unwrap()
            .deliveries
            .remove(0)
    };
    let large = |event: usize| {
        let filling = "x".repeat(20_000);
        let body = body(&format!("{event}-{filling}"));
        NewDelivery::new(SystemTime::now(), Source::Webhook, Vec::new(), body.into())
    };
    let mut failed = None;
    for event in 0..10_000 {
        // After a failure the file is opened again and checkpointed, which may make room for the
        // second try.
        for is_again in [false, true] {
            match inbox.append(large(event)).await {
                Ok(appended) => {
                    say(&format!("stored {}", appended.id()));
                    break;
                }
                Err(error) => {
                    assert_eq!(error.kind(), InboxErrorKind::Storage);
                    failed = is_again.then_some(event);
                }
            }
        }
        if failed.is_some() {
            break;
        }
    }
    let failed = failed.unwrap();
    assert!(inbox.append(large(failed)).await.is_err(), "still full");
    say("full");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();

    let appended = inbox.append(large(failed)).await.unwrap();
    assert!(
        matches!(appended, heygen_inbox::Appended::New(_)),
        "{appended:?}"
    );
    say(&format!("stored {}", appended.id()));
    // It was in flight all the time, and is not dispatched again because the file was reopened.
    let claim = inbox
        .claim(ClaimRequest::due(usize::MAX, SystemTime::now()))
        .await
        .unwrap();
    assert!(claim.deliveries.iter().all(|other| other.id != claimed.id));
    let finish = Completion::new(
        &claimed,
        SystemTime::now(),
        Duration::ZERO,
        AttemptOutcome::Acknowledged,
    );
    inbox.complete(finish).await.unwrap();
    say(&format!("done {}", claimed.id));
}

/// On a line of its own among what the test harness prints.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n> {line}").unwrap();
    out.flush().unwrap();
}

#[tokio::test]
async fn full_disk_rejects_appends_until_there_is_room() {
    let (_folder, path) = file();
    // Half a MiB or one, as the shell counts; a write past it fails as on a full disk.
    let mut child = Command::new("sh")
        .args(["-c", r#"trap '' XFSZ; ulimit -f 1024; exec "$@""#, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite_full_disk::child", "--nocapture"])
        .env(FILE, &path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stored = Vec::new();
    let mut done = None;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(id) = line.strip_prefix("> stored ") {
            stored.push(id.parse().unwrap());
        } else if let Some(id) = line.strip_prefix("> done ") {
            done = Some(id.parse().unwrap());
        } else if line == "> full" {
            assert!(!stored.is_empty());
            // Room: the log goes into the file by a process that may make it grow, and starts at
            // its beginning.
            let other = Connection::open(&path).unwrap();
            other
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))
                .unwrap();
            child.stdin.take().unwrap().write_all(b"go on\n").unwrap();
        }
    }
    assert!(child.wait().unwrap().success());
    stored.push(done.unwrap());

    let reader = SqliteInbox::open_read_only(&path).unwrap();
    let mut listed: Vec<_> = reader
        .list(Query::default())
        .await
        .unwrap()
        .iter()
        .map(|line| line.id)
        .collect();
    stored.sort();
    listed.sort();
    assert_eq!(listed, stored, "what was answered, and nothing else");
    let first = reader.get(done.unwrap()).await.unwrap().unwrap();
    assert_eq!(first.summary.state, State::Acknowledged);
    assert_eq!(first.attempts.len(), 1);
}
