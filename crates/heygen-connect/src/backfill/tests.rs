//! Every order of a log, against the sandbox.

use std::future::pending;
use std::path::PathBuf;

use heygen_api::{ApiError, ApiErrorKind, Client, Credentials, RetryPolicy};
use heygen_inbox::sqlite::SqliteInbox;
use heygen_inbox::{Appended, Inbox as _, InboxAdmin as _, NewDelivery, Query, Source};
use heygen_testkit::sandbox::{Fault, Misbehaviour, Operation, Sandbox};
use jiff::SignedDuration;
use tempfile::TempDir;

use super::*;
use crate::error::ConnectErrorKind;

mod failures;

/// A log with configurable answers, and an inbox.
struct Setup {
    heygen: Sandbox,
    folder: TempDir,
}

/// A record and its age in minutes.
#[derive(Clone, Copy)]
struct Record(&'static str, i64);

#[derive(Debug, PartialEq)]
enum Ended {
    Done,
    Failed(&'static str),
}

use Ended::{Done, Failed};

impl Setup {
    async fn new() -> Self {
        Self {
            heygen: Sandbox::start().await.expect("a sandbox"),
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("inbox.db")
    }

    fn client(&self) -> Client {
        let builder = Client::builder(Credentials::api_key("key")).base_url(self.heygen.url());
        builder
            .retry(RetryPolicy::never())
            .build()
            .expect("a client")
    }

    /// The inbox as a server opens it.
    fn inbox(&self) -> SqliteInbox {
        SqliteInbox::open(self.path()).expect("an inbox")
    }

    fn beside(&self) -> SqliteInbox {
        SqliteInbox::open_beside(self.path()).expect("an inbox")
    }

    /// A backfill next to a server, or without one.
    fn backfill(&self) -> Backfill<SqliteInbox> {
        Backfill::new(self.client(), self.beside())
    }

    /// Sets the next answers. All pages except the last announce more.
    fn pages(&self, pages: &[&[Record]]) -> &Self {
        let last = pages.len().saturating_sub(1);
        let pages = pages.iter().enumerate().map(|(index, records)| {
            let records: Vec<_> = records.iter().map(Record::json).collect();
            answer(
                &records.join(","),
                (index < last).then(|| format!("token-{index}")).as_deref(),
            )
        });
        self.answers(pages)
    }

    fn answers(&self, faults: impl IntoIterator<Item = Fault>) -> &Self {
        let none = Misbehaviour::default();
        let all = faults
            .into_iter()
            .fold(none, |all, fault| all.fault(fault.on(Operation::Events)));
        self.heygen.misbehave(all);
        self
    }

    async fn bodies(&self) -> Vec<String> {
        let reader = SqliteInbox::open_read_only(self.path()).expect("an inbox");
        let mut query = Query::default();
        query.oldest_first = true;
        let mut bodies = Vec::new();
        for summary in reader.list(query).await.expect("a list") {
            assert_eq!(summary.source, Source::Backfill);
            let stored = reader.get(summary.id).await;
            let body = stored.expect("readable").expect("there").body;
            bodies.push(String::from_utf8(body.to_vec()).expect("text"));
        }
        bodies
    }

    /// The ids of the stored records, in order.
    async fn ids(&self) -> Vec<String> {
        let id = |body: &String| {
            let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
            body["event_id"].as_str().unwrap_or("?").to_owned()
        };
        self.bodies().await.iter().map(id).collect()
    }
}

impl Record {
    fn json(&self) -> String {
        let made_at = Timestamp::now() - SignedDuration::from_mins(self.1);
        self.json_made(&format!("\"{made_at:.0}\""))
    }

    fn json_made(&self, made_at: &str) -> String {
        format!(
            "{{\"event_id\":\"{}\", \"event_type\":\"avatar_video.fail\",\"event_data\":{},\"created_at\":{made_at}}}",
            self.0,
            self.data()
        )
    }

    fn data(&self) -> String {
        format!("{{\"video_id\":\"video-{}\",\"msg\":\"no\"}}", self.0)
    }

    /// As HeyGen posts it: without an id.
    fn posted(&self) -> NewDelivery {
        let body = format!(
            "{{\"event_type\":\"avatar_video.fail\",\"event_data\":{}}}",
            self.data()
        );
        NewDelivery::new(
            SystemTime::now(),
            Source::Webhook,
            Vec::new(),
            body.into_bytes().into(),
        )
    }
}

fn page(records: &[Record], token: Option<&str>) -> Fault {
    let records: Vec<_> = records.iter().map(Record::json).collect();
    answer(&records.join(","), token)
}

fn answer(records: &str, token: Option<&str>) -> Fault {
    let (has_more, token) = (token.is_some(), serde_json::json!(token));
    Fault::refuse(200).body(format!(
        "{{\"data\":[{records}],\"has_more\":{has_more},\"next_token\":{token}}}"
    ))
}

/// One pass, and what it did: pages, new, known, unreadable, skipped.
async fn pass(work: &mut Backfill<SqliteInbox>, scope: PassScope) -> (Ended, [u64; 5]) {
    let mut progress = BackfillProgress::default();
    let mut on_progress = |so_far: &BackfillProgress| progress = *so_far;
    let ended = work.pass(scope, pin!(pending()), &mut on_progress).await;
    let ended = match ended {
        Ok(BackfillOutcome::Complete) => Done,
        Ok(BackfillOutcome::Stopped) => Failed("stopped"),
        Err(error) => Failed(
            match (error.kind(), error.api_error().map(ApiError::kind)) {
                (ConnectErrorKind::EndlessLog, _) => "not whole",
                (ConnectErrorKind::Inbox, _) => "inbox",
                (_, Some(ApiErrorKind::Server)) => "server",
                (_, Some(ApiErrorKind::RateLimited)) => "rate",
                (_, Some(ApiErrorKind::InvalidParameter)) => "parameter",
                _ => "other",
            },
        ),
    };
    let BackfillProgress {
        pages,
        new,
        known,
        unreadable,
        skipped,
    } = progress;
    (ended, [pages, new, known, unreadable, skipped])
}

const A: Record = Record("a", 60);
const B: Record = Record("b", 120);
const C: Record = Record("c", 180);
const D: Record = Record("d", 240);
const E: Record = Record("e", 300);
const F: Record = Record("f", 360);

const DAY: i64 = 24 * 60;

#[tokio::test]
async fn page_is_stored_oldest_first_in_either_log_order() {
    let setup = Setup::new().await;
    setup.pages(&[&[A, B, C], &[D, E]]);
    assert_eq!(
        pass(&mut setup.backfill(), PassScope::Full).await,
        (Done, [2, 5, 0, 0, 0])
    );
    assert_eq!(setup.ids().await, ["c", "b", "a", "e", "d"]);

    let rising = Setup::new().await;
    rising.pages(&[&[E, D], &[C, B, A]]);
    assert_eq!(
        pass(&mut rising.backfill(), PassScope::Full).await,
        (Done, [2, 5, 0, 0, 0])
    );
    assert_eq!(rising.ids().await, ["e", "d", "c", "b", "a"]);
}

#[tokio::test]
async fn record_is_stored_byte_for_byte() {
    let text = "{ \"event_type\":\"avatar_video.fail\" ,\n\"event_data\":{\"n\":12345678901234567890123,\"n\":1e999},\"event_id\":\"x\"}";
    let setup = Setup::new().await;
    setup.answers([answer(text, None), answer(text, None)]);
    let inbox = setup.inbox();
    let mut server = Backfill::new(setup.client(), inbox.clone());
    assert_eq!(
        pass(&mut server, PassScope::Incremental).await,
        (Done, [1, 1, 0, 0, 0])
    );
    assert_eq!(
        pass(&mut setup.backfill(), PassScope::Full).await,
        (Done, [1, 0, 1, 0, 0])
    );
    assert_eq!(setup.bodies().await, [text]);
}

#[tokio::test]
async fn post_and_its_record_are_one_event_in_either_order() {
    let setup = Setup::new().await;
    let inbox = setup.inbox();
    let first = inbox.append(A.posted()).await.expect("kept");
    setup.pages(&[&[A, B]]);
    let mut server = Backfill::new(setup.client(), inbox.clone());
    assert_eq!(
        pass(&mut server, PassScope::Incremental).await,
        (Done, [1, 1, 1, 0, 0])
    );
    let late = inbox.append(B.posted()).await.expect("known");
    assert!(matches!(first, Appended::New(_)) && matches!(late, Appended::Duplicate(_)));
    assert_eq!(inbox.list(Query::default()).await.expect("a list").len(), 2);
}

#[tokio::test]
async fn incremental_pass_ends_at_a_known_page_of_a_falling_log() {
    let setup = Setup::new().await;
    let mut work = setup.backfill();
    for (pages, scope, expected) in [
        (
            &[&[A, B][..], &[C, D], &[E]][..],
            PassScope::Incremental,
            [3, 5, 0, 0, 0],
        ),
        (
            &[&[A, B], &[C, D], &[E]],
            PassScope::Incremental,
            [1, 0, 2, 0, 0],
        ),
        (&[&[A, B], &[C, D], &[E]], PassScope::Full, [3, 0, 5, 0, 0]),
        // A log that rises, or whose order is unknown yet, is read to its end.
        (
            &[&[E, D], &[C, B], &[A]],
            PassScope::Incremental,
            [3, 0, 5, 0, 0],
        ),
        (
            &[&[C], &[B], &[F, E]],
            PassScope::Incremental,
            [3, 1, 3, 0, 0],
        ),
    ] {
        setup.pages(pages);
        assert_eq!(pass(&mut work, scope).await, (Done, expected), "{scope:?}");
    }
}

/// The events of the night come after a page of recent ones that were delivered by POST.
#[tokio::test]
async fn recent_post_does_not_end_an_incremental_pass() {
    const NEW: Record = Record("new", 1);
    const NEWER: Record = Record("newer", 0);
    let setup = Setup::new().await;
    let inbox = setup.inbox();
    let mut work = Backfill::new(setup.client(), inbox.clone());
    setup.pages(&[&[B, C]]);
    assert_eq!(
        pass(&mut work, PassScope::Incremental).await,
        (Done, [1, 2, 0, 0, 0])
    );
    for posted in [NEW, NEWER] {
        inbox.append(posted.posted()).await.expect("kept");
    }
    setup.pages(&[&[NEWER, NEW], &[A, B], &[C, D]]);
    assert_eq!(
        pass(&mut work, PassScope::Incremental).await,
        (Done, [3, 2, 4, 0, 0])
    );
}

#[tokio::test]
async fn since_ends_a_falling_log_and_skips_records_of_any_other() {
    let since = || SystemTime::now() - Duration::from_secs(150 * 60);
    for (pages, expected) in [
        (&[&[A, B, C][..], &[D], &[E]][..], [2, 2, 0, 0, 2]),
        // A record that was logged late, at the end of a page.
        (&[&[A, E], &[B], &[D]], [3, 2, 0, 0, 2]),
        (&[&[E, D], &[C, B], &[A]], [3, 2, 0, 0, 3]),
        (&[&[C], &[A], &[E, B]], [3, 2, 0, 0, 2]),
    ] {
        let setup = Setup::new().await;
        setup.pages(pages);
        let mut work = setup.backfill().since(since());
        assert_eq!(pass(&mut work, PassScope::Full).await, (Done, expected));
    }
}

#[tokio::test]
async fn record_without_creation_time_is_stored() {
    let setup = Setup::new().await;
    let odd = [
        "null",
        "\"soon\"",
        "1790000000",
        "\"2025-10-21T13:49:18\"",
        "{}",
    ];
    let records: Vec<_> = odd
        .iter()
        .zip(["1", "2", "3", "4", "5"])
        .map(|(made_at, id)| Record(id, 0).json_made(made_at))
        .chain([C.json(), E.json()])
        .collect();
    setup.answers([answer(&records.join(","), None)]);
    let since = SystemTime::now() - Duration::from_secs(240 * 60);
    let mut work = setup.backfill().since(since);
    assert_eq!(
        pass(&mut work, PassScope::Full).await,
        (Done, [1, 6, 0, 0, 1])
    );
}

/// Its index in the log may be anywhere, and so may that of what is behind it.
#[tokio::test]
async fn known_record_without_creation_time_does_not_end_a_pass() {
    let setup = Setup::new().await;
    let untimed = [A.json(), Record("odd", 0).json_made("null"), B.json()].join(",");
    let mut work = setup.backfill();
    setup.answers([answer(&untimed, None)]);
    let first = pass(&mut work, PassScope::Incremental).await;
    assert_eq!(first, (Done, [1, 3, 0, 0, 0]));
    setup.answers([answer(&untimed, Some("t1")), page(&[C], None)]);
    let second = pass(&mut work, PassScope::Incremental).await;
    assert_eq!(second, (Done, [2, 1, 3, 0, 0]));
}

#[tokio::test]
async fn older_records_are_stored_only_with_again_since() {
    const OLD: Record = Record("old", 4 * DAY);
    const OLDER: Record = Record("older", 5 * DAY);
    const OLDEST: Record = Record("oldest", 6 * DAY);
    let setup = Setup::new().await;
    setup.pages(&[&[A, OLD]]);
    assert_eq!(
        pass(&mut setup.backfill(), PassScope::Full).await,
        (Done, [1, 2, 0, 0, 0])
    );
    // As if the records had been stored and pruned since.
    setup.pages(&[&[A, OLDER], &[OLDEST], &[F]]);
    assert_eq!(
        pass(&mut setup.backfill(), PassScope::Full).await,
        (Done, [2, 0, 1, 0, 2])
    );
    let long_ago = SystemTime::now() - Duration::from_secs(30 * 86_400);
    setup.pages(&[&[A, OLDER]]);
    let mut again = setup.backfill().again_since(long_ago);
    assert_eq!(
        pass(&mut again, PassScope::Full).await,
        (Done, [1, 1, 1, 0, 0])
    );
    // That says nothing about older records: the earlier pass is still valid.
    setup.pages(&[&[A, OLD], &[OLDEST], &[F]]);
    assert_eq!(
        pass(&mut setup.backfill(), PassScope::Full).await,
        (Done, [2, 0, 1, 0, 2])
    );
}

/// The clock was a year ahead and is correct again.
#[tokio::test]
async fn bookmark_from_the_future_skips_nothing() {
    let setup = Setup::new().await;
    let mut work = setup.backfill();
    let ahead = Timestamp::now() + SignedDuration::from_hours(24 * 365);
    let complete = bookmark::Complete {
        since: None,
        deep_at: ahead,
        last_at: ahead,
    };
    let unfinished = bookmark::Unfinished {
        goal: complete,
        lower: None,
        token: Some("t1".to_owned()),
        token_at: Timestamp::now(),
    };
    let complete = Some(complete);
    for (complete, unfinished) in [(complete, None), (None, Some(unfinished))] {
        set_bookmark(&work, complete, unfinished).await;
        setup.pages(&[&[A, B]]);
        let (ended, [pages, new, known, ..]) = pass(&mut work, PassScope::Incremental).await;
        assert_eq!((ended, pages, new + known), (Done, 1, 2));
    }
    // Nor does it stay in the way of a pass over less.
    set_bookmark(&work, complete, None).await;
    let mut short = setup.backfill().again_since(SystemTime::now());
    assert_eq!(pass(&mut short, PassScope::Full).await.0, Done);
    let text = work.target.bookmark("backfill").await.expect("readable");
    let complete = Bookmark::read(text.as_deref()).complete.expect("a pass");
    assert!(complete.is_past(Timestamp::now()));
}

async fn set_bookmark(
    work: &Backfill<SqliteInbox>,
    complete: Option<bookmark::Complete>,
    unfinished: Option<bookmark::Unfinished>,
) {
    let bookmark = Bookmark {
        complete,
        unfinished,
    };
    let text = serde_json::to_string(&bookmark).expect("JSON");
    let set = work.target.set_bookmark("backfill", text);
    set.await.expect("written");
}

/// A pass over the last hours alone leaves a gap behind it, which the next has to fill.
#[tokio::test]
async fn pass_with_since_does_not_count_as_a_full_pass() {
    let setup = Setup::new().await;
    let since = SystemTime::now() - Duration::from_secs(150 * 60);
    setup.pages(&[&[A, B, C]]);
    let mut short = setup.backfill().again_since(since);
    assert_eq!(
        pass(&mut short, PassScope::Full).await,
        (Done, [1, 2, 0, 0, 1])
    );
    setup.pages(&[&[A, B], &[C, Record("old", 9 * DAY)]]);
    assert_eq!(
        pass(&mut setup.backfill(), PassScope::Incremental).await,
        (Done, [2, 2, 2, 0, 0])
    );
}

#[tokio::test]
async fn unreadable_record_is_stored_and_counted() {
    let setup = Setup::new().await;
    let records = format!("7, {{\"event_id\":\"x\"}}, {}", A.json());
    setup.answers([answer(&records, None), answer(&records, None)]);
    assert_eq!(
        pass(&mut setup.backfill(), PassScope::Full).await,
        (Done, [1, 3, 0, 2, 0])
    );
    assert_eq!(
        pass(&mut setup.backfill(), PassScope::Full).await,
        (Done, [1, 0, 3, 2, 0])
    );
    assert_eq!(setup.bodies().await[0], "7");
}

#[tokio::test]
async fn dry_run_counts_and_changes_nothing() {
    let setup = Setup::new().await;
    let dry = || {
        let inbox = setup.path().exists().then(|| setup.beside());
        Backfill::dry_run(setup.client(), inbox)
    };
    // New events moved a record from the first page to the second.
    setup.pages(&[&[A, B], &[B, C]]);
    assert_eq!(
        pass(&mut dry(), PassScope::Full).await,
        (Done, [2, 3, 1, 0, 0])
    );
    assert!(!setup.path().exists());
    setup.pages(&[&[A]]);
    assert_eq!(
        pass(&mut setup.backfill(), PassScope::Full).await,
        (Done, [1, 1, 0, 0, 0])
    );
    setup.pages(&[&[A, B]]);
    assert_eq!(
        pass(&mut dry(), PassScope::Full).await,
        (Done, [1, 1, 1, 0, 0])
    );
    assert_eq!(setup.ids().await, ["a"]);
}
