//! A file of an earlier version opens, and continues where it was. Version 2 has tests of its own.
//!
//! Each file is as `sqlite3` wrote it down after the program of that time had run, except version 3,
//! at which no program stopped; a new version of the file brings another.

use std::time::{Duration, SystemTime};

use heygen_inbox::sqlite::SqliteInbox;
use heygen_inbox::{
    Appended, AttemptOutcome, ClaimRequest, Completion, Inbox as _, InboxAdmin as _, NewDelivery,
    Query, Source, State,
};
use rusqlite::Connection;

use crate::support::{file, get};

const FILES: [(u32, &str); 4] = [
    (1, include_str!("version_1.sql")),
    (3, include_str!("version_3.sql")),
    (4, include_str!("version_4.sql")),
    (5, include_str!("version_5.sql")),
];

#[tokio::test]
async fn files_of_every_version_are_migrated_and_continue() {
    for (version, sql) in FILES {
        let (_folder, path) = file();
        let old = Connection::open(&path).unwrap();
        old.execute_batch(sql).unwrap();
        let found: u32 = old
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap();
        assert_eq!(found, version);
        drop(old);

        let inbox = SqliteInbox::open(&path).unwrap();
        let of = |state| inbox.list(Query::default().state(state));
        let done = of(State::Acknowledged).await.unwrap();
        assert_eq!(done.len(), 1, "version {version}");
        assert_eq!(of(State::Pending).await.unwrap().len(), 2);
        let stored = get(&inbox, done[0].id).await;
        assert_eq!(stored.redeliveries.count, 1);

        // Duplicates of what it holds are recognised.
        let now = SystemTime::now();
        let again = NewDelivery::new(now, Source::Webhook, Vec::new(), stored.body.clone());
        let appended = inbox.append(again).await.unwrap();
        assert!(matches!(appended, Appended::Duplicate(id) if id == done[0].id));

        // What was being retried is due, and its attempt is counted on.
        let later = now + Duration::from_secs(7 * 24 * 3600);
        let claimed = inbox.claim(ClaimRequest::due(10, later)).await.unwrap();
        assert_eq!(claimed.deliveries.len(), 2);
        for claimed in claimed.deliveries {
            assert_eq!(claimed.attempt, 2);
            let done = Completion::new(
                &claimed,
                later,
                Duration::ZERO,
                AttemptOutcome::Acknowledged,
            );
            inbox.complete(done).await.unwrap();
        }
        assert_eq!(of(State::Acknowledged).await.unwrap().len(), 3);
        let closed = inbox.closed();
        drop(inbox);
        closed.await;
    }
}
