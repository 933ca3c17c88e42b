//! What an inbox file holds after its process has ended.

use std::path::Path;

use heygen_inbox::sqlite::SqliteInbox;
use heygen_inbox::{
    AttemptOutcome, ClaimRequest, Inbox as _, InboxAdmin as _, InboxErrorKind, State,
};
use rusqlite::Connection;

use crate::support::{
    all_ids, append_duplicate, append_new, at, body, body_with_id, claim_one, complete, delivery,
    duplicate, file, get, new, open_with_short_runs, opened, poll_once_and_drop,
};

#[tokio::test]
async fn stored_deliveries_are_there_after_a_restart() {
    let (_folder, path, inbox) = opened();
    let done = append_new(&inbox, 0, &body("done")).await;
    let claimed = claim_one(&inbox, 0).await;
    complete(&inbox, &claimed, 0, AttemptOutcome::Acknowledged).await;
    let pending = append_new(&inbox, 1, "not json").await;
    let before = inbox.get(done).await.unwrap();
    drop(inbox);

    let inbox = SqliteInbox::open(&path).unwrap();
    assert_eq!(inbox.get(done).await.unwrap(), before);
    assert_eq!(all_ids(&inbox).await, [pending, done]);
    assert_eq!(append_duplicate(&inbox, 5, body("done")).await, done);
    assert_eq!(append_duplicate(&inbox, 5, "not json").await, pending);
    assert_eq!(claim_one(&inbox, 5).await.id, pending);
}

#[tokio::test]
async fn claimed_deliveries_are_dispatched_again_after_a_restart() {
    let (_folder, path, mut inbox) = opened();
    let id = append_new(&inbox, 0, &body("a")).await;
    // By the real clock: opening compares with it.
    for attempt in 1..=3 {
        let claim = inbox
            .claim(ClaimRequest::due(
                10,
                std::time::SystemTime::now().max(at(1)),
            ))
            .await
            .unwrap();
        let [claimed] = claim.deliveries.as_slice() else {
            panic!("one is due, not {:?}", claim.deliveries);
        };
        assert_eq!((claimed.id, claimed.attempt), (id, attempt));
        inbox.close().await.unwrap();
        inbox = SqliteInbox::open(&path).unwrap();
        let stored = get(&inbox, id).await;
        assert_eq!(stored.summary.state, State::Pending);
        assert_eq!(stored.attempts.len() as u32, attempt);
        assert!(
            stored
                .attempts
                .iter()
                .all(|attempt| attempt.result == AttemptOutcome::Interrupted)
        );
    }
}

#[tokio::test]
async fn ids_rise_also_when_the_clock_was_set_back_meanwhile() {
    let (_folder, path, inbox) = opened();
    let first = append_new(&inbox, 1000, &body("a")).await;
    drop(inbox);
    let inbox = SqliteInbox::open(&path).unwrap();
    let second = append_new(&inbox, 0, &body("b")).await;
    assert!(second > first);
    assert_eq!(second.tag(), first.tag(), "the file keeps its tag");
}

/// Appends many different events to an inbox of short runs, opening it again every `reopen_every`
/// and letting `damage` at the closed file; in the end, and after one more opening, each has to be
/// known.
async fn check_runs(body_of: impl Fn(u64) -> String, reopen_every: u64, damage: impl Fn(&Path)) {
    let (_folder, path) = file();
    let mut inbox = open_with_short_runs(&path);
    let mut ids = Vec::new();
    for event in 0..150 {
        ids.push(append_new(&inbox, event, &body_of(event)).await);
        let again = event / 2;
        let found = inbox.append(delivery(event, body_of(again))).await.unwrap();
        assert_eq!(
            duplicate(found),
            ids[again as usize],
            "event {again} after {event}"
        );
        if event % reopen_every == reopen_every - 1 {
            drop(inbox);
            damage(&path);
            inbox = open_with_short_runs(&path);
        }
    }
    for _ in 0..2 {
        for (event, id) in ids.iter().enumerate() {
            let found = append_duplicate(&inbox, 999, body_of(event as u64)).await;
            assert_eq!(found, *id, "event {event} of all");
        }
        drop(inbox);
        inbox = open_with_short_runs(&path);
    }
    assert_eq!(all_ids(&inbox).await.len(), ids.len());
}

fn without_id(event: u64) -> String {
    body(&event.to_string())
}

fn some_with_id(event: u64) -> String {
    match event % 3 {
        0 => without_id(event),
        _ => body_with_id(&format!("e{event}"), &event.to_string()),
    }
}

#[tokio::test]
async fn duplicates_are_found_after_an_end_in_the_middle_of_a_run() {
    // As it is when the process ends after some rows of a run, and before the row that says the run
    // is whole.
    let unfinished = |path: &Path| {
        let file = Connection::open(path).unwrap();
        file.execute_batch(
            "DELETE FROM fingerprint WHERE run = (SELECT max(run) FROM seen_run) AND fingerprint > 0; \
             DELETE FROM seen_run WHERE run = (SELECT max(run) FROM seen_run)",
        )
        .unwrap();
    };
    check_runs(without_id, 37, unfinished).await;
    check_runs(some_with_id, 37, unfinished).await;
}

#[tokio::test]
async fn duplicates_are_found_through_a_filter_that_cannot_be_read() {
    let unreadable = |path: &Path| {
        let file = Connection::open(path).unwrap();
        file.execute_batch("UPDATE seen_run SET filter = x'00' WHERE run % 2 = 0")
            .unwrap();
    };
    check_runs(some_with_id, 100, unreadable).await;
}

#[tokio::test]
async fn append_whose_caller_is_gone_is_stored() {
    let (_folder, path, inbox) = opened();
    for name in ["a", "b", "c"] {
        poll_once_and_drop(inbox.append(delivery(0, body(name)))).await;
    }
    drop(inbox);
    let inbox = SqliteInbox::open(&path).unwrap();
    for name in ["a", "b", "c"] {
        append_duplicate(&inbox, 0, body(name)).await;
    }
}

#[tokio::test]
async fn closing_writes_the_queue_and_accepts_no_more() {
    let (_folder, path, inbox) = opened();
    let twin = inbox.clone();
    let (appended, closed) = tokio::join!(inbox.append(delivery(0, body("a"))), twin.close());
    let id = new(appended.unwrap());
    closed.unwrap();
    let refused = [
        inbox
            .append(delivery(0, body("b")))
            .await
            .unwrap_err()
            .kind(),
        inbox
            .claim(ClaimRequest::due(1, at(0)))
            .await
            .unwrap_err()
            .kind(),
        twin.close().await.unwrap_err().kind(),
    ];
    assert_eq!(refused, [InboxErrorKind::Closed; 3]);

    // The old handle is still there, but the lock is not.
    let anew = SqliteInbox::open(&path).unwrap();
    assert_eq!(all_ids(&anew).await, [id]);
}

#[tokio::test]
async fn file_without_a_tag_is_outdated_until_it_is_completed() {
    let (_folder, path) = file();
    drop(SqliteInbox::open(&path).unwrap());
    let other = Connection::open(&path).unwrap();
    other
        .execute_batch("DELETE FROM inbox WHERE name = 'tag'")
        .unwrap();
    let error = SqliteInbox::open_read_only(&path).unwrap_err();
    assert_eq!(error.kind(), InboxErrorKind::Outdated);
    assert!(
        error
            .to_string()
            .ends_with("was not completed by the process that created it"),
        "{error}"
    );
    drop(SqliteInbox::open(&path).unwrap());
    assert!(SqliteInbox::open_read_only(&path).is_ok());
}
