//! Several processes that share an inbox on JetStream: who gets what, and what becomes of it when one ends in the middle.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use heygen_inbox::jetstream::{JetStreamInbox, JetStreamOptions};
use heygen_inbox::{
    AttemptOutcome, ClaimRequest, DeliveryId, Inbox as _, InboxAdmin as _, InboxErrorKind, State,
};
use xtask_nats::{Options, PATIENCE, Program, Server};

use crate::jetstream_support::{
    ACK_WAIT, Process, Streams, claim_soon, end, fast_server, in_time, open, options, started, two,
};
use crate::support::{
    append_duplicate, append_new, at, attempts, body, claim_due, claim_one, complete, delivery,
    get, new, until,
};

#[tokio::test]
async fn delivery_is_claimed_by_one_worker() {
    let server = fast_server();
    let [first, second] = two(&server).await;
    for n in 0..40 {
        let inbox = if n % 2 == 0 { &first } else { &second };
        append_new(inbox, n, &body(&format!("v{n}"))).await;
    }
    let (one, other) = tokio::join!(claim_all(&first), claim_all(&second));
    let mut times: HashMap<DeliveryId, usize> = HashMap::new();
    for id in one.iter().chain(&other) {
        *times.entry(*id).or_default() += 1;
    }
    assert_eq!(times.len(), 40, "each is claimed");
    assert!(times.values().all(|times| *times == 1), "once");
    assert!(!one.is_empty() && !other.is_empty(), "by both");
}

async fn claim_all(inbox: &JetStreamInbox) -> Vec<DeliveryId> {
    let mut ids = Vec::new();
    loop {
        let claim = inbox.claim(ClaimRequest::due(3, at(100))).await.unwrap();
        if claim.deliveries.is_empty() {
            return ids;
        }
        for claimed in claim.deliveries {
            assert_eq!(claimed.attempt, 1);
            ids.push(claimed.id);
        }
    }
}

#[test]
fn deliveries_of_a_dead_worker_go_to_another() {
    let server = fast_server();
    let first = Process::start(&server.url(), options());
    let id = first.run(append_new(&first.inbox, 0, &body("a")));
    let claimed = first.run(claim_one(&first.inbox, 0));
    assert_eq!((claimed.id, claimed.attempt), (id, 1));
    drop(first);

    let second = Process::start(&server.url(), options());
    let again = second.claim_soon(5);
    assert_eq!((again.id, again.attempt, again.first_attempt), (id, 2, 1));
    assert_eq!(
        attempts(&second.get(&again)),
        [(1, AttemptOutcome::Interrupted)]
    );
    second.complete(&again, AttemptOutcome::Retry);
    let third = second.claim_soon(5);
    assert_eq!(third.attempt, 3);
    drop(second);

    // The same with what came by a reference.
    let last = Process::start(&server.url(), options());
    let fourth = last.claim_soon(5);
    assert_eq!(fourth.attempt, 4);
    last.complete(&fourth, AttemptOutcome::Acknowledged);
    let stored = last.get(&fourth);
    assert_eq!(stored.summary.state, State::Acknowledged);
    assert_eq!(
        attempts(&stored),
        [
            (1, AttemptOutcome::Interrupted),
            (2, AttemptOutcome::Retry),
            (3, AttemptOutcome::Interrupted),
            (4, AttemptOutcome::Acknowledged),
        ]
    );
    last.run(async {
        let streams = Streams::on(&server.url()).await;
        streams.nothing_comes(&last.inbox, 99).await;
    });
}

/// Each worker that stops gives back what it holds, and the servers count that as a delivery.
#[tokio::test]
async fn delivery_that_workers_give_back_uses_up_no_attempts() {
    let server = fast_server();
    let receiver = open(&server.url(), options()).await;
    let id = append_new(&receiver, 30, &body("a")).await;
    for _ in 0..4 {
        let worker = open(&server.url(), options()).await;
        hold(&worker, 0).await;
        worker.close().await.unwrap();
    }
    let claimed = claim_soon(&receiver, 30).await;
    // Its first attempt may have been begun without a record, and may be the only one it can have.
    let expected = (id, 2, 0);
    assert_eq!((claimed.id, claimed.attempt, claimed.interrupted), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delivery_in_progress_stays_with_its_worker() {
    let server = fast_server();
    // On a busy machine some extensions come late.
    let mut options = options();
    options.ack_wait = ACK_WAIT * 3;
    let (first, second) = (
        open(&server.url(), options.clone()).await,
        open(&server.url(), options.clone()).await,
    );
    append_new(&first, 0, &body("new")).await;
    append_new(&first, 0, &body("again")).await;
    let claimed = claim_due(&first, 10, 0).await;
    let [new, again] = &claimed[..] else {
        panic!("two are due");
    };
    complete(&first, again, 1, AttemptOutcome::Retry).await;
    let again = claim_soon(&first, 2).await;
    assert_eq!(again.attempt, 2);
    let begun_at = Instant::now();
    while begun_at.elapsed() < options.ack_wait * 3 / 2 {
        let claim = second.claim(ClaimRequest::due(10, at(5))).await.unwrap();
        assert!(claim.deliveries.is_empty(), "{:?}", claim.deliveries);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for claimed in [new, &again] {
        complete(&first, claimed, 1, AttemptOutcome::Acknowledged).await;
        let stored = get(&second, claimed.id).await;
        assert_eq!(stored.summary.state, State::Acknowledged);
        assert_eq!(stored.summary.attempts, claimed.attempt);
    }
}

#[test]
fn retry_of_one_worker_is_dispatched_by_another() {
    let server = fast_server();
    let first = Process::start(&server.url(), options());
    let second = Process::start(&server.url(), options());
    let id = first.run(append_new(&first.inbox, 0, &body("a")));
    let claimed = first.claim_soon(0);
    let retry = end(&claimed, AttemptOutcome::Retry).due_at(at(30));
    first.run(first.inbox.complete(retry)).unwrap();

    let early = second.run(in_time(async {
        // It has to hear of the reference first.
        loop {
            let claim = second
                .inbox
                .claim(ClaimRequest::due(1, at(29)))
                .await
                .unwrap();
            assert!(claim.deliveries.is_empty(), "not yet");
            if let Some(due) = claim.next_due {
                return due;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }));
    assert_eq!(early, at(30));
    let again = second.claim_soon(30);
    assert_eq!((again.id, again.attempt), (id, 2));
    second.complete(&again, AttemptOutcome::Acknowledged);

    let replayed = second.run(second.inbox.replay(vec![id], at(40))).unwrap();
    assert_eq!((replayed.pending, replayed.missing), (1, 0));
    let reopened = first.claim_soon(40);
    assert_eq!(
        (reopened.id, reopened.attempt, reopened.first_attempt),
        (id, 3, 3)
    );
    first.complete(&reopened, AttemptOutcome::Acknowledged);
}

#[test]
fn late_completion_is_recorded_only() {
    let server = fast_server();
    let first = Process::start(&server.url(), options());
    let second = Process::start(&server.url(), options());
    first.run(append_new(&first.inbox, 0, &body("a")));
    let late = first.claim_soon(0);
    let claimed = second.claim_soon(5);
    assert_eq!((claimed.id, claimed.attempt), (late.id, 2));
    for result in [AttemptOutcome::Retry, AttemptOutcome::DeadLettered] {
        first.complete(&late, result);
        let stored = second.get(&claimed);
        assert_eq!(stored.summary.state, State::Claimed);
        assert_eq!(attempts(&stored), [(1, result)]);
    }
    second.complete(&claimed, AttemptOutcome::Acknowledged);
    first.run(async {
        let streams = Streams::on(&server.url()).await;
        streams.nothing_comes(&first.inbox, 99).await;
    });
    let stored = second.get(&claimed);
    assert_eq!(stored.summary.state, State::Acknowledged);
    assert_eq!(
        attempts(&stored),
        [
            (1, AttemptOutcome::DeadLettered),
            (2, AttemptOutcome::Acknowledged)
        ]
    );
}

#[test]
fn worker_that_was_away_gets_the_retry_of_another() {
    let server = fast_server();
    let first = Process::start(&server.url(), options());
    let second = Process::start(&server.url(), options());
    first.run(append_new(&first.inbox, 0, &body("a")));
    let late = first.claim_soon(0);
    let claimed = second.claim_soon(5);
    second.complete(&claimed, AttemptOutcome::Retry);
    drop(second);
    // Its own handler is still at the first attempt.
    let third = first.claim_soon(5);
    assert_eq!((third.id, third.attempt), (late.id, 3));
    first.complete(&late, AttemptOutcome::Retry);
    first.complete(&third, AttemptOutcome::Retry);
    let fourth = first.claim_soon(5);
    assert_eq!(fourth.attempt, 4);
    first.complete(&fourth, AttemptOutcome::Acknowledged);
}

/// Runs with a process that ends after it recorded that `attempt` has to be made again, and before it made the reference.
fn missing_reference(attempt: u32) {
    let server = fast_server();
    let first = Process::start(&server.url(), options());
    first.run(append_new(&first.inbox, 0, &body("a")));
    let mut claimed = first.claim_soon(0);
    while claimed.attempt < attempt {
        first.complete(&claimed, AttemptOutcome::Retry);
        claimed = first.claim_soon(2);
    }
    let streams = first.run(Streams::on(&server.url()));
    first.run(streams.refuse_references(true));
    let refused = first.run(first.inbox.complete(end(&claimed, AttemptOutcome::Retry)));
    assert_eq!(refused.unwrap_err().kind(), InboxErrorKind::Storage);
    assert_eq!(first.get(&claimed).attempts.len(), attempt as usize);
    drop(first);

    let second = Process::start(&server.url(), options());
    let streams = second.run(Streams::on(&server.url()));
    second.run(streams.refuse_references(false));
    let again = second.claim_soon(5);
    assert_eq!((again.id, again.attempt), (claimed.id, attempt + 1));
    second.complete(&again, AttemptOutcome::Acknowledged);
    second.run(streams.nothing_comes(&second.inbox, 99));
}

#[test]
fn crash_before_the_first_reference_loses_nothing() {
    missing_reference(1);
}

#[test]
fn crash_before_a_later_reference_loses_nothing() {
    missing_reference(3);
}

#[test]
fn late_completion_does_not_replace_a_missing_reference() {
    let server = fast_server();
    let first = Process::start(&server.url(), options());
    let second = Process::start(&server.url(), options());
    first.run(append_new(&first.inbox, 0, &body("a")));
    let late = first.claim_soon(0);
    let claimed = second.claim_soon(5);
    let streams = first.run(Streams::on(&server.url()));
    first.run(streams.refuse_references(true));
    let refused = second.run(second.inbox.complete(end(&claimed, AttemptOutcome::Retry)));
    refused.unwrap_err();
    drop(second);
    first.complete(&late, AttemptOutcome::Retry);
    first.run(streams.refuse_references(false));
    let third = first.claim_soon(5);
    assert_eq!((third.id, third.attempt), (late.id, 3));
    first.complete(&third, AttemptOutcome::Acknowledged);
    first.run(streams.nothing_comes(&first.inbox, 99));
}

#[test]
fn crash_before_the_acknowledgement_doubles_nothing() {
    // Acknowledgements of the first user come to nothing.
    let server = Server::start(
        Program::Current,
        &Options::new().sync_interval("2m").config(
            "authorization { users: [\n\
             { user: mute, password: m, permissions: { publish: { deny: \"$JS.ACK.>\" } } }\n\
             { user: sound, password: s }\n\
             ] }",
        ),
    )
    .unwrap();
    let as_user = |user: &str| server.url().replace("//", &format!("//{user}@"));
    let sound = as_user("sound:s");
    let second = Process::start(&sound, options());
    let client = async_nats::ConnectOptions::with_user_and_password("sound".into(), "s".into());
    let streams = second.run(async { Streams::of(client.connect(server.url()).await.unwrap()) });
    // As if it was long ago: the servers know no duplicate any more.
    second.run(streams.change("HEYGEN_AGAIN", |config| {
        config.duplicate_window = Duration::from_millis(100);
    }));

    let first = Process::start(&as_user("mute:m"), options());
    first.run(append_new(&first.inbox, 0, &body("a")));
    let claimed = first.claim_soon(0);
    let retry = end(&claimed, AttemptOutcome::Retry).due_at(at(20));
    first.run(first.inbox.complete(retry)).unwrap();
    drop(first);
    second.run(until(async || {
        let claimed = claim_due(&second.inbox, 10, 10).await;
        assert!(claimed.is_empty(), "{claimed:?}");
        streams.left().await == 1
    }));
    assert_eq!(second.run(streams.len("HEYGEN_AGAIN")), 1, "one reference");
    let again = second.claim_soon(20);
    assert_eq!(again.attempt, 2);
    second.complete(&again, AttemptOutcome::Acknowledged);
    second.run(streams.nothing_comes(&second.inbox, 99));
}

#[test]
fn completion_can_be_repeated_after_a_partial_failure() {
    let server = fast_server();
    let first = Process::start(&server.url(), options());
    let streams = first.run(Streams::on(&server.url()));
    first.run(append_new(&first.inbox, 0, &body("a")));
    let claimed = first.claim_soon(0);
    let retry = || end(&claimed, AttemptOutcome::Retry);
    first.run(streams.refuse_references(true));
    for _ in 0..2 {
        let refused = first.run(first.inbox.complete(retry())).unwrap_err();
        assert_eq!(refused.kind(), InboxErrorKind::Storage);
    }
    first.run(streams.refuse_references(false));
    for _ in 0..2 {
        first.run(first.inbox.complete(retry())).unwrap();
    }
    let again = first.claim_soon(2);
    assert_eq!(again.attempt, 2);
    assert_eq!(attempts(&first.get(&again)), [(1, AttemptOutcome::Retry)]);
    first.complete(&again, AttemptOutcome::Acknowledged);
    first.run(streams.nothing_comes(&first.inbox, 99));
}

#[tokio::test]
async fn dead_letter_is_copied_until_it_is_replayed() {
    let (server, inbox) = started().await;
    let streams = Streams::on(&server.url()).await;
    let odd = " {\"event_type\":\"avatar_video.fail\",\"event_data\":{\"video_id\":\"ü\"}}\r\n";
    let id = append_new(&inbox, 0, odd).await;
    let claimed = claim_one(&inbox, 0).await;
    let reason = "no\nwords é".to_owned();
    let dead = || end(&claimed, AttemptOutcome::DeadLettered).detail(Some(reason.clone()));
    for _ in 0..2 {
        inbox.complete(dead()).await.unwrap();
    }
    assert_eq!(streams.len("HEYGEN_DEAD").await, 1);
    assert_eq!(inbox.counts().await.unwrap().dead_lettered, 1);
    let letters = streams.context.get_stream("HEYGEN_DEAD").await.unwrap();
    let letter = letters
        .get_last_raw_message_by_subject("heygen.dead.avatar_video.fail")
        .await
        .unwrap();
    assert_eq!(letter.payload, odd);
    let header = |name: &str| {
        letter
            .headers
            .get(name)
            .map(|value| value.as_str().to_owned())
    };
    assert_eq!(
        header("Heygen-Inbox-Delivery"),
        Some(id.to_string()),
        "whose copy it is"
    );
    assert_eq!(header("Heygen-Inbox-Attempts").as_deref(), Some("1"));
    assert_eq!(
        header("Heygen-Inbox-Reason").as_deref(),
        Some("no\\nwords \\u{e9}")
    );
    assert_eq!(header("Heygen-Inbox-Source").as_deref(), Some("webhook"));

    inbox.replay(vec![id], at(5)).await.unwrap();
    assert_eq!(streams.len("HEYGEN_DEAD").await, 0);
    let reopened = claim_soon(&inbox, 5).await;
    assert_eq!((reopened.attempt, reopened.first_attempt), (2, 2));
    assert_eq!(reopened.body, odd);
    complete(&inbox, &reopened, 1, AttemptOutcome::DeadLettered).await;
    assert_eq!(streams.len("HEYGEN_DEAD").await, 1);

    // Done is done, also late.
    complete(&inbox, &claimed, 1, AttemptOutcome::Acknowledged).await;
    let stored = get(&inbox, id).await;
    assert_eq!(stored.summary.state, State::Acknowledged);
    assert_eq!(streams.len("HEYGEN_DEAD").await, 0);
    assert_eq!(inbox.counts().await.unwrap().dead_lettered, 0);
}

#[tokio::test]
async fn new_events_do_not_wait_for_many_retries() {
    let server = fast_server();
    let inbox = open(&server.url(), JetStreamOptions::default()).await;
    let postponed = 1100;
    let appending = (0..postponed).map(|n| inbox.append(delivery(0, body(&format!("v{n}")))));
    for appended in futures_util::future::join_all(appending).await {
        new(appended.unwrap());
    }
    let mut left = postponed;
    let begun_at = Instant::now();
    while left > 0 {
        assert!(begun_at.elapsed() < PATIENCE, "{left} are not dispatched");
        let claim = inbox.claim(ClaimRequest::due(200, at(0))).await.unwrap();
        left -= claim.deliveries.len();
        let ends = claim.deliveries.iter().map(|claimed| {
            let retry = end(claimed, AttemptOutcome::Retry).due_at(at(50));
            inbox.complete(retry)
        });
        for ended in futures_util::future::join_all(ends).await {
            ended.unwrap();
        }
    }
    // What waits is taken here first, as much of it as there is room for.
    let streams = Streams::on(&server.url()).await;
    let mut is_waiting = false;
    while !is_waiting {
        assert!(begun_at.elapsed() < PATIENCE, "some are not postponed");
        let claim = inbox.claim(ClaimRequest::due(200, at(1))).await.unwrap();
        is_waiting = claim.next_due.is_some() && streams.left().await == postponed as u64;
    }
    let id = append_new(&inbox, 2, &body("new")).await;
    let claimed = claim_soon(&inbox, 2).await;
    assert_eq!(claimed.id, id);
}

#[tokio::test]
async fn recreated_consumer_dispatches_only_what_is_unfinished() {
    let (server, inbox) = started().await;
    append_new(&inbox, 0, &body("done")).await;
    let claimed = claim_one(&inbox, 0).await;
    complete(&inbox, &claimed, 1, AttemptOutcome::Acknowledged).await;
    append_new(&inbox, 0, &body("postponed")).await;
    let postponed = claim_one(&inbox, 0).await;
    let retry = end(&postponed, AttemptOutcome::Retry).due_at(at(9));
    inbox.complete(retry).await.unwrap();
    let new = append_new(&inbox, 0, &body("new")).await;
    drop(inbox);

    let streams = Streams::on(&server.url()).await;
    let stream = streams.context.get_stream("HEYGEN").await.unwrap();
    stream.delete_consumer("workers").await.unwrap();
    let inbox = open(&server.url(), options()).await;
    let claimed = claim_soon(&inbox, 1).await;
    assert_eq!((claimed.id, claimed.attempt), (new, 1));
    complete(&inbox, &claimed, 1, AttemptOutcome::Acknowledged).await;
    let again = claim_soon(&inbox, 9).await;
    assert_eq!((again.id, again.attempt), (postponed.id, 2));
    complete(&inbox, &again, 1, AttemptOutcome::Acknowledged).await;
    streams.nothing_comes(&inbox, 99).await;
    append_duplicate(&inbox, 0, body("done")).await;
}

#[tokio::test]
async fn pause_by_another_process_is_noticed_and_ends() {
    let (server, worker) = started().await;
    let operator = open(&server.url(), options()).await;
    append_new(&worker, 0, &body("a")).await;
    let claimed = claim_one(&worker, 1).await;
    operator.pause(at(1)).await.unwrap();
    until(async || is_paused(&worker).await).await;
    // What was begun ends.
    complete(&worker, &claimed, 1, AttemptOutcome::Acknowledged).await;
    append_new(&worker, 1, &body("b")).await;
    let later = open(&server.url(), options()).await;
    assert!(is_paused(&later).await, "one that starts meanwhile");
    operator.resume().await.unwrap();
    claim_soon(&worker, 9).await;
}

async fn is_paused(inbox: &JetStreamInbox) -> bool {
    let claim = inbox.claim(ClaimRequest::due(1, at(5))).await.unwrap();
    assert!(claim.deliveries.is_empty());
    claim.is_paused
}

/// Claims until the one delivery is held that is due later.
async fn hold(inbox: &JetStreamInbox, seconds: u64) {
    until(async || {
        let request = ClaimRequest::due(1, at(seconds));
        inbox.claim(request).await.unwrap().next_due.is_some()
    })
    .await;
}

/// The event is gone, and its record cannot be deleted.
#[tokio::test]
async fn held_delivery_is_not_dispatched_after_a_deletion_that_fails() {
    let of_server = Options::new().sync_interval("2m").config(
        "authorization { users: [\n\
         { user: a, password: b, permissions: { publish: { deny: \"$JS.API.STREAM.PURGE.>\" } } }\n\
         ] }",
    );
    let server = Server::start(Program::Current, &of_server).unwrap();
    let inbox = open(&server.url().replace("//", "//a:b@"), options()).await;
    let id = append_new(&inbox, 30, &body("a")).await;
    hold(&inbox, 0).await;
    inbox.delete(vec![id]).await.unwrap_err();
    assert!(claim_due(&inbox, 1, 40).await.is_empty());
}

/// From when an operator dead-letters what was never dispatched, a worker that holds such a delivery
/// may not dispatch it without looking at its record.
#[tokio::test]
async fn first_attempt_of_a_held_delivery_is_recorded_once_an_operator_records_some() {
    let server = fast_server();
    let [worker, operator] = two(&server).await;
    let id = append_new(&worker, 30, &body("a")).await;
    hold(&worker, 0).await;
    let other = append_new(&operator, 50, &body("b")).await;
    let report = operator.dead_letter(vec![other], at(1)).await.unwrap();
    assert_eq!(report.dead_lettered, 1);
    assert_eq!(claim_soon(&worker, 40).await.id, id);
    let streams = Streams::on(&server.url()).await;
    let records = streams.context.get_stream("HEYGEN_RECORDS").await.unwrap();
    let subject = format!("heygen.records.event.{}", id.key());
    let record = records.get_last_raw_message_by_subject(&subject).await;
    assert!(record.is_ok(), "it is recorded before it is dispatched");
}

/// As a browser that is closed: what it asked for is not left half done.
#[tokio::test]
async fn replay_goes_on_without_its_caller() {
    let (_server, inbox) = started().await;
    let id = append_new(&inbox, 0, &body("a")).await;
    let claimed = claim_one(&inbox, 0).await;
    complete(&inbox, &claimed, 1, AttemptOutcome::DeadLettered).await;
    tokio::select! {
        biased;
        _ = inbox.replay(vec![id], at(5)) => panic!("a server answers later"),
        () = std::future::ready(()) => {}
    }
    let again = claim_soon(&inbox, 5).await;
    assert_eq!((again.id, again.attempt), (id, 2));
}

#[tokio::test]
async fn replay_makes_its_reference_as_soon_as_it_can() {
    let (server, inbox) = started().await;
    let streams = Streams::on(&server.url()).await;
    let id = append_new(&inbox, 0, &body("a")).await;
    let claimed = claim_one(&inbox, 0).await;
    complete(&inbox, &claimed, 1, AttemptOutcome::DeadLettered).await;
    streams.refuse_references(true).await;
    let allowing = async {
        until(async || get(&inbox, id).await.summary.state == State::Pending).await;
        streams.refuse_references(false).await;
    };
    let (replayed, ()) = tokio::join!(inbox.replay(vec![id], at(5)), allowing);
    assert_eq!(replayed.unwrap().pending, 1);
    assert_eq!(claim_soon(&inbox, 5).await.id, id);
}

/// A worker holds it until it is due, while another process deletes it.
#[tokio::test]
async fn retry_that_another_process_deletes_is_not_dispatched() {
    let server = fast_server();
    let [worker, operator] = two(&server).await;
    let streams = Streams::on(&server.url()).await;
    let id = append_new(&worker, 0, &body("a")).await;
    let claimed = claim_one(&worker, 1).await;
    let retry = end(&claimed, AttemptOutcome::Retry).due_at(at(30));
    worker.complete(retry).await.unwrap();
    hold(&worker, 5).await;
    assert_eq!(operator.delete(vec![id]).await.unwrap().deleted, 1);
    assert!(claim_due(&worker, 1, 40).await.is_empty());
    let records = streams.context.get_stream("HEYGEN_RECORDS").await.unwrap();
    let subject = format!("heygen.records.event.{}", id.key());
    let record = records.get_last_raw_message_by_subject(&subject).await;
    assert!(record.is_err(), "no record stays");
}

/// A worker does not read the record before the first attempt, unless an operator asked for it.
#[tokio::test]
async fn dead_letter_of_another_process_is_not_dispatched() {
    let (server, worker) = started().await;
    let operator = open(&server.url(), options()).await;
    // It has claimed before, so that it has looked already.
    claim_due(&worker, 1, 0).await;
    let dead_lettered = append_new(&worker, 0, &body("a")).await;
    let deleted = append_new(&worker, 0, &body("b")).await;
    let other = append_new(&worker, 0, &body("c")).await;
    let report = operator
        .dead_letter(vec![dead_lettered], at(1))
        .await
        .unwrap();
    assert_eq!(report.dead_lettered, 1);
    assert_eq!(operator.delete(vec![deleted]).await.unwrap().deleted, 1);
    assert_eq!(claim_soon(&worker, 2).await.id, other);
    let stored = get(&operator, dead_lettered).await;
    assert_eq!(stored.summary.state, State::DeadLettered);
    // Another worker has this one.
    let report = operator.dead_letter(vec![other], at(3)).await.unwrap();
    assert_eq!((report.dead_lettered, report.claimed), (0, 1));
    assert_eq!(operator.delete(vec![other]).await.unwrap().claimed, 1);
}
