//! What operators do: replay, dead-letter, delete, pause, find, import, count, bookmarks.

use std::time::Duration;

use super::support::{
    all_ids, append_new, at, body, claim_due, claim_one, claim_soon, complete, complete_one,
    counts, delivery, duplicate, get, new,
};
use crate::admin::{InboxAdmin, PruneStep};
use crate::claim::{ClaimRequest, DispatchOrder, Room};
use crate::id::DeliveryId;
use crate::imported::Imported;
use crate::record::{Attempt, AttemptOutcome, Query, State};
use crate::source::Source;

pub(super) async fn replayed_delivery_has_all_its_attempts_again(inbox: impl InboxAdmin) {
    let id = append_new(&inbox, 0, &body("a")).await;
    complete_one(&inbox, 1, AttemptOutcome::Retry).await;
    complete_one(&inbox, 1001, AttemptOutcome::DeadLettered).await;
    let elsewhere = DeliveryId::new(id.key(), id.tag() ^ 1);
    let replayed = inbox.replay(vec![id, elsewhere], at(1002)).await.unwrap();
    assert_eq!(
        (replayed.pending, replayed.claimed, replayed.missing),
        (1, 0, 1)
    );
    let stored = get(&inbox, id).await;
    assert_eq!(stored.attempts.len(), 2, "the past stays");
    assert_eq!(
        (stored.summary.state, stored.summary.dead_lettered_at),
        (State::Pending, None)
    );
    let claimed = claim_soon(&inbox, 1003).await.remove(0);
    assert_eq!(
        (claimed.id, claimed.attempt, claimed.first_attempt),
        (id, 3, 3)
    );
    assert_eq!((claimed.elapsed, claimed.uncounted), (Duration::ZERO, 0));
}

pub(super) async fn claimed_delivery_is_not_replayed(inbox: impl InboxAdmin) {
    let id = append_new(&inbox, 0, &body("a")).await;
    claim_one(&inbox, 1).await;
    let replayed = inbox.replay(vec![id], at(2)).await.unwrap();
    assert_eq!(
        (replayed.pending, replayed.claimed, replayed.missing),
        (0, 1, 0)
    );
    assert!(claim_due(&inbox, 10, 3).await.is_empty());
}

pub(super) async fn dead_lettered_by_hand_is_replayable(inbox: impl InboxAdmin) {
    let id = append_new(&inbox, 0, &body("a")).await;
    let other = append_new(&inbox, 0, &body("b")).await;
    let elsewhere = DeliveryId::new(id.key(), id.tag() ^ 1);
    for ids in [vec![id, elsewhere], vec![elsewhere, id]] {
        let report = inbox.dead_letter(ids, at(1)).await.unwrap();
        assert_eq!(
            (report.dead_lettered, report.missing, report.claimed),
            (1, 1, 0)
        );
        let stored = get(&inbox, id).await;
        let summary = &stored.summary;
        assert_eq!(
            (summary.state, summary.dead_lettered_at, stored.due_at),
            (State::DeadLettered, Some(at(1)), None)
        );
        assert_eq!((summary.attempts, stored.attempts.len()), (1, 1), "once");
        let attempt = &stored.attempts[0];
        assert_eq!(attempt.result, AttemptOutcome::DeadLettered);
        assert!(attempt.detail.is_some(), "it says by whom");
    }
    let claimed = claim_one(&inbox, 2).await;
    assert_eq!(claimed.id, other);
    counts(&inbox, (0, 1, 1)).await;
    inbox.replay(vec![id], at(3)).await.unwrap();
    let claimed = claim_soon(&inbox, 4).await.remove(0);
    assert_eq!(
        (claimed.id, claimed.attempt, claimed.first_attempt),
        (id, 2, 2)
    );
    let again = inbox.append(delivery(5, body("a"))).await.unwrap();
    assert_eq!(duplicate(again), id, "it is known all the time");
}

pub(super) async fn retry_dead_lettered_by_hand_does_not_come_back(inbox: impl InboxAdmin) {
    let id = append_new(&inbox, 0, &body("a")).await;
    complete_one(&inbox, 1, AttemptOutcome::Retry).await;
    let report = inbox.dead_letter(vec![id], at(2)).await.unwrap();
    assert_eq!(report.dead_lettered, 1);
    assert!(claim_due(&inbox, 10, 2000).await.is_empty());
    counts(&inbox, (0, 0, 1)).await;
}

pub(super) async fn finished_and_claimed_are_not_dead_lettered_by_hand(inbox: impl InboxAdmin) {
    let done = append_new(&inbox, 0, &body("a")).await;
    complete_one(&inbox, 1, AttemptOutcome::Acknowledged).await;
    append_new(&inbox, 1, &body("b")).await;
    let claimed = claim_one(&inbox, 2).await;
    let ids = vec![done, claimed.id];
    let report = inbox.dead_letter(ids, at(3)).await.unwrap();
    assert_eq!(
        (report.acknowledged, report.claimed, report.dead_lettered),
        (1, 1, 0)
    );
    let state = async |id| get(&inbox, id).await.summary.state;
    assert_eq!(state(done).await, State::Acknowledged);
    assert_eq!(state(claimed.id).await, State::Claimed);
    complete(&inbox, &claimed, 4, AttemptOutcome::Acknowledged).await;
    assert_eq!(state(claimed.id).await, State::Acknowledged);
}

/// Nothing that HeyGen signed is swallowed, also when it was deleted before.
pub(super) async fn deleted_delivery_is_gone_and_new_when_it_comes_again(inbox: impl InboxAdmin) {
    let id = append_new(&inbox, 0, &body("a")).await;
    let elsewhere = DeliveryId::new(id.key(), id.tag() ^ 1);
    let report = inbox.delete(vec![id, elsewhere]).await.unwrap();
    assert_eq!((report.deleted, report.missing, report.claimed), (1, 1, 0));
    assert_eq!(inbox.get(id).await.unwrap(), None);
    assert_eq!(all_ids(&inbox).await, []);
    assert!(claim_due(&inbox, 10, 9).await.is_empty());
    assert_eq!(inbox.delete(vec![id]).await.unwrap().missing, 1);
    let find = inbox.find(vec![delivery(1, body("a"))]);
    assert_eq!(find.await.unwrap(), [None]);
    let again = append_new(&inbox, 1, &body("a")).await;
    assert!(again > id, "no id is given twice");
    assert_eq!(claim_one(&inbox, 2).await.id, again);
}

pub(super) async fn delivery_is_deleted_in_each_state_but_claimed(inbox: impl InboxAdmin) {
    let mut ids = Vec::new();
    for result in [
        AttemptOutcome::Acknowledged,
        AttemptOutcome::DeadLettered,
        AttemptOutcome::Retry,
    ] {
        append_new(&inbox, 0, &body(result.as_str())).await;
        ids.push(complete_one(&inbox, 1, result).await);
    }
    let report = inbox.delete(vec![ids[2]]).await.unwrap();
    assert_eq!(report.deleted, 1, "a retry");
    append_new(&inbox, 2, &body("claimed")).await;
    let claimed = claim_one(&inbox, 2).await;
    ids.push(claimed.id);
    let report = inbox.delete(ids).await.unwrap();
    assert_eq!((report.deleted, report.claimed, report.missing), (2, 1, 1));
    assert_eq!(all_ids(&inbox).await, [claimed.id]);
    complete(&inbox, &claimed, 3, AttemptOutcome::Acknowledged).await;
    counts(&inbox, (0, 0, 0)).await;
    assert_eq!(inbox.delete(vec![claimed.id]).await.unwrap().deleted, 1);
}

pub(super) async fn nothing_is_claimed_while_dispatch_is_paused(inbox: impl InboxAdmin) {
    append_new(&inbox, 0, &body("a")).await;
    let claimed = claim_one(&inbox, 1).await;
    assert_eq!(inbox.paused().await.unwrap(), None);
    for seconds in [2, 3] {
        inbox.pause(at(seconds)).await.unwrap();
        let since = inbox.paused().await.unwrap();
        assert_eq!(since, Some(at(2)), "the first counts");
    }
    // What was begun ends, what comes in is stored.
    complete(&inbox, &claimed, 3, AttemptOutcome::Acknowledged).await;
    let waiting = append_new(&inbox, 3, &body("b")).await;
    let room = vec![Room::new(10, 10, 0)];
    for request in [
        ClaimRequest::due(10, at(9)),
        ClaimRequest::new(at(9), DispatchOrder::Unordered, room, |_| 0),
    ] {
        let claim = inbox.claim(request).await.unwrap();
        assert!(claim.is_paused && claim.deliveries.is_empty());
    }
    for _ in 0..2 {
        inbox.resume().await.unwrap();
        assert_eq!(inbox.paused().await.unwrap(), None);
    }
    let claim = inbox.claim(ClaimRequest::due(10, at(9))).await.unwrap();
    assert!(!claim.is_paused);
    assert_eq!(claim.deliveries[0].id, waiting);
}

pub(super) async fn find_changes_nothing(inbox: impl InboxAdmin) {
    let id = append_new(&inbox, 0, &body("a")).await;
    let deliveries = vec![delivery(1, body("b")), delivery(1, body("a"))];
    for _ in 0..2 {
        let found = inbox.find(deliveries.clone()).await.unwrap();
        assert_eq!(found, [None, Some(id)]);
    }
    assert_eq!(all_ids(&inbox).await, [id]);
    let stored = get(&inbox, id).await;
    assert_eq!(stored.redeliveries.count, 0);
}

fn dead(seconds: u64, name: &str) -> Imported {
    let mut imported = Imported::new(delivery(seconds, body(name)));
    imported.state = State::DeadLettered;
    imported.attempt_count = 3;
    let mut attempt = Attempt::new(
        3,
        at(seconds),
        Duration::from_millis(7),
        AttemptOutcome::DeadLettered,
    );
    attempt.detail = Some("no".to_owned());
    imported.attempts = vec![attempt];
    imported.redeliveries.count = 2;
    imported.redeliveries.last_at = Some(at(seconds + 1));
    imported
}

pub(super) async fn imported_delivery_keeps_its_past(inbox: impl InboxAdmin) {
    let past = dead(0, "a");
    let id = new(inbox.import(vec![past.clone()]).await.unwrap()[0]);
    let stored = get(&inbox, id).await;
    assert_eq!(
        (stored.summary.state, stored.summary.attempts),
        (State::DeadLettered, 3)
    );
    assert_eq!(
        (&stored.attempts, &stored.redeliveries),
        (&past.attempts, &past.redeliveries)
    );
    assert_eq!(stored.body, past.delivery.body());
    assert!(claim_due(&inbox, 10, 9).await.is_empty(), "it is finished");
    let again = inbox.import(vec![past]).await.unwrap();
    assert_eq!(duplicate(again[0]), id);
    assert_eq!(
        inbox.get(id).await.unwrap(),
        Some(stored),
        "it stays as it is"
    );
}

pub(super) async fn imported_delivery_can_be_replayed(inbox: impl InboxAdmin) {
    let mut past = dead(0, "a");
    past.is_replayed = true;
    let id = new(inbox.import(vec![past]).await.unwrap()[0]);
    // It is due at the real time.
    let claimed = claim_soon(&inbox, 1_000_000_000).await.remove(0);
    assert_eq!(
        (claimed.id, claimed.first_attempt, claimed.attempt),
        (id, 4, 4)
    );
}

pub(super) async fn stats_count_by_event_and_state(inbox: impl InboxAdmin) {
    for (seconds, name) in [(0, "a"), (1, "b")] {
        append_new(&inbox, seconds, &body(name)).await;
        complete_one(&inbox, seconds, AttemptOutcome::Acknowledged).await;
    }
    append_new(&inbox, 2, "no event").await;
    let stats = inbox.stats(at(1)).await.unwrap();
    let mut groups: Vec<_> = stats
        .groups
        .iter()
        .map(|group| {
            (
                group.event_type.as_deref(),
                group.state,
                group.source,
                group.count,
            )
        })
        .collect();
    groups.sort_by_key(|group| group.3);
    let expected = [
        (None, State::Pending, Source::Webhook, 1),
        (
            Some("avatar_video.success"),
            State::Acknowledged,
            Source::Webhook,
            2,
        ),
    ];
    assert_eq!(groups, expected);
    assert_eq!(
        stats.attempts,
        [(AttemptOutcome::Acknowledged, 1)],
        "since then"
    );
    let done = Query::default().state(State::Acknowledged).limit(1);
    assert_eq!(inbox.count(done).await.unwrap(), 2, "the limit aside");
}

pub(super) async fn bookmarks_are_kept_and_forgotten(inbox: impl InboxAdmin) {
    let name = || "backfill".to_owned();
    assert_eq!(inbox.bookmark(name()).await.unwrap(), None);
    for value in ["page 7", "page 8"] {
        let set = inbox.set_bookmark(name(), Some(value.to_owned()));
        set.await.unwrap();
        assert_eq!(
            inbox.bookmark(name()).await.unwrap().as_deref(),
            Some(value)
        );
    }
    assert_eq!(inbox.bookmark("other".to_owned()).await.unwrap(), None);
    inbox.set_bookmark(name(), None).await.unwrap();
    assert_eq!(inbox.bookmark(name()).await.unwrap(), None);
}

pub(super) async fn prunable_deliveries_are_counted(inbox: impl InboxAdmin) {
    for (seconds, result) in [
        (0, AttemptOutcome::Acknowledged),
        (1, AttemptOutcome::DeadLettered),
        (9, AttemptOutcome::Acknowledged),
    ] {
        append_new(&inbox, seconds, &body(&seconds.to_string())).await;
        complete_one(&inbox, seconds, result).await;
    }
    append_new(&inbox, 2, &body("pending")).await;
    assert_eq!(inbox.count_prunable(at(9)).await.unwrap(), 2);
    let pruned = inbox.prune(PruneStep::before(at(9))).await.unwrap();
    assert_eq!(pruned.deleted, 2);
    assert_eq!(inbox.count_prunable(at(9)).await.unwrap(), 0);
}
