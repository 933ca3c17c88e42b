//! Every way a log may come, against the sandbox.

use std::future::pending;
use std::path::PathBuf;

use heygen_api::{ApiError, Client, Credentials, ErrorKind, RetryPolicy};
use heygen_inbox::sqlite::SqliteInbox;
use heygen_inbox::{Appended, Inbox as _, InboxAdmin as _, NewDelivery, Query, Source};
use heygen_testkit::sandbox::{Fault, Misbehaviour, Operation, Sandbox};
use jiff::SignedDuration;
use tempfile::TempDir;

use super::*;
use crate::error::ConnectErrorKind;

mod trouble;

/// A log that answers what it is told to, and an inbox.
struct World {
    heygen: Sandbox,
    folder: TempDir,
}

/// One record that is so many minutes old.
#[derive(Clone, Copy)]
struct Record(&'static str, i64);

#[derive(Debug, PartialEq)]
enum Ended {
    Done,
    Failed(&'static str),
}

use Ended::{Done, Failed};

impl World {
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

    /// As a server has it.
    fn inbox(&self) -> SqliteInbox {
        SqliteInbox::open(self.path()).expect("an inbox")
    }

    fn beside(&self) -> SqliteInbox {
        SqliteInbox::open_beside(self.path()).expect("an inbox")
    }

    /// Beside a server, or without one.
    fn backfill(&self) -> Backfill<SqliteInbox> {
        Backfill::new(self.client(), self.beside())
    }

    /// The next answers. All pages but the last say that there is more.
    fn pages(&self, pages: &[&[Record]]) -> &Self {
        let last = pages.len().saturating_sub(1);
        let pages = pages.iter().enumerate().map(|(place, records)| {
            let records: Vec<_> = records.iter().map(Record::json).collect();
            answer(
                &records.join(","),
                (place < last).then(|| format!("token-{place}")).as_deref(),
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
            let kept = reader.get(summary.id).await;
            let body = kept.expect("readable").expect("there").body;
            bodies.push(String::from_utf8(body.to_vec()).expect("text"));
        }
        bodies
    }

    /// The ids of what was kept, in that order.
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
async fn pass(work: &mut Backfill<SqliteInbox>, depth: Depth) -> (Ended, [u64; 5]) {
    let mut progress = BackfillProgress::default();
    let mut on_progress = |so_far: &BackfillProgress| progress = *so_far;
    let ended = work.pass(depth, pin!(pending()), &mut on_progress).await;
    let ended = match ended {
        Ok(BackfillOutcome::Complete) => Done,
        Ok(BackfillOutcome::Stopped) => Failed("stopped"),
        Err(error) => Failed(
            match (error.kind(), error.api_error().map(ApiError::kind)) {
                (ConnectErrorKind::EndlessLog, _) => "not whole",
                (ConnectErrorKind::Inbox, _) => "inbox",
                (_, Some(ErrorKind::Server)) => "server",
                (_, Some(ErrorKind::RateLimited)) => "rate",
                (_, Some(ErrorKind::InvalidParameter)) => "parameter",
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
async fn the_oldest_of_a_page_is_kept_first_whichever_way_it_comes() {
    let world = World::new().await;
    world.pages(&[&[A, B, C], &[D, E]]);
    assert_eq!(
        pass(&mut world.backfill(), Depth::Deep).await,
        (Done, [2, 5, 0, 0, 0])
    );
    assert_eq!(world.ids().await, ["c", "b", "a", "e", "d"]);

    let rising = World::new().await;
    rising.pages(&[&[E, D], &[C, B, A]]);
    assert_eq!(
        pass(&mut rising.backfill(), Depth::Deep).await,
        (Done, [2, 5, 0, 0, 0])
    );
    assert_eq!(rising.ids().await, ["e", "d", "c", "b", "a"]);
}

#[tokio::test]
async fn the_exact_text_of_a_record_is_its_body_in_either_inbox() {
    let text = "{ \"event_type\":\"avatar_video.fail\" ,\n\"event_data\":{\"n\":12345678901234567890123,\"n\":1e999},\"event_id\":\"x\"}";
    let world = World::new().await;
    world.answers([answer(text, None), answer(text, None)]);
    let inbox = world.inbox();
    let mut server = Backfill::new(world.client(), inbox.clone());
    assert_eq!(
        pass(&mut server, Depth::Between).await,
        (Done, [1, 1, 0, 0, 0])
    );
    assert_eq!(
        pass(&mut world.backfill(), Depth::Deep).await,
        (Done, [1, 0, 1, 0, 0])
    );
    assert_eq!(world.bodies().await, [text]);
}

#[tokio::test]
async fn a_post_and_its_record_are_one_event_in_either_order() {
    let world = World::new().await;
    let inbox = world.inbox();
    let first = inbox.append(A.posted()).await.expect("kept");
    world.pages(&[&[A, B]]);
    let mut server = Backfill::new(world.client(), inbox.clone());
    assert_eq!(
        pass(&mut server, Depth::Between).await,
        (Done, [1, 1, 1, 0, 0])
    );
    let late = inbox.append(B.posted()).await.expect("known");
    assert!(matches!(first, Appended::New(_)) && matches!(late, Appended::Duplicate(_)));
    assert_eq!(inbox.list(Query::default()).await.expect("a list").len(), 2);
}

#[tokio::test]
async fn between_deep_passes_a_page_of_old_acquaintances_is_the_end_where_the_log_falls() {
    let world = World::new().await;
    let mut work = world.backfill();
    for (pages, depth, expected) in [
        (
            &[&[A, B][..], &[C, D], &[E]][..],
            Depth::Between,
            [3, 5, 0, 0, 0],
        ),
        (&[&[A, B], &[C, D], &[E]], Depth::Between, [1, 0, 2, 0, 0]),
        (&[&[A, B], &[C, D], &[E]], Depth::Deep, [3, 0, 5, 0, 0]),
        // One that rises, or whose order cannot be told yet, is gone over whole.
        (&[&[E, D], &[C, B], &[A]], Depth::Between, [3, 0, 5, 0, 0]),
        (&[&[C], &[B], &[F, E]], Depth::Between, [3, 1, 3, 0, 0]),
    ] {
        world.pages(pages);
        assert_eq!(pass(&mut work, depth).await, (Done, expected), "{depth:?}");
    }
}

/// The night's events are behind a page of the morning's, which came by POST.
#[tokio::test]
async fn what_came_by_post_since_the_last_pass_ends_nothing() {
    const NEW: Record = Record("new", 1);
    const NEWER: Record = Record("newer", 0);
    let world = World::new().await;
    let inbox = world.inbox();
    let mut work = Backfill::new(world.client(), inbox.clone());
    world.pages(&[&[B, C]]);
    assert_eq!(
        pass(&mut work, Depth::Between).await,
        (Done, [1, 2, 0, 0, 0])
    );
    for posted in [NEW, NEWER] {
        inbox.append(posted.posted()).await.expect("kept");
    }
    world.pages(&[&[NEWER, NEW], &[A, B], &[C, D]]);
    assert_eq!(
        pass(&mut work, Depth::Between).await,
        (Done, [3, 2, 4, 0, 0])
    );
}

#[tokio::test]
async fn since_ends_a_log_that_falls_and_leaves_out_of_any_other() {
    let since = || SystemTime::now() - Duration::from_secs(150 * 60);
    for (pages, expected) in [
        (&[&[A, B, C][..], &[D], &[E]][..], [2, 2, 0, 0, 2]),
        // One that came into the log late, at the end of a page.
        (&[&[A, E], &[B], &[D]], [3, 2, 0, 0, 2]),
        (&[&[E, D], &[C, B], &[A]], [3, 2, 0, 0, 3]),
        (&[&[C], &[A], &[E, B]], [3, 2, 0, 0, 2]),
    ] {
        let world = World::new().await;
        world.pages(pages);
        let mut work = world.backfill().since(since());
        assert_eq!(pass(&mut work, Depth::Deep).await, (Done, expected));
    }
}

#[tokio::test]
async fn what_does_not_say_when_it_was_made_is_taken() {
    let world = World::new().await;
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
    world.answers([answer(&records.join(","), None)]);
    let since = SystemTime::now() - Duration::from_secs(240 * 60);
    let mut work = world.backfill().since(since);
    assert_eq!(pass(&mut work, Depth::Deep).await, (Done, [1, 6, 0, 0, 1]));
}

/// Its place in the log may be anywhere, and so may that of what is behind it.
#[tokio::test]
async fn an_old_acquaintance_without_a_time_ends_nothing() {
    let world = World::new().await;
    let untimed = [A.json(), Record("odd", 0).json_made("null"), B.json()].join(",");
    let mut work = world.backfill();
    world.answers([answer(&untimed, None)]);
    let first = pass(&mut work, Depth::Between).await;
    assert_eq!(first, (Done, [1, 3, 0, 0, 0]));
    world.answers([answer(&untimed, Some("t1")), page(&[C], None)]);
    let second = pass(&mut work, Depth::Between).await;
    assert_eq!(second, (Done, [2, 1, 3, 0, 0]));
}

#[tokio::test]
async fn what_a_complete_pass_left_behind_is_taken_only_when_asked_for() {
    const OLD: Record = Record("old", 4 * DAY);
    const OLDER: Record = Record("older", 5 * DAY);
    const OLDEST: Record = Record("oldest", 6 * DAY);
    let world = World::new().await;
    world.pages(&[&[A, OLD]]);
    assert_eq!(
        pass(&mut world.backfill(), Depth::Deep).await,
        (Done, [1, 2, 0, 0, 0])
    );
    // As if it had been there, and pruned since.
    world.pages(&[&[A, OLDER], &[OLDEST], &[F]]);
    assert_eq!(
        pass(&mut world.backfill(), Depth::Deep).await,
        (Done, [2, 0, 1, 0, 2])
    );
    let long_ago = SystemTime::now() - Duration::from_secs(30 * 86_400);
    world.pages(&[&[A, OLDER]]);
    let mut again = world.backfill().again_since(long_ago);
    assert_eq!(pass(&mut again, Depth::Deep).await, (Done, [1, 1, 1, 0, 0]));
    // Which says nothing of what was before that: the earlier pass still stands.
    world.pages(&[&[A, OLD], &[OLDEST], &[F]]);
    assert_eq!(
        pass(&mut world.backfill(), Depth::Deep).await,
        (Done, [2, 0, 1, 0, 2])
    );
}

/// The clock was a year ahead, and is right again.
#[tokio::test]
async fn a_pass_that_will_have_been_leaves_nothing_out() {
    let world = World::new().await;
    let mut work = world.backfill();
    let ahead = Timestamp::now() + SignedDuration::from_hours(24 * 365);
    let complete = bookmark::Complete {
        since: None,
        deep_at: ahead,
        last_at: ahead,
    };
    let bookmark = bookmark::Bookmark {
        complete: Some(complete),
        unfinished: None,
    };
    let text = serde_json::to_string(&bookmark).expect("JSON");
    let set = work.target.set_bookmark("backfill", text);
    set.await.expect("written");
    for expected in [[1, 2, 0, 0, 0], [1, 0, 2, 0, 0]] {
        world.pages(&[&[A, B]]);
        assert_eq!(pass(&mut work, Depth::Between).await, (Done, expected));
    }
}

/// A pass over the last hours alone leaves a gap behind it, which the next has to fill.
#[tokio::test]
async fn a_short_pass_is_not_taken_for_a_whole_one() {
    let world = World::new().await;
    let since = SystemTime::now() - Duration::from_secs(150 * 60);
    world.pages(&[&[A, B, C]]);
    let mut short = world.backfill().again_since(since);
    assert_eq!(pass(&mut short, Depth::Deep).await, (Done, [1, 2, 0, 0, 1]));
    world.pages(&[&[A, B], &[C, Record("old", 9 * DAY)]]);
    assert_eq!(
        pass(&mut world.backfill(), Depth::Between).await,
        (Done, [2, 2, 2, 0, 0])
    );
}

#[tokio::test]
async fn what_is_no_event_is_kept_and_counted() {
    let world = World::new().await;
    let records = format!("7, {{\"event_id\":\"x\"}}, {}", A.json());
    world.answers([answer(&records, None), answer(&records, None)]);
    assert_eq!(
        pass(&mut world.backfill(), Depth::Deep).await,
        (Done, [1, 3, 0, 2, 0])
    );
    assert_eq!(
        pass(&mut world.backfill(), Depth::Deep).await,
        (Done, [1, 0, 3, 2, 0])
    );
    assert_eq!(world.bodies().await[0], "7");
}

#[tokio::test]
async fn a_dry_run_counts_and_changes_nothing() {
    let world = World::new().await;
    let dry = || {
        let inbox = world.path().exists().then(|| world.beside());
        Backfill::dry_run(world.client(), inbox)
    };
    // The second page has what new events pushed off the first.
    world.pages(&[&[A, B], &[B, C]]);
    assert_eq!(pass(&mut dry(), Depth::Deep).await, (Done, [2, 3, 1, 0, 0]));
    assert!(!world.path().exists());
    world.pages(&[&[A]]);
    assert_eq!(
        pass(&mut world.backfill(), Depth::Deep).await,
        (Done, [1, 1, 0, 0, 0])
    );
    world.pages(&[&[A, B]]);
    assert_eq!(pass(&mut dry(), Depth::Deep).await, (Done, [1, 1, 1, 0, 0]));
    assert_eq!(world.ids().await, ["a"]);
}
