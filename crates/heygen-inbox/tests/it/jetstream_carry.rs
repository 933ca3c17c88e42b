//! Imports to JetStream, duplicates beyond the servers' duplicate window, and long lists.

use std::time::Duration;

use async_nats::jetstream::message::PublishMessage;
use futures_util::StreamExt as _;
use heygen_inbox::jetstream::JetStreamInbox;
use heygen_inbox::{
    Appended, Attempt, AttemptOutcome, ClaimRequest, Imported, Inbox as _, InboxAdmin as _,
    NewDelivery, PruneStep, Query, Source, State,
};

use crate::jetstream_support::{
    Streams, claim_soon, end, fast_server, in_time, open, options, started, two,
};
use crate::support::{
    all_ids, append_duplicate, append_new, at, attempts, body, body_with_id, claim_due, complete,
    delivery, duplicate, get, listed, new, until,
};

/// After all that is due, also by the clock of the machine, which says when what is replayed while it is carried is due.
const LATER: u64 = 1_000_000_000;

/// With so many attempts behind it, all of them failed.
fn imported(seconds: u64, name: &str, state: State, attempts: u32) -> Imported {
    let mut imported = Imported::new(delivery(seconds, body(name)));
    imported.state = state;
    imported.attempt_count = attempts;
    imported.attempts = (1..=attempts)
        .map(|number| Attempt::new(number, at(seconds), Duration::ZERO, AttemptOutcome::Retry))
        .collect();
    imported
}

async fn import(inbox: &JetStreamInbox, deliveries: &[Imported]) -> Vec<heygen_inbox::Appended> {
    in_time(inbox.import(deliveries.to_vec())).await.unwrap()
}

#[tokio::test]
async fn imported_delivery_keeps_its_past() {
    let (server, inbox) = started().await;
    let mut replayed = imported(3, "replayed", State::DeadLettered, 2);
    replayed.is_replayed = true;
    let all = [
        imported(0, "done", State::Acknowledged, 1),
        imported(1, "dead", State::DeadLettered, 3),
        imported(2, "pending", State::Pending, 2),
        replayed,
    ];
    let ids: Vec<_> = import(&inbox, &all).await.into_iter().map(new).collect();
    for (id, again) in ids.iter().zip(import(&inbox, &all).await) {
        assert_eq!(duplicate(again), *id, "again changes nothing");
    }
    let mut due = Vec::new();
    while due.len() < 2 {
        due.extend(claim_due(&inbox, 10, LATER).await);
    }
    due.sort_by_key(|claimed| claimed.id);
    let counts = inbox.counts().await.unwrap();
    assert_eq!(
        (counts.pending, counts.claimed, counts.dead_lettered),
        (0, 2, 1)
    );
    let found: Vec<_> = due
        .iter()
        .map(|claimed| (claimed.id, claimed.first_attempt, claimed.attempt))
        .collect();
    assert_eq!(found, [(ids[2], 1, 3), (ids[3], 3, 3)]);
    for claimed in &due {
        complete(&inbox, claimed, 1, AttemptOutcome::Acknowledged).await;
    }
    let stored = get(&inbox, ids[2]).await;
    assert_eq!(
        attempts(&stored),
        [
            (1, AttemptOutcome::Retry),
            (2, AttemptOutcome::Retry),
            (3, AttemptOutcome::Acknowledged)
        ]
    );
    let stored = get(&inbox, ids[1]).await;
    assert_eq!(
        (stored.summary.state, stored.summary.attempts),
        (State::DeadLettered, 3)
    );
    let streams = Streams::on(&server.url()).await;
    streams.nothing_comes(&inbox, LATER).await;
    inbox.replay(vec![ids[1]], at(10)).await.unwrap();
    let reopened = claim_soon(&inbox, 10).await;
    assert_eq!(
        (reopened.id, reopened.first_attempt, reopened.attempt),
        (ids[1], 4, 4)
    );
}

#[tokio::test]
async fn interrupted_import_is_continued() {
    let (server, inbox) = started().await;
    let mut all = [
        imported(0, "dead", State::DeadLettered, 2),
        imported(1, "replayed", State::Acknowledged, 2),
    ];
    all[1].is_replayed = true;
    // Of the first run only the events arrived.
    let streams = Streams::on(&server.url()).await;
    streams
        .change("HEYGEN_RECORDS", |config| config.max_message_size = 1)
        .await;
    for imported in &all {
        in_time(inbox.import(vec![imported.clone()]))
            .await
            .unwrap_err();
    }
    streams
        .change("HEYGEN_RECORDS", |config| config.max_message_size = -1)
        .await;
    let ids: Vec<_> = import(&inbox, &all)
        .await
        .into_iter()
        .map(duplicate)
        .collect();
    let stored = get(&inbox, ids[0]).await;
    assert_eq!(
        (stored.summary.state, stored.summary.attempts),
        (State::DeadLettered, 2)
    );
    assert_eq!(inbox.counts().await.unwrap().dead_lettered, 1);
    let claimed = claim_soon(&inbox, LATER).await;
    assert_eq!(
        (claimed.id, claimed.first_attempt, claimed.attempt),
        (ids[1], 3, 3)
    );
    complete(&inbox, &claimed, 1, AttemptOutcome::Acknowledged).await;
    import(&inbox, &all).await.into_iter().for_each(|again| {
        duplicate(again);
    });
    streams.nothing_comes(&inbox, LATER).await;
}

#[tokio::test]
async fn bookmarks_of_any_name_are_seen_by_others() {
    let server = fast_server();
    let [one, other] = two(&server).await;
    let (name, beside) = (|| "back fill.*".to_owned(), || "other".to_owned());
    for (name, value) in [(name(), "é 1"), (beside(), "2")] {
        let set = one.set_bookmark(name, Some(value.to_owned()));
        set.await.unwrap();
    }
    let found = other.bookmark(name()).await.unwrap();
    assert_eq!(found.as_deref(), Some("é 1"));
    one.set_bookmark(name(), None).await.unwrap();
    assert_eq!(other.bookmark(name()).await.unwrap(), None);
    let found = other.bookmark(beside()).await.unwrap();
    assert_eq!(found.as_deref(), Some("2"));
}

#[tokio::test]
async fn event_older_than_the_duplicate_window_is_a_duplicate() {
    let server = fast_server();
    let mut options = options();
    options.streams.duplicate_window = Duration::from_millis(100);
    let first = open(&server.url(), options.clone()).await;
    let second = open(&server.url(), options.clone()).await;
    let with_id = append_new(&first, 0, &body_with_id("e1", "a")).await;
    let without = append_new(&first, 1, &body("b")).await;
    // Until the servers themselves have forgotten it.
    let streams = Streams::on(&server.url()).await;
    let probe = |id: String| {
        let message = PublishMessage::build().payload("".into()).message_id(id);
        streams.context.send_publish("heygen.events.probe", message)
    };
    probe("p".to_owned()).await.unwrap().await.unwrap();
    until(async || {
        let answer = probe("p".to_owned()).await.unwrap().await;
        !answer.unwrap().duplicate
    })
    .await;
    in_time(second.wait_until_synced()).await;
    let reopened = open(&server.url(), options).await;
    in_time(reopened.wait_until_synced()).await;
    for inbox in [&first, &second, &reopened] {
        for (text, id) in [(body_with_id("e1", "a"), with_id), (body("b"), without)] {
            let appended = append_duplicate(inbox, 5, &text).await;
            assert_eq!(appended, id, "{text}");
            let found = in_time(inbox.find(vec![delivery(5, &text)])).await.unwrap();
            assert_eq!(found, [Some(id)], "{text}");
        }
        let strange = in_time(inbox.find(vec![delivery(5, body("c"))]))
            .await
            .unwrap();
        assert_eq!(strange, [None]);
    }
}

#[tokio::test]
async fn sync_does_not_wait_for_deleted_events() {
    let server = fast_server();
    let mut options = options();
    let inbox = open(&server.url(), options.clone()).await;
    append_new(&inbox, 0, &body("pending")).await;
    for n in 0..3 {
        append_new(&inbox, 1, &body(&format!("v{n}"))).await;
    }
    let claim = inbox.claim(ClaimRequest::due(10, at(1))).await.unwrap();
    for claimed in &claim.deliveries[1..] {
        complete(&inbox, claimed, 1, AttemptOutcome::Acknowledged).await;
    }
    let pruned = inbox.prune(PruneStep::before(at(9))).await.unwrap();
    assert_eq!(pruned.deleted, 3);
    // All that it would remember is gone.
    options.remembered = 2;
    let other = open(&server.url(), options).await;
    in_time(other.wait_until_synced()).await;
}

#[tokio::test]
async fn lists_read_several_batches() {
    let (_server, inbox) = started().await;
    let count = 3300;
    let kind = |n: u64| match n % 100 {
        0 => "avatar_video.fail",
        _ => "avatar_video.success",
    };
    let appended: Vec<_> = futures_util::stream::iter(0..count)
        .map(|n| {
            let text = body(&format!("v{n}")).replace("avatar_video.success", kind(n));
            let source = match n % 3 {
                0 => Source::Callback,
                1 => Source::Webhook,
                _ => Source::Backfill,
            };
            inbox.append(NewDelivery::new(at(n), source, Vec::new(), text.into()))
        })
        .buffer_unordered(200)
        .collect()
        .await;
    let mut ids: Vec<_> = appended.into_iter().map(|one| new(one.unwrap())).collect();
    ids.sort();
    // A gap of 1500 in the middle, longer than what is read at a time.
    let mut left = count;
    while left > 0 {
        let claim = inbox
            .claim(ClaimRequest::due(500, at(count)))
            .await
            .unwrap();
        left -= claim.deliveries.len() as u64;
        let ends = claim.deliveries.iter().map(|claimed| {
            let index = ids.binary_search(&claimed.id).unwrap();
            let result = match (1000..2500).contains(&index) {
                true => AttemptOutcome::Acknowledged,
                false => AttemptOutcome::Retry,
            };
            inbox.complete(end(claimed, result).due_at(at(LATER)))
        });
        for ended in futures_util::future::join_all(ends).await {
            ended.unwrap();
        }
    }
    let done = inbox
        .list(Query::default().state(State::Acknowledged))
        .await
        .unwrap();
    assert_eq!(done.len(), 1500);
    let gone: Vec<_> = ids.drain(1000..2500).collect();
    let mut step = PruneStep::before(at(count)).limit(400);
    let mut deleted = 0;
    loop {
        // Two at once do not get into each other's way.
        let (pruned, beside) = tokio::join!(inbox.prune(step.clone()), inbox.prune(step.clone()));
        deleted += pruned.unwrap().deleted;
        let Some(next) = beside.unwrap().next else {
            break;
        };
        step = step.after(Some(next));
    }
    assert!(deleted > 0);

    let mut expected = ids.clone();
    assert_eq!(
        listed(&inbox, Query::default().oldest_first()).await,
        expected
    );
    expected.reverse();
    assert_eq!(all_ids(&inbox).await, expected);
    assert_eq!(
        inbox.count(Query::default()).await.unwrap(),
        ids.len() as u64
    );
    let pending = Query::default().state(State::Pending);
    assert_eq!(inbox.count(pending).await.unwrap(), ids.len() as u64);
    assert_eq!(
        inbox
            .count(Query::default().state(State::DeadLettered))
            .await
            .unwrap(),
        0
    );

    // Each filter, compared with the whole list.
    let all = inbox.list(Query::default()).await.unwrap();
    let one = &all[all.len() / 2];
    let subject = one.subject_id.clone().unwrap();
    let checks: Vec<(Query, usize)> = vec![
        (
            Query::default().event_type("avatar_video.fail"),
            all.iter()
                .filter(|stored| stored.event_type.as_deref() == Some("avatar_video.fail"))
                .count(),
        ),
        (Query::default().event_type("avatar_video"), 0),
        (Query::default().subject_id(subject), 1),
        (
            Query::default().source(Source::Backfill),
            all.iter()
                .filter(|stored| stored.source == Source::Backfill)
                .count(),
        ),
        (
            Query::default().since(at(900)).until(at(2600)),
            all.iter()
                .filter(|stored| stored.received_at >= at(900) && stored.received_at < at(2600))
                .count(),
        ),
        (Query::default().after(ids[999]), ids.len() - 1000),
        (Query::default().before(ids[1000]), 1000),
        (Query::default().after(gone[700]), ids.len() - 1000),
        (Query::default().after(ids[5]).before(ids[7]), 1),
        (Query::default().limit(7), 7),
        (Query::default().before(ids[1000]).limit(3), 3),
    ];
    for (query, expected) in checks {
        assert!(expected > 0 || query.event_type.is_some());
        let newest_first = listed(&inbox, query.clone()).await;
        assert_eq!(newest_first.len(), expected, "{query:?}");
        assert!(newest_first.is_sorted_by(|left, right| left > right));
        let oldest_first = listed(&inbox, query.clone().oldest_first()).await;
        assert_eq!(oldest_first.len(), expected, "{query:?}");
        assert!(oldest_first.is_sorted());
    }
    let stats = inbox.stats(at(0)).await.unwrap();
    let sum: u64 = stats.groups.iter().map(|group| group.count).sum();
    assert_eq!(sum, ids.len() as u64);
    assert!(
        stats
            .groups
            .iter()
            .all(|group| group.state == State::Pending)
    );
    assert_eq!(
        stats.attempts,
        [(AttemptOutcome::Retry, ids.len() as u64)],
        "what was pruned is not counted"
    );
    assert_eq!(inbox.get(gone[0]).await.unwrap(), None);
}

#[tokio::test]
async fn post_and_record_at_two_receivers_are_one_event() {
    let server = fast_server();
    let [first, second] = two(&server).await;
    let record = |id: &str| {
        let body = body_with_id(id, "a").into();
        NewDelivery::new(at(1), Source::Backfill, Vec::new(), body)
    };
    let posted = append_new(&first, 0, &body("a")).await;
    let found = second.find(vec![record("e1")]).await.unwrap();
    assert_eq!(found, [Some(posted)], "it looks for what others append");
    let later = append_new(&first, 0, &body("later")).await;
    let find = second.find(vec![delivery(0, body("later"))]);
    assert_eq!(find.await.unwrap(), [Some(later)], "each time");
    // Both read the log at once, and each finds another record first: one of them is the POST's.
    let (one, other) = tokio::join!(second.append(record("e1")), first.append(record("e2")));
    let both = [one.unwrap(), other.unwrap()];
    let matched: Vec<_> = both
        .iter()
        .filter(|appended| matches!(appended, Appended::Duplicate(_)))
        .collect();
    assert_eq!(matched.len(), 1, "{both:?}");
    assert_eq!(matched[0].id(), posted);
    for inbox in [&first, &second] {
        let stored = get(inbox, posted).await;
        let event_id = stored.event_id.as_deref();
        assert!(matches!(event_id, Some("e1" | "e2")), "{event_id:?}");
        // The servers recognise the same body at once, from any receiver.
        let again = append_duplicate(inbox, 2, body("a")).await;
        assert_eq!(again, posted);
    }
}
