//! Deliveries to append, and the answers taken apart.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::admin::InboxAdmin;
use crate::claim::{ClaimRequest, ClaimedDelivery, DispatchOrder, Room};
use crate::completion::Completion;
use crate::delivery::{Header, NewDelivery};
use crate::id::DeliveryId;
use crate::inbox::Appended;
use crate::record::{AttemptOutcome, Counts, Query, StoredDelivery};
use crate::source::Source;

/// So many seconds into the test's day.
pub fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_790_000_000 + seconds)
}

/// A delivery received at `seconds`, with one header that distinguishes it from others of the same
/// body.
pub fn delivery(seconds: u64, body: impl AsRef<[u8]>) -> NewDelivery {
    NewDelivery::new(
        at(seconds),
        Source::Webhook,
        vec![came_at(seconds)],
        body.as_ref().to_vec().into(),
    )
}

/// The header of [`delivery`].
pub fn came_at(seconds: u64) -> Header {
    Header::new("Heygen-Timestamp", seconds.to_string().as_bytes())
}

/// A body about the video of that name.
pub fn body(video_id: &str) -> String {
    format!(r#"{{"event_type":"avatar_video.success","event_data":{{"video_id":"{video_id}"}}}}"#)
}

/// The same with an `event_id`.
pub fn body_with_id(event_id: &str, video_id: &str) -> String {
    body(video_id).replacen('{', &format!(r#"{{"event_id":"{event_id}","#), 1)
}

#[track_caller]
pub fn new(appended: Appended) -> DeliveryId {
    match appended {
        Appended::New(id) => id,
        other => panic!("expected a new delivery, got {other:?}"),
    }
}

#[track_caller]
pub fn duplicate(appended: Appended) -> DeliveryId {
    match appended {
        Appended::Duplicate(id) => id,
        other => panic!("expected a duplicate, got {other:?}"),
    }
}

/// Appends a body that was not here before.
pub async fn append_new(inbox: &impl InboxAdmin, seconds: u64, body: &str) -> DeliveryId {
    new(inbox.append(delivery(seconds, body)).await.unwrap())
}

/// Appends a body that was here before.
pub async fn append_duplicate(
    inbox: &impl InboxAdmin,
    seconds: u64,
    body: impl AsRef<[u8]>,
) -> DeliveryId {
    duplicate(inbox.append(delivery(seconds, body)).await.unwrap())
}

/// A delivery that is there.
pub async fn get(inbox: &impl InboxAdmin, id: DeliveryId) -> StoredDelivery {
    inbox.get(id).await.unwrap().unwrap()
}

/// The attempts of a delivery, as numbers and results.
pub fn attempts(stored: &StoredDelivery) -> Vec<(u32, AttemptOutcome)> {
    let attempts = stored.attempts.iter();
    attempts
        .map(|attempt| (attempt.number, attempt.result))
        .collect()
}

/// The result of an attempt at `seconds`, due again at once.
pub fn completion(claimed: &ClaimedDelivery, seconds: u64, result: AttemptOutcome) -> Completion {
    Completion::new(claimed, at(seconds), Duration::ZERO, result)
}

/// Completes an attempt at `seconds`, due again at once.
pub async fn complete(
    inbox: &impl InboxAdmin,
    claimed: &ClaimedDelivery,
    seconds: u64,
    result: AttemptOutcome,
) {
    let completion = completion(claimed, seconds, result);
    inbox.complete(completion).await.unwrap();
}

/// Claims up to `limit` deliveries that are due.
pub async fn claim_due(
    inbox: &impl InboxAdmin,
    limit: usize,
    seconds: u64,
) -> Vec<ClaimedDelivery> {
    let request = ClaimRequest::due(limit, at(seconds));
    inbox.claim(request).await.unwrap().deliveries
}

/// Claims the one delivery that is due.
pub async fn claim_one(inbox: &impl InboxAdmin, seconds: u64) -> ClaimedDelivery {
    let mut claimed = claim_due(inbox, 10, seconds).await;
    assert_eq!(claimed.len(), 1, "one is due");
    claimed.remove(0)
}

/// Claims the one delivery that is due, and completes it. A retry is due 1,000 seconds later.
pub async fn complete_one(
    inbox: &impl InboxAdmin,
    seconds: u64,
    result: AttemptOutcome,
) -> DeliveryId {
    let claimed = claim_one(inbox, seconds).await;
    let retry = completion(&claimed, seconds, result).due_at(at(seconds + 1000));
    inbox.complete(retry).await.unwrap();
    claimed.id
}

/// The body of the `number`th event about a subject.
pub fn about(subject: &str, number: u64) -> String {
    format!(r#"{{"event_type":"x.y","event_data":{{"video_id":"{subject}","n":{number}}}}}"#)
}

/// Claims up to ten deliveries that are due, one of each subject.
pub async fn claim_ordered(inbox: &impl InboxAdmin, now: SystemTime) -> Vec<ClaimedDelivery> {
    let request = ClaimRequest::due(10, now).order(DispatchOrder::PerSubject);
    inbox.claim(request).await.unwrap().deliveries
}

/// The counts, once so many are pending, claimed and dead-lettered: a server may count an
/// acknowledgement a moment later.
pub async fn counts(inbox: &impl InboxAdmin, expected: (u64, u64, u64)) -> Counts {
    let mut found = (0, 0, 0);
    for _ in 0..600 {
        let counts = inbox.counts().await.unwrap();
        found = (counts.pending, counts.claimed, counts.dead_lettered);
        if found == expected {
            return counts;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{found:?} are counted, not {expected:?}");
}

/// The ids of all stored deliveries, newest first.
pub async fn all_ids(inbox: &impl InboxAdmin) -> Vec<DeliveryId> {
    listed(inbox, Query::default()).await
}

/// The ids of the deliveries that are listed.
pub async fn listed(inbox: &impl InboxAdmin, query: Query) -> Vec<DeliveryId> {
    let listed = inbox.list(query).await.unwrap();
    listed.iter().map(|summary| summary.id).collect()
}

/// The ids of claimed deliveries.
pub fn claimed_ids(claimed: &[ClaimedDelivery]) -> Vec<DeliveryId> {
    claimed.iter().map(|claimed| claimed.id).collect()
}

/// The deliveries that are due, however long it takes to notice.
pub async fn claim_soon(inbox: &impl InboxAdmin, seconds: u64) -> Vec<ClaimedDelivery> {
    for _ in 0..600 {
        let request = ClaimRequest::new(
            at(seconds),
            DispatchOrder::Unordered,
            vec![Room::new(10, 10, 0)],
            |_| 0,
        );
        let claimed = inbox.claim(request).await.unwrap().deliveries;
        if !claimed.is_empty() {
            return claimed;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nothing is due within a minute");
}
