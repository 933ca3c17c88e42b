//! What a dispatcher claims: room for each destination, live deliveries beside a backlog, whatever the clock does.

use std::time::Duration;

use super::support::{append_new, at, body, claim_soon, complete, completion, delivery, get, new};
use crate::admin::InboxAdmin;
use crate::claim::{Claim, ClaimRequest, ClaimedDelivery, DispatchOrder, Room};
use crate::completion::Completion;
use crate::delivery::NewDelivery;
use crate::record::AttemptOutcome;
use crate::source::Source;

fn of_type(event_type: &str, number: usize) -> String {
    format!(
        r#"{{"event_type":"{event_type}","event_data":{{"video_id":"{event_type}-{number}"}}}}"#
    )
}

/// Events of type `a.*` go to the first destination, everything else to the second.
fn request(seconds: u64, room: [Room; 2]) -> ClaimRequest {
    let route = |event_type: Option<&str>| match event_type {
        Some(event_type) if event_type.starts_with("a.") => 0,
        _ => 1,
    };
    ClaimRequest::new(at(seconds), DispatchOrder::Unordered, room.to_vec(), route)
}

fn room(free: usize) -> Room {
    Room::new(free, free, 0)
}

/// One destination alone.
fn plain(seconds: u64, room: Room) -> ClaimRequest {
    ClaimRequest::new(at(seconds), DispatchOrder::Unordered, vec![room], |_| 0)
}

async fn claim(inbox: &impl InboxAdmin, request: ClaimRequest) -> Vec<ClaimedDelivery> {
    let Claim { deliveries, .. } = inbox.claim(request).await.unwrap();
    deliveries
}

/// Claimed before, and to be tried again.
async fn append_backlog(inbox: &impl InboxAdmin, count: usize) {
    for number in 0..count {
        append_new(inbox, 0, &of_type("a.b", number)).await;
    }
    for claimed in claim(inbox, plain(0, room(count))).await {
        let retry = completion(&claimed, 0, AttemptOutcome::Retry).due_at(at(1));
        inbox.complete(retry).await.unwrap();
    }
}

pub(super) async fn live_delivery_goes_before_a_backlog(inbox: impl InboxAdmin) {
    append_backlog(&inbox, 20).await;
    let live = append_new(&inbox, 5, &body("live")).await;
    let claimed = claim(&inbox, plain(5, room(1))).await;
    assert_eq!(claimed.len(), 1);
    assert!(claimed[0].id == live && claimed[0].is_live);
    let claimed = claim(&inbox, plain(5, room(3))).await;
    assert_eq!(claimed.len(), 3);
    assert!(claimed.iter().all(|claimed| !claimed.is_live));
}

pub(super) async fn backlog_has_its_turn_beside_live_deliveries(inbox: impl InboxAdmin) {
    append_backlog(&inbox, 5).await;
    for number in 0..5 {
        append_new(&inbox, 5, &body(&number.to_string())).await;
    }
    let are_live = |claimed: Vec<ClaimedDelivery>| {
        let are_live = claimed.iter().map(|claimed| claimed.is_live);
        are_live.collect::<Vec<_>>()
    };
    let turns = claim(&inbox, plain(5, Room::new(3, 2, 1))).await;
    assert_eq!(are_live(turns), [false, true, true]);
    // The backlog has two at the most, whatever there is room for.
    let turns = claim(&inbox, plain(5, Room::new(9, 2, 0))).await;
    assert_eq!(are_live(turns), [true, true, true, false, false]);
}

pub(super) async fn full_destination_holds_up_no_other(inbox: impl InboxAdmin) {
    for number in 0..300 {
        append_new(&inbox, 0, &of_type("a.b", number)).await;
    }
    let other = append_new(&inbox, 0, &of_type("c.d", 0)).await;
    let unreadable = append_new(&inbox, 0, "no event").await;
    // A store on streams may look for a while, and go on from there.
    for _ in 0..100 {
        let claimed = claim(&inbox, request(1, [room(1), room(1)])).await;
        if let Some(found) = claimed.iter().find(|claimed| claimed.id == other) {
            assert_eq!(found.event_type.as_deref(), Some("c.d"));
            let claimed = claim(&inbox, request(1, [room(0), room(1)])).await;
            assert_eq!(claimed.len(), 1);
            assert!(claimed[0].id == unreadable && claimed[0].event_type.is_none());
            assert!(
                claim(&inbox, request(1, [room(0), room(1)]))
                    .await
                    .is_empty()
            );
            return;
        }
    }
    panic!("it is held up");
}

pub(super) async fn room_is_not_exceeded(inbox: impl InboxAdmin) {
    for number in 0..5 {
        append_new(&inbox, 0, &of_type("a.b", number)).await;
        append_new(&inbox, 0, &of_type("a.c", number)).await;
        append_new(&inbox, 0, &of_type("c.d", number)).await;
    }
    let mut sum = 0;
    for _ in 0..20 {
        let claimed = claim(&inbox, request(1, [room(3), room(2)])).await;
        let of_first = claimed.iter().filter(|claimed| {
            let event_type = claimed.event_type.as_deref();
            event_type.is_some_and(|event_type| event_type.starts_with("a."))
        });
        let of_first = of_first.count();
        assert!(of_first <= 3 && claimed.len() - of_first <= 2, "{of_first}");
        sum += claimed.len();
    }
    assert_eq!(sum, 15);
}

pub(super) async fn released_delivery_leaves_no_trace(inbox: impl InboxAdmin) {
    let id = append_new(&inbox, 0, &body("a")).await;
    for seconds in [0, 10, 20] {
        let claimed = claim_soon(&inbox, seconds).await.remove(0);
        assert_eq!(
            (claimed.id, claimed.attempt, claimed.first_attempt),
            (id, 1, 1)
        );
        assert_eq!(claimed.elapsed, Duration::from_secs(seconds));
        let completion = Completion::released(&claimed, at(seconds + 10))
            .elapsed(Duration::from_secs(seconds + 10));
        inbox.complete(completion.clone()).await.unwrap();
        // Idempotent.
        inbox.complete(completion).await.unwrap();
        let stored = get(&inbox, id).await;
        assert_eq!((stored.summary.attempts, stored.attempts.len()), (0, 0));
        assert_eq!(stored.due_at, Some(at(seconds + 10)));
    }
    let claimed = claim_soon(&inbox, 30).await.remove(0);
    complete(&inbox, &claimed, 30, AttemptOutcome::Acknowledged).await;
    let stored = get(&inbox, id).await;
    assert_eq!((stored.summary.attempts, stored.attempts.len()), (1, 1));
}

pub(super) async fn uncounted_attempts_are_reported(inbox: impl InboxAdmin) {
    let id = append_new(&inbox, 0, &body("a")).await;
    for (seconds, is_counted) in [(0, false), (10, true), (20, false)] {
        let claimed = claim_soon(&inbox, seconds).await.remove(0);
        let completion = completion(&claimed, seconds, AttemptOutcome::Retry);
        let completion = completion.due_at(at(seconds + 10));
        let completion = if is_counted {
            completion
        } else {
            completion.uncounted()
        };
        inbox.complete(completion).await.unwrap();
    }
    let claimed = claim_soon(&inbox, 30).await.remove(0);
    assert_eq!(
        (claimed.id, claimed.attempt, claimed.first_attempt),
        (id, 4, 1)
    );
    assert_eq!((claimed.uncounted, claimed.interrupted), (2, 0));
    let stored = get(&inbox, id).await;
    assert_eq!(stored.attempts.len(), 3, "they are recorded all the same");
}

pub(super) async fn elapsed_time_is_kept_and_interruptions_are_counted(inbox: impl InboxAdmin) {
    append_new(&inbox, 0, &body("a")).await;
    let results = [
        AttemptOutcome::Retry,
        AttemptOutcome::Interrupted,
        AttemptOutcome::Interrupted,
        AttemptOutcome::Retry,
    ];
    for (number, result) in results.into_iter().enumerate() {
        let claimed = claim_soon(&inbox, number as u64).await.remove(0);
        let elapsed = Duration::from_secs(number as u64);
        assert_eq!(claimed.elapsed, elapsed);
        let completion = completion(&claimed, 0, result).elapsed(elapsed + Duration::from_secs(1));
        inbox.complete(completion).await.unwrap();
    }
    let claimed = claim_soon(&inbox, 9).await.remove(0);
    assert_eq!(
        (claimed.attempt, claimed.uncounted, claimed.interrupted),
        (5, 2, 2)
    );
    assert_eq!(claimed.elapsed, Duration::from_secs(4));
}

/// Far beyond any wait that was asked for.
const AHEAD: u64 = 10 * 3600;

pub(super) async fn delivery_of_a_clock_ahead_is_claimed_at_once(inbox: impl InboxAdmin) {
    // No claim ever saw the time that the receiver did.
    assert!(claim(&inbox, plain(0, room(1))).await.is_empty());
    let id = append_new(&inbox, AHEAD, &body("a")).await;
    let claimed = claim(&inbox, plain(0, room(1))).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].id, id);
}

pub(super) async fn backfill_of_a_clock_ahead_is_claimed_soon(inbox: impl InboxAdmin) {
    assert!(claim(&inbox, plain(0, room(1))).await.is_empty());
    let found = NewDelivery::new(at(AHEAD), Source::Backfill, Vec::new(), body("a").into());
    let id = new(inbox.append(found).await.unwrap());
    assert_eq!(claim_soon(&inbox, 0).await[0].id, id);
}

pub(super) async fn retry_of_a_clock_ahead_is_claimed_soon(inbox: impl InboxAdmin) {
    let id = new(inbox.append(delivery(0, body("a"))).await.unwrap());
    let claimed = claim(&inbox, plain(0, room(1))).await.remove(0);
    // The clock was set forward before the handler was called, and back before it ended.
    complete(&inbox, &claimed, AHEAD, AttemptOutcome::Retry).await;
    assert_eq!(claim_soon(&inbox, 1).await[0].id, id);
}
