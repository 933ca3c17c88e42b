//! What is counted over time stays when deliveries are pruned and processes restart.

use std::time::{Duration, SystemTime};

use heygen_inbox::sqlite::SqliteInbox;
use heygen_inbox::{
    Appended, AttemptOutcome, ClaimRequest, Completion, Imported, Inbox as _, InboxAdmin as _,
    NewDelivery, PruneStep, Source, TrafficCount, TrafficKind, TrafficUnit,
};

use crate::support::{file, opened};

fn delivery(video_id: &str, source: Source) -> NewDelivery {
    let body =
        format!(r#"{{"event_type":"avatar_video.fail","event_data":{{"video_id":"{video_id}"}}}}"#);
    NewDelivery::new(SystemTime::now(), source, Vec::new(), body.into())
}

/// Of each kind, by either unit.
#[track_caller]
fn check(counts: &[TrafficCount], expected: [u64; 3]) {
    let of = |kind| {
        let counts = counts.iter().filter(|count| count.kind == kind);
        counts.map(|count| count.count).sum::<u64>()
    };
    assert_eq!(TrafficKind::ALL.map(of), expected, "{counts:?}");
    let name = Some("avatar_video.fail");
    assert!(
        counts
            .iter()
            .all(|count| count.event_type.as_deref() == name)
    );
}

#[tokio::test]
async fn counts_outlive_pruning_and_restarts() {
    let (_folder, path) = file();
    let since = SystemTime::now() - Duration::from_secs(60);
    let inbox = SqliteInbox::open(&path).unwrap();
    for video_id in ["a", "b", "a", "a"] {
        inbox
            .append(delivery(video_id, Source::Webhook))
            .await
            .unwrap();
    }
    // That it stands in HeyGen's log too is no repeat of it.
    inbox.append(delivery("a", Source::Backfill)).await.unwrap();
    let claim = ClaimRequest::due(2, SystemTime::now());
    for (claimed, result) in inbox
        .claim(claim)
        .await
        .unwrap()
        .deliveries
        .iter()
        .zip([AttemptOutcome::DeadLettered, AttemptOutcome::Acknowledged])
    {
        let completion = Completion::new(claimed, SystemTime::now(), Duration::ZERO, result);
        inbox.complete(completion).await.unwrap();
    }
    let later = SystemTime::now() + Duration::from_secs(60);
    let pruned = inbox.prune(PruneStep::before(later)).await.unwrap();
    assert_eq!(pruned.deleted, 2);
    inbox.close().await.unwrap();
    let inbox = SqliteInbox::open_read_only(&path).unwrap();
    for unit in [TrafficUnit::Minute, TrafficUnit::Hour] {
        check(&inbox.traffic(since, unit).await.unwrap(), [2, 2, 1]);
        let none = inbox
            .traffic(later + Duration::from_secs(3600), unit)
            .await
            .unwrap();
        assert_eq!(none, []);
    }
}

#[tokio::test]
async fn file_without_counts_gets_those_of_what_it_holds() {
    let (_folder, path, inbox) = opened();
    for video_id in ["a", "b"] {
        inbox
            .append(delivery(video_id, Source::Webhook))
            .await
            .unwrap();
    }
    inbox.close().await.unwrap();
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute_batch("DROP TABLE traffic; PRAGMA user_version = 5")
        .unwrap();
    drop(file);
    let inbox = SqliteInbox::open(&path).unwrap();
    let since = SystemTime::now() - Duration::from_secs(3600);
    check(
        &inbox.traffic(since, TrafficUnit::Hour).await.unwrap(),
        [2, 0, 0],
    );
}

#[tokio::test]
async fn imports_are_no_traffic() {
    let (_folder, _, inbox) = opened();
    let since = SystemTime::now() - Duration::from_secs(3600);
    let imported = Imported::new(delivery("a", Source::Webhook));
    let appended = inbox.import(vec![imported]).await.unwrap();
    assert!(appended.iter().all(|one| matches!(one, Appended::New(_))));
    for unit in [TrafficUnit::Minute, TrafficUnit::Hour] {
        assert_eq!(inbox.traffic(since, unit).await.unwrap(), []);
    }
}

/// One delivery with a wrong clock deletes no history, and old counts are still deleted.
#[tokio::test]
async fn clock_that_leaps_takes_no_history() {
    let (_folder, path) = file();
    let (start, days) = (SystemTime::now(), |days: u64| {
        Duration::from_secs(24 * 3600 * days)
    });
    let at = |video_id: &str, days_later| {
        let delivery = delivery(video_id, Source::Webhook);
        let (headers, body) = (delivery.headers().to_vec(), delivery.body().clone());
        NewDelivery::new(start + days(days_later), Source::Webhook, headers, body)
    };
    let counted = async |inbox: &SqliteInbox| {
        let counts = inbox.traffic(start, TrafficUnit::Hour).await.unwrap();
        counts.iter().map(|count| count.count).sum::<u64>()
    };
    let inbox = SqliteInbox::open(&path).unwrap();
    inbox.append(at("a", 0)).await.unwrap();
    inbox.append(at("b", 365)).await.unwrap();
    assert_eq!(counted(&inbox).await, 2);
    inbox.close().await.unwrap();
    // The same when it is the first of a process.
    let inbox = SqliteInbox::open(&path).unwrap();
    inbox.append(at("c", 800)).await.unwrap();
    assert_eq!(counted(&inbox).await, 3);
    for week in 1..=5 {
        let video_id = format!("week {week}");
        inbox.append(at(&video_id, week * 7)).await.unwrap();
    }
    // "a" is 35 days old by now.
    assert_eq!(counted(&inbox).await, 2 + 5);
}
