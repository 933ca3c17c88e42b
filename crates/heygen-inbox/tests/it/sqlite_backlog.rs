//! A backlog of a million: opened, claimed, appended to and counted as if it were ten.

use std::path::Path;

use heygen_inbox::sqlite::SqliteInbox;
use heygen_inbox::{
    AttemptOutcome, ClaimRequest, Completion, DispatchOrder, Inbox as _, InboxAdmin as _, Query,
    State,
};
use rusqlite::Connection;

use crate::support::{append_new, at, body, delivery, duplicate, file};

const MILLION: u64 = 1_000_000;

/// Rows as appends would have left them, except that no run of the index was written: the harder
/// case for an open.
fn fill(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(&format!(
            "PRAGMA synchronous = OFF;
             BEGIN;
             WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {MILLION})
             INSERT INTO delivery (id, received_at, source, event_type, subject_id, digest, state, due_at, attempts, outcome)
             SELECT 1700000000000000 + n, 1700000000000000 + n, 'webhook', 'avatar_video.success', 'v' || (n / 3),
                    randomblob(16), 'pending', 1700000000000000 + n, 0, 'success' FROM number;
             INSERT INTO content (id, headers, body)
             SELECT id, '[]', x'7b7d' FROM delivery WHERE id < 1790000000000000;
             COMMIT;"
        ))
        .unwrap();
}

#[tokio::test]
async fn a_million_pending_events_are_worked_off_like_ten() {
    let (_folder, path) = file();
    let inbox = SqliteInbox::open(&path).unwrap();
    let first = append_new(&inbox, 0, &body("first")).await;
    drop(inbox);
    fill(&path);

    let inbox = SqliteInbox::open(&path).unwrap();
    assert_eq!(inbox.counts().await.unwrap().pending, MILLION + 1);
    for order in [DispatchOrder::Unordered, DispatchOrder::PerSubject] {
        let mut last = None;
        for _ in 0..50 {
            let claim = inbox
                .claim(ClaimRequest::due(16, at(10)).order(order))
                .await
                .unwrap();
            assert_eq!(claim.deliveries.len(), 16);
            for claimed in &claim.deliveries {
                assert!(last < Some(claimed.id) || order == DispatchOrder::PerSubject);
                last = Some(claimed.id);
                let finish = Completion::new(
                    claimed,
                    at(10),
                    std::time::Duration::ZERO,
                    AttemptOutcome::Acknowledged,
                );
                inbox.complete(finish).await.unwrap();
            }
        }
    }
    // A new delivery is stored at once, and an old one is a duplicate.
    append_new(&inbox, 20, &body("new")).await;
    let again = inbox.append(delivery(21, body("first"))).await.unwrap();
    assert_eq!(duplicate(again), first);
    let counts = inbox.counts().await.unwrap();
    assert_eq!(counts.pending, MILLION + 2 - 1600);
    let newest = inbox
        .list(Query::default().state(State::Pending).limit(3))
        .await
        .unwrap();
    assert_eq!(newest.len(), 3);
}
