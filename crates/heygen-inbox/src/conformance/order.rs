//! Deliveries of one subject, one at a time, where a store declares that it orders by subject.

use std::time::{Duration, SystemTime};

use super::support::{
    about, append_new, at, claim_due, claim_ordered, claimed_ids, complete, completion, new,
};
use crate::admin::InboxAdmin;
use crate::claim::{ClaimRequest, DispatchOrder};
use crate::delivery::NewDelivery;
use crate::error::InboxErrorKind;
use crate::id::DeliveryId;
use crate::record::AttemptOutcome;
use crate::source::Source;

pub(super) async fn one_delivery_per_subject_at_a_time(inbox: impl InboxAdmin) {
    let mut ids = Vec::new();
    for (subject, number) in [("a", 1), ("a", 2), ("b", 1), ("a", 3), ("b", 2)] {
        ids.push(append_new(&inbox, 0, &about(subject, number)).await);
    }
    let first = claim_ordered(&inbox, at(1)).await;
    assert_eq!(claimed_ids(&first), [ids[0], ids[2]]);
    assert!(
        claim_ordered(&inbox, at(1)).await.is_empty(),
        "the others wait"
    );
    // One more of a waiting subject comes in.
    ids.push(append_new(&inbox, 1, &about("a", 4)).await);
    assert!(claim_ordered(&inbox, at(1)).await.is_empty());

    complete(&inbox, &first[1], 1, AttemptOutcome::Acknowledged).await;
    assert_eq!(claimed_ids(&claim_ordered(&inbox, at(1)).await), [ids[4]]);
    let mut claimed = first[0].clone();
    for next in [ids[1], ids[3], ids[5]] {
        complete(&inbox, &claimed, 1, AttemptOutcome::Acknowledged).await;
        claimed = claim_ordered(&inbox, at(1)).await.remove(0);
        assert_eq!(claimed.id, next);
    }
}

pub(super) async fn retry_delays_its_subject_only(inbox: impl InboxAdmin) {
    let first = append_new(&inbox, 0, &about("a", 1)).await;
    let second = append_new(&inbox, 0, &about("a", 2)).await;
    let claimed = claim_ordered(&inbox, at(0)).await.remove(0);
    assert_eq!(claimed.id, first);
    let retry = completion(&claimed, 0, AttemptOutcome::Retry).due_at(at(100));
    inbox.complete(retry).await.unwrap();
    let other = append_new(&inbox, 1, &about("b", 1)).await;
    assert_eq!(claimed_ids(&claim_ordered(&inbox, at(1)).await), [other]);

    let claimed = claim_ordered(&inbox, at(100)).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!((claimed[0].id, claimed[0].attempt), (first, 2));
    complete(&inbox, &claimed[0], 100, AttemptOutcome::Acknowledged).await;
    assert_eq!(claimed_ids(&claim_ordered(&inbox, at(100)).await), [second]);
}

pub(super) async fn dead_letter_releases_its_subject(inbox: impl InboxAdmin) {
    append_new(&inbox, 0, &about("a", 1)).await;
    let second = append_new(&inbox, 0, &about("a", 2)).await;
    let first = claim_ordered(&inbox, at(0)).await.remove(0);
    complete(&inbox, &first, 0, AttemptOutcome::DeadLettered).await;
    assert_eq!(claimed_ids(&claim_ordered(&inbox, at(0)).await), [second]);
}

pub(super) async fn removal_by_hand_releases_the_subject(inbox: impl InboxAdmin) {
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(append_new(&inbox, 0, &about("a", number)).await);
    }
    let first = claim_ordered(&inbox, at(1)).await.remove(0);
    assert_eq!(first.id, ids[0]);
    assert!(
        claim_ordered(&inbox, at(1)).await.is_empty(),
        "the others wait"
    );
    complete(&inbox, &first, 1, AttemptOutcome::Retry).await;
    inbox.dead_letter(vec![ids[0]], at(2)).await.unwrap();
    let second = claim_ordered(&inbox, at(3)).await.remove(0);
    assert_eq!(second.id, ids[1]);
    assert!(
        claim_ordered(&inbox, at(3)).await.is_empty(),
        "the last waits"
    );
    complete(&inbox, &second, 3, AttemptOutcome::Retry).await;
    inbox.delete(vec![ids[1]]).await.unwrap();
    // By the real clock, which a deletion goes by.
    let later = SystemTime::now() + Duration::from_secs(60);
    let claimed = claim_ordered(&inbox, later).await;
    assert_eq!(claimed_ids(&claimed), [ids[2]]);
}

pub(super) async fn delivery_without_subject_does_not_wait(inbox: impl InboxAdmin) {
    let mut ids = Vec::new();
    for body in [
        "not json",
        r#"{"event_type":"x.y"}"#,
        r#"{"event_type":"x.y","event_data":{"n":1}}"#,
    ] {
        ids.push(append_new(&inbox, 0, body).await);
    }
    assert_eq!(claimed_ids(&claim_ordered(&inbox, at(0)).await), ids);
}

pub(super) async fn order_can_be_switched_off_and_on(inbox: impl InboxAdmin) {
    for number in 0..4 {
        append_new(&inbox, 0, &about("a", number)).await;
    }
    let first = claim_ordered(&inbox, at(1)).await.remove(0);
    assert!(claim_ordered(&inbox, at(1)).await.is_empty());
    let others = claim_due(&inbox, 2, 1).await;
    assert_eq!(others.len(), 2, "no one waits for another");
    assert!(
        claim_ordered(&inbox, at(1)).await.is_empty(),
        "three are being handled"
    );
    complete(&inbox, &first, 1, AttemptOutcome::Acknowledged).await;
    assert!(
        claim_ordered(&inbox, at(1)).await.is_empty(),
        "two are being handled"
    );
    complete(&inbox, &others[0], 1, AttemptOutcome::Acknowledged).await;
    complete(&inbox, &others[1], 1, AttemptOutcome::Acknowledged).await;
    assert_eq!(claim_ordered(&inbox, at(1)).await.len(), 1);
}

pub(super) async fn long_queue_of_one_subject_delays_no_other(inbox: impl InboxAdmin) {
    for number in 0..2500 {
        append_new(&inbox, 0, &about("a", number)).await;
    }
    let other = append_new(&inbox, 0, &about("b", 0)).await;
    let mut found = Vec::new();
    // One claim scans a part of the queue only, and asks to be called again at once.
    for _ in 0..10 {
        let claim = inbox
            .claim(ClaimRequest::due(10, at(1)).order(DispatchOrder::PerSubject))
            .await
            .unwrap();
        found.extend(claim.deliveries.iter().map(|claimed| claimed.id));
        if found.contains(&other) {
            assert_eq!(found.len(), 2);
            return;
        }
        assert!(claim.next_due.is_some_and(|due| due <= at(1)));
    }
    panic!("the other subject was never reached");
}

async fn append_from(inbox: &impl InboxAdmin, source: Source, body: String) -> DeliveryId {
    let delivery = NewDelivery::new(at(0), source, Vec::new(), body.into());
    new(inbox.append(delivery).await.unwrap())
}

pub(super) async fn order_is_kept_within_one_source(inbox: impl InboxAdmin) {
    let mut first = Vec::new();
    let mut second = Vec::new();
    for source in Source::ALL {
        let number = first.len() as u64;
        first.push(append_from(&inbox, source, about("a", number)).await);
    }
    for source in Source::ALL {
        let number = (first.len() + second.len()) as u64;
        second.push(append_from(&inbox, source, about("a", number)).await);
    }
    let claimed = claim_ordered(&inbox, at(1)).await;
    assert_eq!(claimed_ids(&claimed), first, "no source waits for another");
    assert!(
        claim_ordered(&inbox, at(1)).await.is_empty(),
        "each waits for its own"
    );
    // One that fails holds up its own source alone, and the others go on to their next.
    let retry = completion(&claimed[1], 1, AttemptOutcome::Retry).due_at(at(100));
    inbox.complete(retry).await.unwrap();
    for (index, claimed) in claimed.iter().enumerate().filter(|(index, _)| *index != 1) {
        complete(&inbox, claimed, 1, AttemptOutcome::Acknowledged).await;
        assert_eq!(
            claimed_ids(&claim_ordered(&inbox, at(1)).await),
            [second[index]]
        );
    }
    let again = claim_ordered(&inbox, at(100)).await;
    assert_eq!(again[0].id, first[1]);
    complete(&inbox, &again[0], 100, AttemptOutcome::Acknowledged).await;
    assert_eq!(
        claimed_ids(&claim_ordered(&inbox, at(100)).await),
        [second[1]]
    );
}

pub(super) async fn replayed_delivery_waits_for_a_newer_one_that_is_claimed(
    inbox: impl InboxAdmin,
) {
    let older = append_new(&inbox, 0, &about("a", 1)).await;
    let claimed = claim_ordered(&inbox, at(1)).await.remove(0);
    complete(&inbox, &claimed, 1, AttemptOutcome::Acknowledged).await;
    append_new(&inbox, 2, &about("a", 2)).await;
    let newer = claim_ordered(&inbox, at(3)).await.remove(0);
    inbox.replay(vec![older], at(4)).await.unwrap();
    assert!(claim_ordered(&inbox, at(5)).await.is_empty());
    complete(&inbox, &newer, 5, AttemptOutcome::Acknowledged).await;
    assert_eq!(claimed_ids(&claim_ordered(&inbox, at(6)).await), [older]);
}

/// What a store that declares no order does in each of these cases.
pub(super) async fn is_refused(inbox: impl InboxAdmin) {
    let ordered = ClaimRequest::due(1, at(0)).order(DispatchOrder::PerSubject);
    let error = inbox.claim(ordered).await.unwrap_err();
    assert_eq!(error.kind(), InboxErrorKind::Unsupported);
}
