//! Retention deletes finished deliveries by age and size, never pending ones.

use std::time::{Duration, SystemTime};

use heygen_inbox::{
    AttemptOutcome, ClaimRequest, Completion, Inbox as _, InboxAdmin as _, MemoryInbox,
    NewDelivery, Query, Source, State,
};
use heygen_receiver::Retention;
use tokio::task::JoinHandle;

use crate::support::until;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// So many deliveries of so many days ago, of which every other is done.
async fn fill(inbox: &MemoryInbox, count: usize, age: Duration) {
    for number in 0..count {
        let body = format!(
            r#"{{"event_type":"x.y","event_data":{{"video_id":"{number} {}"}},"filling":"{}"}}"#,
            age.as_secs(),
            "x".repeat(1000)
        );
        let received_at = SystemTime::now() - age;
        let delivery = NewDelivery::new(received_at, Source::Webhook, Vec::new(), body.into());
        inbox.append(delivery).await.unwrap();
        let claim = inbox
            .claim(ClaimRequest::due(1, SystemTime::now()))
            .await
            .unwrap();
        let (result, wait) = match number % 2 {
            0 => (AttemptOutcome::Acknowledged, Duration::ZERO),
            _ => (AttemptOutcome::Retry, DAY),
        };
        let claimed = &claim.deliveries[0];
        let finish = Completion::new(claimed, SystemTime::now(), Duration::ZERO, result);
        inbox
            .complete(finish.due_at(SystemTime::now() + wait))
            .await
            .unwrap();
    }
}

fn run(inbox: &MemoryInbox, retention: Retention) -> JoinHandle<()> {
    tokio::spawn(retention.run(inbox.clone(), std::future::pending()))
}

async fn count(inbox: &MemoryInbox, state: State) -> usize {
    inbox
        .list(Query::default().state(state))
        .await
        .unwrap()
        .len()
}

#[tokio::test]
async fn old_finished_deliveries_are_deleted() {
    let inbox = MemoryInbox::new();
    fill(&inbox, 40, 40 * DAY).await;
    fill(&inbox, 10, DAY).await;
    let mut retention = Retention::default();
    retention.keep = Some(30 * DAY);
    let task = run(&inbox, retention);
    until(async || count(&inbox, State::Acknowledged).await == 5).await;
    assert_eq!(count(&inbox, State::Pending).await, 25);
    task.abort();
}

#[tokio::test]
async fn oldest_deliveries_are_deleted_down_to_the_limit() {
    let inbox = MemoryInbox::new();
    fill(&inbox, 1200, DAY).await;
    let mut retention = Retention::default();
    let full = inbox.counts().await.unwrap().bytes;
    let limit = full * 3 / 4;
    retention.keep_bytes = Some(limit);
    retention.pause = Duration::from_millis(1);
    retention.every = Duration::from_millis(1);
    let task = run(&inbox, retention);
    until(async || inbox.counts().await.unwrap().bytes <= limit).await;
    let left = count(&inbox, State::Acknowledged).await;
    assert!((100..600).contains(&left), "{left} finished ones are left");
    assert_eq!(count(&inbox, State::Pending).await, 600);
    task.abort();
}

#[tokio::test]
async fn pending_deliveries_are_never_deleted() {
    let inbox = MemoryInbox::new();
    fill(&inbox, 20, 40 * DAY).await;
    let mut retention = Retention::default();
    retention.keep = Some(DAY);
    retention.keep_bytes = Some(1);
    let task = run(&inbox, retention);
    until(async || count(&inbox, State::Acknowledged).await == 0).await;
    assert_eq!(count(&inbox, State::Pending).await, 10);
    task.abort();
}
