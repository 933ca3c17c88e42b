//! What an inbox does when it cannot: locks of others, a full queue, rows it cannot read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use heygen_inbox::sqlite::{SqliteInbox, SqliteOptions};
use heygen_inbox::{ClaimRequest, Inbox as _, InboxAdmin as _, InboxErrorKind, Query, State};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::support::{
    all_ids, append_duplicate, append_new, at, body, claim_due, claim_one, claimed_ids, delivery,
    file, get, new, opened, poll_once_and_drop,
};

fn open(lock_timeout: Duration) -> (TempDir, PathBuf, SqliteInbox) {
    let (folder, path) = file();
    let mut options = SqliteOptions::default();
    options.lock_timeout = lock_timeout;
    options.queue_capacity = QUEUE;
    options.batch_len = 1;
    let inbox = SqliteInbox::open_with(&path, options).unwrap();
    (folder, path, inbox)
}

/// Another program that holds the write lock until it is dropped.
fn hold_lock(path: &Path) -> Connection {
    let other = Connection::open(path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

#[tokio::test]
async fn only_one_process_owns_an_inbox() {
    let (folder, path, inbox) = open(LONG);
    let mut ways = vec![path.clone(), folder.path().join("./inbox.db")];
    #[cfg(unix)]
    {
        let link = folder.path().join("link.db");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        ways.push(link);
    }
    for way in ways {
        let error = SqliteInbox::open(&way).unwrap_err();
        assert_eq!(error.kind(), InboxErrorKind::InUse, "{}", way.display());
    }
    append_new(&inbox, 0, &body("a")).await;
    drop(inbox);
    assert!(SqliteInbox::open(&path).is_ok());
}

#[tokio::test]
async fn full_queue_is_busy_at_once_and_loses_nothing() {
    let (_folder, path, inbox) = open(LONG);
    let lock = hold_lock(&path);
    let mut waiting = Vec::new();
    let mut refused = 0;
    for event in 0..QUEUE * 4 {
        let appending = {
            let inbox = inbox.clone();
            let delivery = delivery(event as u64, body(&event.to_string()));
            async move { inbox.append(delivery).await }
        };
        let mut appending = Box::pin(appending);
        match poll_once_and_drop(&mut appending).await {
            None => waiting.push(appending),
            Some(answer) => {
                assert_eq!(answer.unwrap_err().kind(), InboxErrorKind::Busy);
                refused += 1;
            }
        }
    }
    // The writer may have taken one from the queue.
    assert!(
        (QUEUE..=QUEUE + 1).contains(&waiting.len()),
        "{} wait",
        waiting.len()
    );
    assert_eq!(refused + waiting.len(), QUEUE * 4);

    drop(lock);
    let accepted = waiting.len();
    for appending in waiting {
        new(appending.await.unwrap());
    }
    assert_eq!(all_ids(&inbox).await.len(), accepted);
    append_new(&inbox, 99, &body("afterwards")).await;
}

#[tokio::test]
async fn long_held_lock_fails_and_leaves_nothing_behind() {
    let (_folder, path, inbox) = open(Duration::from_millis(20));
    let before = append_new(&inbox, 0, &body("before")).await;
    claim_one(&inbox, 0).await;
    let lock = hold_lock(&path);
    for _ in 0..3 {
        let error = inbox.append(delivery(1, body("a"))).await.unwrap_err();
        assert_eq!(error.kind(), InboxErrorKind::Storage);
        let error = inbox.claim(ClaimRequest::due(1, at(1))).await.unwrap_err();
        assert_eq!(error.kind(), InboxErrorKind::Storage);
    }
    assert_eq!(all_ids(&inbox).await, [before], "reading goes on");
    drop(lock);
    let again = append_new(&inbox, 2, &body("a")).await;
    append_duplicate(&inbox, 3, body("a")).await;
    append_duplicate(&inbox, 3, body("before")).await;
    let claimed = claimed_ids(&claim_due(&inbox, 9, 3).await);
    assert_eq!(claimed, [again], "what was claimed stays so");
}

#[tokio::test]
async fn unreadable_row_is_dead_lettered_and_can_be_replayed() {
    let (_folder, path, inbox) = open(LONG);
    let id = append_new(&inbox, 0, &body("a")).await;
    let other = Connection::open(&path).unwrap();
    other
        .execute_batch("UPDATE delivery SET source = 'elsewhere'")
        .unwrap();

    let list = inbox.list(Query::default()).await.unwrap_err();
    assert_eq!(list.kind(), InboxErrorKind::Storage);
    let (claim, appended) = tokio::join!(
        inbox.claim(ClaimRequest::due(10, at(9))),
        inbox.append(delivery(1, body("b")))
    );
    assert!(claim.unwrap().deliveries.len() <= 1);
    new(appended.unwrap());

    other
        .execute_batch("UPDATE delivery SET source = 'webhook'")
        .unwrap();
    let stored = get(&inbox, id).await;
    assert_eq!(stored.summary.state, State::DeadLettered);
    let why = stored.attempts[0].detail.as_deref().unwrap_or_default();
    assert!(why.contains("elsewhere"), "{why}");
    let beside = SqliteInbox::open_beside(&path).unwrap();
    let replayed = beside.replay(vec![id], at(10)).await.unwrap();
    assert_eq!(replayed.pending, 1);
    let claim = inbox.claim(ClaimRequest::due(10, at(10))).await.unwrap();
    assert!(claim.deliveries.iter().any(|claimed| claimed.id == id));
}

#[tokio::test]
async fn unreadable_row_in_a_batch_is_dead_lettered_alone() {
    let (_folder, path, inbox) = opened();
    append_new(&inbox, 0, &body("a")).await;
    let other = Connection::open(&path).unwrap();
    other
        .execute_batch("UPDATE content SET headers = 'none'")
        .unwrap();

    // While the lock is held all three gather in the queue; the first may go alone, the others
    // share a transaction.
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let first = inbox.append(delivery(1, body("b")));
    let claim = inbox.claim(ClaimRequest::due(10, at(9)));
    let second = inbox.append(delivery(1, body("c")));
    let release = async { other.execute_batch("ROLLBACK").unwrap() };
    let (first, claim, second, ()) = tokio::join!(biased; first, claim, second, release);
    new(first.unwrap());
    assert!(claim.is_ok());
    new(second.unwrap());
    assert_eq!(inbox.counts().await.unwrap().dead_lettered, 1);
}

const LONG: Duration = Duration::from_secs(60);
const QUEUE: usize = 4;
