//! Two processes at one inbox: a server that appends and dispatches, and an editor.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::SystemTime;

use heygen_inbox::sqlite::{CheckLevel, SqliteInbox};
use heygen_inbox::{
    Appended, AttemptOutcome, ClaimRequest, ClaimedDelivery, DeliveryId, Imported, Inbox as _,
    InboxAdmin as _, InboxErrorKind, PruneStep, Query, State,
};
use rusqlite::Connection;

use crate::support::{
    about, append_duplicate, append_new, at, attempts, body, body_with_id, claim_due, claim_one,
    claim_ordered, claim_soon, claimed_ids, complete, complete_one, completion, delivery, file,
    get, new, open_with_short_runs, opened, poll_once_and_drop,
};

#[tokio::test]
async fn owner_and_editor_recognise_duplicates_of_each_other() {
    let (_folder, path, inbox) = opened();
    let by_inbox = append_new(&inbox, 0, &body("a")).await;
    let beside = SqliteInbox::open_beside(&path).unwrap();
    assert_eq!(append_duplicate(&beside, 1, body("a")).await, by_inbox);
    let by_editor = append_new(&beside, 1, &body("b")).await;
    assert_eq!(append_duplicate(&inbox, 2, body("b")).await, by_editor);
    let later = append_new(&inbox, 0, &body("c")).await;
    assert!(later > by_editor, "ids rise over both");
    assert_eq!(append_duplicate(&beside, 3, body("c")).await, later);
    for inbox in [&inbox, &beside] {
        let found = inbox.find(vec![delivery(4, body("b"))]).await.unwrap();
        assert_eq!(found, [Some(by_editor)]);
    }
    let claimed = claim_due(&inbox, 10, 9).await;
    assert_eq!(claimed_ids(&claimed), [by_inbox, later, by_editor]);
}

/// An event that either stored is a duplicate for both, across runs of the index, restarts and
/// pruning.
#[tokio::test]
async fn every_event_is_stored_once_by_owner_and_editors() {
    let (_folder, path) = file();
    let mut inbox = open_with_short_runs(&path);
    let mut beside = SqliteInbox::open_beside(&path).unwrap();
    let mut stored = HashMap::new();
    let mut random: u64 = 7;
    let mut next = |below: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    for step in 0..1500 {
        let number = next(400);
        let text = match number % 3 {
            0 => body_with_id(&format!("e{number}"), &number.to_string()),
            _ => body(&number.to_string()),
        };
        let appended = match next(2) {
            0 => inbox.append(delivery(step, text)).await.unwrap(),
            _ => beside.append(delivery(step, text)).await.unwrap(),
        };
        match (appended, stored.get(&number)) {
            (Appended::New(id), None) => drop(stored.insert(number, id)),
            (Appended::Duplicate(id), Some(known)) => assert_eq!(id, *known, "step {step}"),
            (other, known) => panic!("step {step}, {number}: {other:?}, known {known:?}"),
        }
        match next(60) {
            0 => {
                drop(inbox);
                inbox = open_with_short_runs(&path);
            }
            1 => beside = SqliteInbox::open_beside(&path).unwrap(),
            _ => {}
        }
    }
    let all = inbox.list(Query::default()).await.unwrap();
    assert_eq!(all.len(), stored.len());
    let ids: HashSet<_> = all.iter().map(|summary| summary.id).collect();
    assert_eq!(ids, stored.values().copied().collect());
}

#[tokio::test]
async fn delivery_claimed_elsewhere_is_imported_as_pending() {
    let (_folder, path) = file();
    let beside = SqliteInbox::open_beside(&path).unwrap();
    let mut claimed = Imported::new(delivery(1, body("claimed")));
    claimed.state = State::Claimed;
    claimed.attempt_count = 1;
    let id = new(beside.import(vec![claimed]).await.unwrap()[0]);
    let inbox = SqliteInbox::open(&path).unwrap();
    let next = claim_one(&inbox, 5).await;
    assert_eq!((next.id, next.attempt), (id, 2));
}

#[tokio::test]
async fn pruning_deletes_index_rows() {
    let (_folder, path) = file();
    let inbox = open_with_short_runs(&path);
    for number in 0..200 {
        append_new(&inbox, number, &body(&number.to_string())).await;
        complete_one(&inbox, number, AttemptOutcome::Acknowledged).await;
    }
    let rows = |table: &str| {
        let connection = Connection::open(&path).unwrap();
        let sql = format!("SELECT count(*) FROM {table}");
        connection
            .query_row(&sql, (), |row| row.get::<_, i64>(0))
            .unwrap()
    };
    assert!(rows("seen_run") > 10);
    // By a server and by another process, in turn.
    let beside = SqliteInbox::open_beside(&path).unwrap();
    let mut next = None;
    for inbox in [&inbox, &beside].into_iter().cycle() {
        let step = PruneStep::before(at(190)).limit(20).after(next);
        next = inbox.prune(step).await.unwrap().next;
        if next.is_none() {
            break;
        }
    }
    for table in ["delivery", "content", "attempt"] {
        assert_eq!(rows(table), 10, "{table}");
    }
    assert!(rows("seen") <= 24, "{}", rows("seen"));
    for number in 0..200 {
        let appended = inbox
            .append(delivery(500, body(&number.to_string())))
            .await
            .unwrap();
        assert_eq!(
            matches!(appended, Appended::New(_)),
            number < 190,
            "{number}"
        );
    }
    for number in 0..200 {
        append_duplicate(&inbox, 600, body(&number.to_string())).await;
    }
}

/// Ever new names do not fill the file.
#[tokio::test]
async fn drift_of_many_names_is_counted_together() {
    let (_folder, path, inbox) = opened();
    for number in 0..1100 {
        let body = format!(r#"{{"event_type":"new.{number}","event_data":{{}}}}"#);
        append_new(&inbox, number, &body).await;
    }
    let reader = SqliteInbox::open_read_only(&path).unwrap();
    let drift = reader.drift().await.unwrap();
    assert!(drift.len() <= 1001, "{}", drift.len());
    let total: u64 = drift.iter().map(|one| one.count).sum();
    assert_eq!(total, 1100);
}

#[tokio::test]
async fn editor_creates_a_missing_inbox_and_rejects_other_files() {
    let (folder, path) = file();
    let other = folder.path().join("other.db");
    Connection::open(&other)
        .unwrap()
        .execute_batch("CREATE TABLE a (b)")
        .unwrap();
    assert!(SqliteInbox::open_beside(&other).is_err());
    let beside = SqliteInbox::open_beside(&path).unwrap();
    append_new(&beside, 0, &body("a")).await;
    // It leaves the file to a process that serves it.
    let inbox = SqliteInbox::open(&path).unwrap();
    assert_eq!(claim_one(&inbox, 1).await.attempt, 1);
}

/// An older event of a subject was replayed, and waits for a younger one that is being handled.
async fn older_waits_for_younger(path: &Path) -> (SqliteInbox, ClaimedDelivery) {
    let inbox = SqliteInbox::open(path).unwrap();
    let first = append_new(&inbox, 0, &about("a", 1)).await;
    let claimed = claim_ordered(&inbox, at(0)).await;
    complete(&inbox, &claimed[0], 0, AttemptOutcome::Acknowledged).await;
    append_new(&inbox, 1, &about("a", 2)).await;
    let second = claim_ordered(&inbox, at(1)).await.remove(0);
    let beside = SqliteInbox::open_beside(path).unwrap();
    beside.replay(vec![first], at(2)).await.unwrap();
    assert!(claim_ordered(&inbox, at(2)).await.is_empty());
    (inbox, second)
}

async fn check_older_is_next(inbox: &SqliteInbox, now: SystemTime, younger: &ClaimedDelivery) {
    let claimed = claim_ordered(inbox, now).await;
    assert_eq!(claimed.len(), 1);
    assert!(claimed[0].id < younger.id, "the older goes first now");
}

#[tokio::test]
async fn replayed_delivery_does_not_overtake_its_subject() {
    for (result, due_at) in [
        (AttemptOutcome::Acknowledged, 3),
        (AttemptOutcome::Retry, 10),
    ] {
        let (_folder, path) = file();
        let (inbox, second) = older_waits_for_younger(&path).await;
        let completion = completion(&second, 3, result).due_at(at(due_at));
        inbox.complete(completion).await.unwrap();
        check_older_is_next(&inbox, at(4), &second).await;
    }
}

#[tokio::test]
async fn subject_continues_after_a_crash_of_the_younger() {
    let (_folder, path) = file();
    let (inbox, second) = older_waits_for_younger(&path).await;
    drop(inbox);
    let inbox = SqliteInbox::open(&path).unwrap();
    // By the real clock: opening compares with it.
    check_older_is_next(&inbox, SystemTime::now(), &second).await;
}

#[tokio::test]
async fn no_id_is_given_below_pruned_ones() {
    let (_folder, path, inbox) = opened();
    append_new(&inbox, 1000, &body("a")).await;
    let first = complete_one(&inbox, 1000, AttemptOutcome::Acknowledged).await;
    let pruned = inbox.prune(PruneStep::before(at(2000))).await.unwrap();
    assert_eq!(pruned.deleted, 1);
    let beside = SqliteInbox::open_beside(&path).unwrap();
    let old = append_new(&beside, 500, &body("b")).await;
    assert!(old > first);
    assert_eq!(append_duplicate(&inbox, 2000, body("b")).await, old);
}

#[tokio::test]
async fn unreadable_row_blocks_no_other_delivery() {
    let (_folder, path, inbox) = opened();
    let damaged = append_new(&inbox, 0, &body("a")).await;
    let lost = append_new(&inbox, 1, &body("b")).await;
    let sound = append_new(&inbox, 2, &body("c")).await;
    let other = Connection::open(&path).unwrap();
    other.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    let key = |id: DeliveryId| id.key().cast_signed();
    other
        .execute(
            "UPDATE content SET headers = 'x' WHERE id = ?1",
            [key(damaged)],
        )
        .unwrap();
    other
        .execute("DELETE FROM content WHERE id = ?1", [key(lost)])
        .unwrap();
    assert_eq!(claim_one(&inbox, 3).await.id, sound);
    assert_eq!(inbox.counts().await.unwrap().dead_lettered, 2);
}

#[tokio::test]
async fn editor_can_do_all_but_claim() {
    let (_folder, path, inbox) = opened();
    let beside = SqliteInbox::open_beside(&path).unwrap();
    let id = append_new(&inbox, 0, &body("a")).await;
    let refused = beside.claim(ClaimRequest::due(1, at(5))).await.unwrap_err();
    assert_eq!(refused.kind(), InboxErrorKind::Unsupported);
    let claimed = claim_one(&inbox, 5).await;
    let done = completion(&claimed, 5, AttemptOutcome::Acknowledged);
    let refused = beside.complete(done.clone()).await.unwrap_err();
    assert_eq!(refused.kind(), InboxErrorKind::Unsupported);
    inbox.complete(done).await.unwrap();
    let replayed = beside.replay(vec![id], at(6)).await.unwrap();
    assert_eq!(replayed.pending, 1);
    let name = || "a".to_owned();
    let set = beside.set_bookmark(name(), Some("b".to_owned()));
    set.await.unwrap();
    let bookmark = inbox.bookmark(name()).await.unwrap();
    assert_eq!(bookmark.as_deref(), Some("b"));
    beside.ready().await.unwrap();
    beside.close().await.unwrap();
    let closed = beside.ready().await.unwrap_err();
    assert_eq!(closed.kind(), InboxErrorKind::Closed);
    inbox.ready().await.unwrap();
}

/// Appended together, they share a transaction; each is answered for itself.
#[tokio::test]
async fn appends_beside_a_server_are_answered_one_by_one() {
    let (_folder, path) = file();
    let beside = SqliteInbox::open_beside(&path).unwrap();
    let appends = (0..100).map(|number| {
        let (beside, body) = (beside.clone(), body(&(number % 50).to_string()));
        tokio::spawn(async move { beside.append(delivery(0, body)).await.unwrap() })
    });
    let appends: Vec<_> = appends.collect();
    let mut ids = HashMap::new();
    for (number, append) in appends.into_iter().enumerate() {
        let appended = append.await.unwrap();
        let id = *ids.entry(number % 50).or_insert(appended.id());
        assert_eq!(appended.id(), id);
    }
    assert_eq!(beside.count(Query::default()).await.unwrap(), 50);
}

/// A subject that this file refuses, among others that it takes.
#[tokio::test]
async fn bad_append_of_an_editor_fails_alone() {
    let (_folder, path) = file();
    drop(SqliteInbox::open(&path).unwrap());
    let other = Connection::open(&path).unwrap();
    other
        .execute_batch("CREATE UNIQUE INDEX bad ON delivery (outcome) WHERE subject_id LIKE 'bad%'")
        .unwrap();
    let beside = SqliteInbox::open_beside(&path).unwrap();
    // They wait for this lock together, and then share a transaction.
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let names = ["first", "bad 1", "a", "bad 2", "b"];
    let mut appends = names.map(|name| Box::pin(beside.append(delivery(0, body(name)))));
    for append in &mut appends {
        assert!(poll_once_and_drop(append).await.is_none());
    }
    other.execute_batch("COMMIT").unwrap();
    let mut stored = Vec::new();
    for append in appends {
        stored.push(append.await.is_ok());
    }
    assert_eq!(stored, [true, true, true, false, true]);
}

#[tokio::test]
async fn read_only_inbox_changes_nothing() {
    let (_folder, path) = file();
    let missing = SqliteInbox::open_read_only(&path).unwrap_err();
    assert_eq!(missing.kind(), InboxErrorKind::Storage);
    assert!(!path.exists());
    let inbox = SqliteInbox::open(&path).unwrap();
    let id = append_new(&inbox, 0, &body("a")).await;
    let reader = SqliteInbox::open_read_only(&path).unwrap();
    let later = append_new(&inbox, 1, &body("b")).await;
    assert_eq!(reader.count(Query::default()).await.unwrap(), 2);
    for number in 3..5 {
        // A delivery that was appended since its last lookup is found too.
        let newest = append_new(&inbox, number, &body(&number.to_string())).await;
        let asked = ["b", &number.to_string(), "new"].map(|name| delivery(9, body(name)));
        let found = reader.find(asked.into()).await.unwrap();
        assert_eq!(found, [Some(later), Some(newest), None]);
    }
    assert!(reader.get(later).await.unwrap().is_some());
    let refused = [
        reader.append(delivery(2, body("c"))).await.map(drop),
        reader.claim(ClaimRequest::due(1, at(3))).await.map(drop),
        reader.replay(vec![id], at(3)).await.map(drop),
        reader.prune(PruneStep::before(at(9))).await.map(drop),
        reader.set_bookmark("a".into(), None).await,
        reader.ready().await,
    ];
    for refused in refused {
        assert_eq!(refused.unwrap_err().kind(), InboxErrorKind::Unsupported);
    }
    let mut closed = Box::pin(reader.closed());
    assert!(poll_once_and_drop(&mut closed).await.is_none());
    reader.close().await.unwrap();
    closed.await;
    let later = reader.list(Query::default()).await.unwrap_err();
    assert_eq!(later.kind(), InboxErrorKind::Closed);
    assert_eq!(inbox.count(Query::default()).await.unwrap(), 4);
}

/// A copy of the file alone has everything, once no process has it open.
#[tokio::test]
async fn last_close_leaves_no_write_ahead_log() {
    for number in 0..60 {
        let (_folder, path) = file();
        let beside = SqliteInbox::open_beside(&path).unwrap();
        append_new(&beside, 0, &body("a")).await;
        if number % 2 == 0 {
            beside.close().await.unwrap();
        }
        drop(beside);
        let log = path.with_extension("db-wal");
        let log_len = std::fs::metadata(&log).map_or(0, |log| log.len());
        assert_eq!(log_len, 0, "{number}: {}", log.display());
    }
}

#[tokio::test]
async fn pause_by_another_process_holds_over_restarts() {
    let (_folder, path, inbox) = opened();
    let beside = SqliteInbox::open_beside(&path).unwrap();
    beside.pause(at(1)).await.unwrap();
    append_new(&inbox, 1, &body("a")).await;
    let claim = inbox.claim(ClaimRequest::due(10, at(9))).await.unwrap();
    assert!(claim.is_paused && claim.deliveries.is_empty());
    inbox.close().await.unwrap();
    drop(inbox);
    let inbox = SqliteInbox::open(&path).unwrap();
    assert_eq!(inbox.paused().await.unwrap(), Some(at(1)));
    let claim = inbox.claim(ClaimRequest::due(10, at(9))).await.unwrap();
    assert!(claim.is_paused && claim.deliveries.is_empty());
    beside.resume().await.unwrap();
    claim_one(&inbox, 9).await;
}

/// A delivery that takes its process with it can be changed while none runs, and never before.
#[tokio::test]
async fn interrupted_deliveries_are_changed_by_hand_while_no_process_serves() {
    let (_folder, path, inbox) = opened();
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        ids.push(append_new(&inbox, 0, &body(name)).await);
    }
    inbox.claim(ClaimRequest::due(3, at(1))).await.unwrap();
    let beside = SqliteInbox::open_beside(&path).unwrap();
    let report = beside.dead_letter(ids.clone(), at(2)).await.unwrap();
    assert_eq!((report.dead_lettered, report.claimed), (0, 3));
    let report = beside.delete(ids.clone()).await.unwrap();
    assert_eq!((report.deleted, report.claimed), (0, 3));
    let report = beside.replay(ids.clone(), at(2)).await.unwrap();
    assert_eq!((report.pending, report.claimed), (0, 3));
    drop(inbox);

    let report = beside.dead_letter(vec![ids[0]], at(3)).await.unwrap();
    assert_eq!((report.dead_lettered, report.claimed), (1, 0));
    let report = beside.delete(vec![ids[1]]).await.unwrap();
    assert_eq!((report.deleted, report.claimed), (1, 0));
    let report = beside.replay(vec![ids[2]], at(3)).await.unwrap();
    assert_eq!((report.pending, report.claimed), (1, 0));
    let given_up = get(&beside, ids[0]).await;
    assert_eq!(
        attempts(&given_up),
        [
            (1, AttemptOutcome::Interrupted),
            (2, AttemptOutcome::DeadLettered)
        ]
    );
    let inbox = SqliteInbox::open(&path).unwrap();
    let claimed = claim_one(&inbox, 9).await;
    assert_eq!((claimed.id, claimed.attempt), (ids[2], 2));
    assert_eq!(claimed.first_attempt, 2, "it has all its attempts again");
    assert_eq!(inbox.check(CheckLevel::Full).await.unwrap(), []);
}

/// What the server remembers as just received is not dispatched from memory.
#[tokio::test]
async fn live_deliveries_given_up_and_deleted_beside_are_not_dispatched() {
    let (_folder, path, inbox) = opened();
    let beside = SqliteInbox::open_beside(&path).unwrap();
    let given_up = append_new(&inbox, 0, &body("a")).await;
    let deleted = append_new(&inbox, 0, &body("b")).await;
    let other = append_new(&inbox, 0, &body("c")).await;
    beside.dead_letter(vec![given_up], at(1)).await.unwrap();
    beside.delete(vec![deleted]).await.unwrap();
    let claimed = claim_soon(&inbox, 2).await;
    assert_eq!(claimed_ids(&claimed), [other]);
    let again = append_new(&inbox, 3, &body("b")).await;
    assert!(again > other);
}
