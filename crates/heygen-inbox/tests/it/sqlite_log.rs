//! How long the write-ahead log becomes while a program reads, and files that somebody else has
//! made.

use std::path::Path;

use heygen_inbox::sqlite::{CheckLevel, SqliteInbox};
use heygen_inbox::{AttemptOutcome, InboxAdmin as _, PruneStep};
use rusqlite::Connection;

use crate::support::{append_new, at, body, claim_due, complete, file, opened, until};

fn large(number: u64) -> String {
    let filling = "x".repeat(1_000_000);
    body(&number.to_string()).replacen('{', &format!(r#"{{"filling":"{filling}","#), 1)
}

#[tokio::test]
async fn pinned_write_ahead_log_is_counted_and_truncated_afterwards() {
    let (_folder, path, inbox) = opened();
    let other = Connection::open(&path).unwrap();
    other
        .execute_batch("BEGIN; SELECT count(*) FROM delivery")
        .unwrap();
    let mut last = 0;
    for number in 0..60 {
        append_new(&inbox, number, &large(number)).await;
        last = number;
    }
    let counts = inbox.counts().await.unwrap();
    assert!(counts.log_bytes > 60_000_000, "{counts:?}");
    assert!(counts.bytes > counts.log_bytes);
    let in_use = counts.bytes - counts.log_bytes;
    let pruned = inbox
        .prune(PruneStep::before(at(0)).limit(0))
        .await
        .unwrap();
    assert!(pruned.bytes > in_use + 30_000_000, "{pruned:?}");

    // No one reads or writes any more: the log is truncated.
    other.execute_batch("ROLLBACK").unwrap();
    until(async || inbox.counts().await.unwrap().log_bytes == 0).await;
    let pruned = inbox
        .prune(PruneStep::before(at(0)).limit(0))
        .await
        .unwrap();
    assert!(pruned.bytes < in_use + 1_000_000, "{pruned:?}");
    append_new(&inbox, last + 1, &large(last + 1)).await;
}

/// A file whose schema would run code in programs that open it.
fn make_hostile(path: &Path) {
    let other = Connection::open(path).unwrap();
    other
        .execute_batch(
            "CREATE TABLE stolen (body BLOB);
             CREATE TRIGGER keep_all BEFORE DELETE ON delivery BEGIN SELECT RAISE(ABORT, 'never'); END;
             CREATE TRIGGER steal AFTER INSERT ON content BEGIN INSERT INTO stolen VALUES (new.body); END;
             CREATE TRIGGER wake AFTER UPDATE ON delivery BEGIN UPDATE delivery SET state = 'dead_lettered'; END;",
        )
        .unwrap();
}

#[tokio::test]
async fn triggers_of_a_file_do_not_run_and_are_reported() {
    let (_folder, path) = file();
    drop(SqliteInbox::open(&path).unwrap());
    make_hostile(&path);
    let inbox = SqliteInbox::open(&path).unwrap();
    append_new(&inbox, 0, &body("a")).await;
    append_new(&inbox, 1, &body("b")).await;
    let claimed = claim_due(&inbox, 1, 1).await;
    complete(&inbox, &claimed[0], 1, AttemptOutcome::Acknowledged).await;
    let counts = inbox.counts().await.unwrap();
    assert_eq!((counts.pending, counts.dead_lettered), (1, 0));
    let beside = SqliteInbox::open_beside(&path).unwrap();
    let pruned = beside.prune(PruneStep::before(at(9))).await.unwrap();
    assert_eq!(pruned.deleted, 1);
    let other = Connection::open(&path).unwrap();
    let stolen: i64 = other
        .query_row("SELECT count(*) FROM stolen", (), |row| row.get(0))
        .unwrap();
    assert_eq!(stolen, 0);

    let reader = SqliteInbox::open_read_only(&path).unwrap();
    let issues = reader.check(CheckLevel::Full).await.unwrap();
    for trigger in ["keep_all", "steal", "wake"] {
        let expected = format!("trigger {trigger} is not part of an inbox");
        assert!(
            issues.iter().any(|issue| issue.what == expected),
            "{issues:?}"
        );
    }
}

#[tokio::test]
async fn view_in_place_of_a_table_is_not_queried() {
    let (_folder, path) = file();
    drop(SqliteInbox::open(&path).unwrap());
    let other = Connection::open(&path).unwrap();
    other
        .execute_batch(
            "ALTER TABLE drift RENAME TO real; \
             CREATE VIEW drift AS SELECT kind, event_type, hex(randomblob(1000)) AS name, count, first_at, last_at, example FROM real",
        )
        .unwrap();
    let reader = SqliteInbox::open_read_only(&path).unwrap();
    let error = reader.drift().await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("view"), "{cause}");
}
