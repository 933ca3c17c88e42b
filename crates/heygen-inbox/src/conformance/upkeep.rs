//! What keeps an inbox in order: counting, pruning, a clock that is set back, posts that no one signed.

use std::time::Duration;

use super::support::{
    all_ids, append_new, at, body, body_with_id, claim_due, claim_one, claim_soon, delivery,
    duplicate, new,
};
use crate::admin::{InboxAdmin, PruneStep};
use crate::claim::ClaimRequest;
use crate::completion::Completion;
use crate::delivery::NewDelivery;
use crate::record::{AttemptOutcome, State};
use crate::source::{Authenticity, Source};

async fn complete_one(inbox: &impl InboxAdmin, seconds: u64, result: AttemptOutcome) {
    let claimed = claim_one(inbox, seconds).await;
    let completion = Completion::new(&claimed, at(seconds), Duration::ZERO, result);
    inbox
        .complete(completion.due_at(at(seconds + 1000)))
        .await
        .unwrap();
}

pub(super) async fn counts_report_each_state(inbox: impl InboxAdmin) {
    let empty = inbox.counts().await.unwrap();
    assert_eq!(
        (empty.pending, empty.claimed, empty.dead_lettered),
        (0, 0, 0)
    );
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
    let counts = inbox.counts().await.unwrap();
    assert_eq!(
        (counts.pending, counts.claimed, counts.dead_lettered),
        (2, 1, 1)
    );
    assert_eq!(counts.oldest_pending, Some(at(2)));
    assert!(counts.bytes > empty.bytes || counts.bytes > 4096);
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
    duplicate(inbox.append(delivery(3, body("0"))).await.unwrap());
    let pruned = inbox.prune(PruneStep::before(at(10))).await.unwrap();
    assert_eq!((pruned.deleted, pruned.next), (2, None));
    assert_eq!(all_ids(&inbox).await, [ids[3], ids[2]]);
    assert!(inbox.get(ids[0]).await.unwrap().is_none());

    let again = append_new(&inbox, 20, &body("0")).await;
    assert!(!ids.contains(&again), "what was pruned is no longer known");
    duplicate(inbox.append(delivery(21, body("2"))).await.unwrap());
    duplicate(inbox.append(delivery(21, body("10"))).await.unwrap());
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
        let completion = Completion::new(&claimed, at(number), Duration::ZERO, result);
        inbox
            .complete(completion.due_at(at(100_000)))
            .await
            .unwrap();
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
    assert_eq!(inbox.counts().await.unwrap().pending, 40);
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
        let completion = Completion::new(claimed, at(5), Duration::ZERO, AttemptOutcome::Retry);
        inbox.complete(completion.due_at(at(500))).await.unwrap();
    }
    assert!(claim_due(&inbox, 10, 100).await.is_empty());
    let later = inbox.claim(ClaimRequest::due(10, at(50))).await.unwrap();
    assert!(
        later.deliveries.is_empty(),
        "set back again, and due at 500 all the same"
    );
}

pub(super) async fn callbacks_never_match_signed_posts(inbox: impl InboxAdmin) {
    let callback = |seconds, body: String| {
        NewDelivery::new(at(seconds), Source::Callback, Vec::new(), body.into())
    };
    let forged = new(inbox
        .append(callback(0, body_with_id("e1", "a")))
        .await
        .unwrap());
    // What HeyGen signed is stored, whatever a stranger sent before.
    let signed = append_new(&inbox, 1, &body_with_id("e1", "a")).await;
    let signed_too = append_new(&inbox, 2, &body("b")).await;
    new(inbox.append(callback(3, body("b"))).await.unwrap());
    // The same post twice is one all the same.
    let again = inbox
        .append(callback(4, body_with_id("e1", "a")))
        .await
        .unwrap();
    assert_eq!(duplicate(again), forged);
    let again = inbox.append(delivery(5, body("b"))).await.unwrap();
    assert_eq!(duplicate(again), signed_too);

    let stored = inbox.get(forged).await.unwrap().unwrap();
    assert_eq!(stored.summary.source.authenticity(), Authenticity::Token);
    let stored = inbox.get(signed).await.unwrap().unwrap();
    assert_eq!(
        stored.summary.source.authenticity(),
        Authenticity::Signature
    );
}

pub(super) async fn post_and_its_log_record_are_one_event(inbox: impl InboxAdmin) {
    let logged = |id: &str, video: &str| {
        let body = body_with_id(id, video);
        let open = body.trim_end_matches('}').len() + 1;
        let body = format!(r#"{},"created_at":"2026-11-01T00:00:00Z"}}"#, &body[..open]);
        NewDelivery::new(at(0), Source::Backfill, Vec::new(), body.into())
    };
    let posted = append_new(&inbox, 0, &body("a")).await;
    assert_eq!(
        duplicate(inbox.append(logged("e1", "a")).await.unwrap()),
        posted
    );
    let found = new(inbox.append(logged("e2", "b")).await.unwrap());
    assert_eq!(
        duplicate(inbox.append(delivery(9, body("b"))).await.unwrap()),
        found
    );
    assert_eq!(
        duplicate(inbox.append(logged("e2", "b")).await.unwrap()),
        found
    );
    let stored = inbox.get(found).await.unwrap().unwrap();
    assert_eq!(stored.summary.source, Source::Backfill);
    assert_eq!(stored.summary.state, State::Pending);
}

pub(super) async fn readiness_check_stores_nothing(inbox: impl InboxAdmin) {
    inbox.ready().await.unwrap();
    inbox.ready().await.unwrap();
    assert_eq!(inbox.queue_len(), 0);
    assert!(all_ids(&inbox).await.is_empty());
}
