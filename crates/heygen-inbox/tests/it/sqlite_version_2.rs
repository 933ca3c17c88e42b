//! Duplicates of what schema version 2 stored are still recognised.

use std::path::{Path, PathBuf};
use std::time::Duration;

use heygen_inbox::sqlite::{SqliteInbox, SqliteOptions};
use heygen_inbox::{Inbox as _, NewDelivery, Source};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::support::{all_ids, at, duplicate, new};

const P: Source = Source::Webhook;
const R: Source = Source::Backfill;
const C: Source = Source::Callback;
const I: Source = Source::Import;

/// A file as that version left it: `sqlite3` wrote this down.
fn file() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inbox.db");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(include_str!("version_2.sql")).unwrap();
    (folder, path)
}

fn open(path: &Path, run_len: usize) -> SqliteInbox {
    let mut options = SqliteOptions::default();
    options.run_len = run_len;
    SqliteInbox::open_with(path, options).unwrap()
}

fn delivery(minutes: u64, source: Source, body: &str) -> NewDelivery {
    let received_at = at(0) + Duration::from_secs(60 * minutes);
    NewDelivery::new(received_at, source, Vec::new(), body.to_owned().into())
}

const QUOTA: &str = r#"{"event_type":"instant_avatar.fail","event_data":{"reason":"quota"}}"#;
const TRAIN: &str =
    r#"{"event_id":"e8","event_type":"photo_avatar_train.fail","event_data":{"group_id":"g"}}"#;

/// A video of that id was made, and the `event_id` of that.
macro_rules! video {
    ($video_id:literal) => {
        concat!(
            r#"{"event_type":"avatar_video.success","event_data":{"video_id":""#,
            $video_id,
            r#""}}"#
        )
    };
    ($event_id:literal, $video_id:literal) => {
        concat!(
            r#"{"event_id":""#,
            $event_id,
            r#"","event_type":"avatar_video.success","event_data":{"video_id":""#,
            $video_id,
            r#""}}"#
        )
    };
}

/// Rows instead of tuples, so that a case is a line.
macro_rules! cases {
    ($($source:ident $body:expr, $minutes:literal, $row:expr;)*) => {
        &[$(($source, $body, $minutes, $row)),*]
    };
}

/// What comes, after how many minutes, and which row of the file it is, counted from 0.
const CASES: &[(Source, &str, u64, Option<usize>)] = cases! {
    P video!("a"), 5000, Some(0);
    P r#" {"event_data":{"video_id":"a"},"event_type":"avatar_video.success"}"#, 1, Some(0);
    P r#"{"event_type":"avatar_video.success","event_data":{"video_id":"a"},"callback_id":"o"}"#, 1, None;
    P video!("e0", "a"), 1, None;
    P QUOTA, 50, Some(1);
    P QUOTA, 70, None;
    P video!("e1", "c"), 5000, Some(2);
    P video!("e1", "other"), 1, None;
    P video!("c"), 1, None;
    R r#"{"event_id":"e1","event_type":"avatar_video.success","event_data":{"video_id":"c"},"created_at":"1"}"#,
        9, Some(2);
    R r#"{"event_id":"e5","event_type":"avatar_video.success","event_data":{"video_id":"d"},"created_at":"2026-09-21T14:00:00Z"}"#,
        9, Some(3);
    P video!("d"), 9, Some(3);
    R video!("e6", "d"), 9, None;
    C video!("k"), 9, Some(4);
    P video!("k"), 9, None;
    C video!("x1", "l"), 9, Some(5);
    C video!("x1", "m"), 9, None;
    P "not json", 9, Some(6);
    P "not json ", 9, None;
    P r#"{"event_type":"avatar_video.success","event_data":{"video_id":"r","n":1,"n":2}}"#, 9, Some(7);
    P r#"{"event_type":"avatar_video.success","event_data":{"video_id":"r","n":2}}"#, 9, None;
    P TRAIN, 9, Some(8);
    P r#"{"event_id":"e9","event_type":"photo_avatar_train.fail","event_data":{"group_id":"g"}}"#, 9, Some(9);
    R r#"{"event_id":"e8","event_type":"photo_avatar_train.fail","event_data":{"group_id":"g"},"created_at":"1"}"#,
        5000, Some(8);
    P r#"{"event_type":"scene.success","scene_id":"a"}"#, 9, Some(10);
    P r#"{"event_type":"scene.success","scene_id":"b"}"#, 9, None;
    P r#"{"event_type":"avatar_video.success","event_data":{"video_id":"s","title":"\ud800","n":123456789012345678901234567890}}"#,
        5000, Some(11);
    R r#"{"event_id":"e20","event_type":"instant_avatar.success","event_data":{"id":"q"},"created_at":"2026-09-21T14:00:00Z"}"#,
        9, Some(12);
    R r#"{"event_id":"e21","event_type":"instant_avatar.success","event_data":{"id":"q"},"created_at":"2026-09-21T15:00:00Z"}"#,
        9, Some(13);
    R r#"{"event_id":"e22","event_type":"instant_avatar.success","event_data":{"id":"q"},"created_at":"2026-09-21T15:00:00Z"}"#,
        9, None;
    P video!("t"), 9, Some(14);
    R video!("e30", "t"), 9, Some(14);
    I video!("a"), 9, Some(0);
    I video!("k"), 9, Some(4);
    I video!("new"), 9, None;
};

#[tokio::test]
async fn deliveries_of_version_2_are_recognised() {
    for (source, body, minutes, expected) in CASES {
        let (_folder, path) = file();
        let inbox = open(&path, 1 << 19);
        let mut rows = all_ids(&inbox).await;
        rows.reverse();
        let appended = inbox
            .append(delivery(*minutes, *source, body))
            .await
            .unwrap();
        match expected {
            Some(row) => assert_eq!(duplicate(appended), rows[*row], "{source} {body}"),
            None => assert!(!rows.contains(&new(appended)), "{source} {body}"),
        }
        drop(inbox);
        let reader = SqliteInbox::open_read_only(&path).unwrap();
        let issues = reader.check(Default::default());
        assert_eq!(issues.await.unwrap(), []);
    }
}

/// Its rows and new ones share a run of the index, and stand in different tables.
#[tokio::test]
async fn old_rows_and_new_ones_are_found_together() {
    let (_folder, path) = file();
    let body =
        |number: u64| format!(r#"{{"event_type":"a.b","event_data":{{"video_id":{number}}}}}"#);
    for round in 0..4 {
        let inbox = open(&path, 8);
        for number in 0..20 {
            let appended = inbox.append(delivery(1, P, &body(number))).await.unwrap();
            match round {
                0 => drop(new(appended)),
                _ => drop(duplicate(appended)),
            }
        }
        let mut rows = all_ids(&inbox).await;
        rows.reverse();
        assert_eq!(rows.len(), 35);
        for (source, body, _, expected) in CASES {
            if let Some(row) = expected {
                let appended = inbox.append(delivery(1, *source, body)).await.unwrap();
                assert_eq!(duplicate(appended), rows[*row], "{round} {source} {body}");
            }
        }
        inbox.close().await.unwrap();
    }
    let file = Connection::open(&path).unwrap();
    let count = |sql: &str| file.query_row(sql, (), |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(
        count("SELECT count(*) FROM seen WHERE run = 1"),
        15,
        "as it was"
    );
    assert_eq!(count("SELECT count(*) FROM seen"), 15);
    assert!(count("SELECT count(*) FROM seen_run WHERE version = 3") >= 2);
    assert_eq!(
        count("SELECT count(*) FROM delivery WHERE body_digest IS NULL"),
        15,
        "none is rewritten"
    );
}
