//! Deliveries to append, and the answers taken apart.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::admin::InboxAdmin;
use crate::claim::{ClaimRequest, ClaimedDelivery, DispatchOrder, Room};
use crate::delivery::{Header, NewDelivery};
use crate::id::DeliveryId;
use crate::inbox::Appended;
use crate::record::Query;
use crate::source::Source;

/// So many seconds into the test's day.
pub fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_790_000_000 + seconds)
}

/// A delivery that came in at `seconds`, with one header that tells it from others of the same body.
pub fn delivery(seconds: u64, body: impl AsRef<[u8]>) -> NewDelivery {
    NewDelivery::new(
        at(seconds),
        Source::Webhook,
        vec![came_at(seconds)],
        body.as_ref().to_vec().into(),
    )
}

/// The header that [`delivery`] gives.
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

/// The ids of all that is stored, newest first.
pub async fn all_ids(inbox: &impl InboxAdmin) -> Vec<DeliveryId> {
    let all = inbox.list(Query::default()).await.unwrap();
    all.iter().map(|summary| summary.id).collect()
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
    panic!("it is not noticed within a minute");
}
