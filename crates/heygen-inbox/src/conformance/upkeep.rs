//! Counting, pruning, a clock that is set back, drift.

use super::support::{
    all_ids, append_duplicate, append_new, at, body, claim_due, claim_one, claim_soon,
    complete_one, completion, counts,
};
use crate::admin::{InboxAdmin, PruneStep};
use crate::drift::DriftKind;
use crate::error::InboxErrorKind;
use crate::record::AttemptOutcome;

pub(super) async fn counts_report_each_state(inbox: impl InboxAdmin) {
    let empty = counts(&inbox, (0, 0, 0)).await;
    assert_eq!(empty.oldest_pending, None);
    for (seconds, result) in [
        (0, AttemptOutcome::Acknowledged),
        (1, AttemptOutcome::DeadLettered),
        (2, AttemptOutcome::Retry),
    ] {
        append_new(&inbox, seconds, &body(result.as_str())).await;
        complete_one(&inbox, seconds, result).await;
    }
    append_new(&inbox, 3, &body("claimed")).await;
    claim_one(&inbox, 3).await;
    append_new(&inbox, 4, &body("new")).await;
    let counted = counts(&inbox, (2, 1, 1)).await;
    assert_eq!(counted.oldest_pending, Some(at(2)));
    assert!(counted.bytes > empty.bytes || counted.bytes > 4096);
}

pub(super) async fn prune_deletes_what_is_finished_and_old(inbox: impl InboxAdmin) {
    let mut ids = Vec::new();
    for (seconds, result) in [
        (0, AttemptOutcome::Acknowledged),
        (1, AttemptOutcome::DeadLettered),
        (2, AttemptOutcome::Retry),
        (10, AttemptOutcome::Acknowledged),
    ] {
        let name = format!("{seconds}");
        ids.push(append_new(&inbox, seconds, &body(&name)).await);
        complete_one(&inbox, seconds, result).await;
    }
    append_duplicate(&inbox, 3, body("0")).await;
    let pruned = inbox.prune(PruneStep::before(at(10))).await.unwrap();
    assert_eq!((pruned.deleted, pruned.next), (2, None));
    assert_eq!(all_ids(&inbox).await, [ids[3], ids[2]]);
    assert!(inbox.get(ids[0]).await.unwrap().is_none());

    let again = append_new(&inbox, 20, &body("0")).await;
    assert!(
        !ids.contains(&again),
        "pruned deliveries are no longer duplicates"
    );
    append_duplicate(&inbox, 21, body("2")).await;
    append_duplicate(&inbox, 21, body("10")).await;
}

pub(super) async fn prune_goes_on_past_what_is_unfinished(inbox: impl InboxAdmin) {
    for number in 0..60 {
        append_new(&inbox, number, &body(&number.to_string())).await;
        // Every third is done; the others wait for another day.
        let result = match number % 3 {
            0 => AttemptOutcome::Acknowledged,
            _ => AttemptOutcome::Retry,
        };
        let claimed = claim_one(&inbox, number).await;
        let retry = completion(&claimed, number, result).due_at(at(100_000));
        inbox.complete(retry).await.unwrap();
    }
    let (mut deleted, mut steps, mut next) = (0, 0, None);
    loop {
        let step = PruneStep::before(at(1000)).limit(3).after(next);
        let pruned = inbox.prune(step).await.unwrap();
        assert!(pruned.deleted <= 3);
        deleted += pruned.deleted;
        steps += 1;
        next = pruned.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(deleted, 20);
    assert!((7..20).contains(&steps), "{steps} steps");
    counts(&inbox, (40, 0, 0)).await;
}

pub(super) async fn clock_set_back_is_noticed(inbox: impl InboxAdmin) {
    // The clock was a year ahead when these came in and when the second was tried.
    const YEAR: u64 = 365 * 24 * 3600;
    append_new(&inbox, YEAR, &body("tried")).await;
    complete_one(&inbox, YEAR, AttemptOutcome::Retry).await;
    append_new(&inbox, YEAR, &body("new")).await;
    let claimed = claim_soon(&inbox, 5).await;
    assert_eq!(claimed.len(), 2);

    // A wait that was asked for by the right clock stays.
    for claimed in &claimed {
        let retry = completion(claimed, 5, AttemptOutcome::Retry).due_at(at(500));
        inbox.complete(retry).await.unwrap();
    }
    assert!(claim_due(&inbox, 10, 100).await.is_empty());
    assert!(
        claim_due(&inbox, 10, 50).await.is_empty(),
        "set back again, and due at 500 all the same"
    );
}

pub(super) async fn readiness_check_stores_nothing(inbox: impl InboxAdmin) {
    inbox.ready().await.unwrap();
    inbox.ready().await.unwrap();
    assert_eq!(inbox.queue_len(), 0);
    assert!(all_ids(&inbox).await.is_empty());
}

/// A store may not count it.
pub(super) async fn drift_is_counted_with_an_example(inbox: impl InboxAdmin) {
    let known = inbox.drift().await;
    if known.is_err_and(|error| error.kind() == InboxErrorKind::Unsupported) {
        return;
    }
    let with_field = |video: &str| {
        let data = format!(r#"{{"video_id":"{video}","mood":1}}"#);
        format!(r#"{{"event_type":"avatar_video.success","event_data":{data}}}"#)
    };
    append_new(&inbox, 0, &body("known")).await;
    let example = append_new(&inbox, 1, &with_field("a")).await;
    append_new(&inbox, 9, &with_field("b")).await;
    append_duplicate(&inbox, 20, with_field("a")).await;
    let unreadable = append_new(&inbox, 5, "not json").await;
    let drift = inbox.drift().await.unwrap();
    let found: Vec<_> = drift
        .iter()
        .map(|one| {
            (
                one.drift.kind,
                one.count,
                one.first_at,
                one.last_at,
                one.example,
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            (DriftKind::UnknownField, 2, at(1), at(9), example),
            (DriftKind::Malformed, 1, at(5), at(5), unreadable),
        ]
    );
    assert_eq!(drift[0].drift.event_type, "avatar_video.success");
    assert_eq!(drift[0].drift.name, "mood");
}
