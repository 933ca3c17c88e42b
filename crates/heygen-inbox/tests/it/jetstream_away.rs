//! Servers that are killed, paused or full: how the store on JetStream fails meanwhile, and that it recovers by itself.

use std::time::{Duration, Instant};

use async_nats::{Client, Subscriber};
use futures_util::{FutureExt as _, StreamExt as _};
use heygen_inbox::jetstream::JetStreamInbox;
use heygen_inbox::{
    AttemptOutcome, ClaimRequest, Inbox as _, InboxAdmin as _, InboxError, InboxErrorKind,
    PruneStep, Query, State,
};
use xtask_nats::{Options, PATIENCE, Program, Server};

use crate::jetstream_support::{
    Streams, claim_soon, end, fast_server, in_time, open, options, started,
};
use crate::support::{
    all_ids, append_duplicate, append_new, at, body, body_with_id, claim_one, complete, delivery,
    get, new, server, until,
};

#[track_caller]
fn check_storage<T: std::fmt::Debug>(result: Result<T, InboxError>) {
    assert_eq!(result.unwrap_err().kind(), InboxErrorKind::Storage);
}

/// Asks until the connection is there again.
async fn until_ready(inbox: &JetStreamInbox) {
    until(async || inbox.ready().await.is_ok()).await;
}

async fn goes_on_after_a_kill(program: Program) {
    let mut server = server(program);
    let inbox = open(&server.url(), options()).await;
    let in_progress = append_new(&inbox, 0, &body("claimed")).await;
    let claimed = claim_one(&inbox, 0).await;
    let waiting = append_new(&inbox, 1, &body("waiting")).await;
    inbox.ready().await.unwrap();
    let stored = inbox.find(vec![delivery(1, body("waiting"))]).await;
    assert_eq!(stored.unwrap(), [Some(waiting)]);

    server.kill().unwrap();
    // The first may be on its way when the connection breaks.
    check_storage(in_time(inbox.append(delivery(2, body("lost")))).await);
    let begun_at = Instant::now();
    for n in 0..100 {
        let appended = in_time(inbox.append(delivery(2, body(&format!("lost{n}")))));
        check_storage(appended.await);
    }
    assert!(begun_at.elapsed() < options().publish_timeout, "at once");
    check_storage(in_time(inbox.ready()).await);
    check_storage(in_time(inbox.claim(ClaimRequest::due(10, at(3)))).await);
    check_storage(in_time(inbox.complete(end(&claimed, AttemptOutcome::Acknowledged))).await);
    check_storage(in_time(inbox.get(in_progress)).await);
    check_storage(in_time(inbox.list(Query::default())).await);
    check_storage(in_time(inbox.counts()).await);
    // Another receiver may have stored it.
    check_storage(in_time(inbox.find(vec![delivery(2, body("other"))])).await);
    check_storage(in_time(inbox.prune(PruneStep::before(at(9)))).await);
    assert_eq!(inbox.queue_len(), 0);

    server.restart().unwrap();
    until_ready(&inbox).await;
    let late = append_new(&inbox, 4, &body("lost")).await;
    assert_eq!(all_ids(&inbox).await, [late, waiting, in_progress]);
    complete(&inbox, &claimed, 1, AttemptOutcome::Acknowledged).await;
    let stored = get(&inbox, in_progress).await;
    assert_eq!(stored.summary.state, State::Acknowledged);
    let mut dispatched = Vec::new();
    while dispatched.len() < 2 {
        assert!(begun_at.elapsed() < PATIENCE, "{dispatched:?}");
        let claim = inbox.claim(ClaimRequest::due(10, at(5))).await.unwrap();
        dispatched.extend(claim.deliveries.iter().map(|claimed| claimed.id));
    }
    assert_eq!(dispatched, [waiting, late]);
}

#[tokio::test]
async fn killed_server_is_reported_at_once_and_found_again() {
    goes_on_after_a_kill(Program::Current).await;
}

#[tokio::test]
async fn killed_server_is_reported_and_found_again_with_2_9() {
    goes_on_after_a_kill(Program::Debian).await;
}

#[tokio::test]
async fn missing_acknowledgement_stores_no_second_event() {
    let mut server = fast_server();
    let mut options = options();
    options.answer_timeout = Duration::from_millis(300);
    options.publish_timeout = PATIENCE;
    let inbox = open(&server.url(), options.clone()).await;
    let known = append_new(&inbox, 0, &body("known")).await;

    // The server answers late, so that it is asked more than once.
    server.pause().unwrap();
    let appending = inbox.append(delivery(1, body_with_id("e1", "a")));
    let resuming = async {
        tokio::time::sleep(options.answer_timeout * 3).await;
        server.resume().unwrap();
    };
    let (appended, ()) = in_time(async { tokio::join!(appending, resuming) }).await;
    let id = new(appended.unwrap());
    let stored = get(&inbox, id).await;
    assert_eq!(stored.redeliveries.count, 0, "no one sent it again");

    // The server answers too late.
    options.publish_timeout = Duration::from_millis(500);
    let hasty = open(&server.url(), options).await;
    server.pause().unwrap();
    let waiting = (0..50).map(|n| hasty.append(delivery(2, body(&format!("b{n}")))));
    for appended in in_time(futures_util::future::join_all(waiting)).await {
        check_storage(appended);
    }
    check_storage(in_time(hasty.ready()).await);
    check_storage(in_time(hasty.claim(ClaimRequest::due(1, at(3)))).await);
    assert_eq!(hasty.queue_len(), 0);
    server.resume().unwrap();
    until_ready(&hasty).await;
    for n in 0..50 {
        // HeyGen sends it again.
        hasty
            .append(delivery(4, body(&format!("b{n}"))))
            .await
            .unwrap();
    }
    assert_eq!(append_duplicate(&hasty, 5, body("known")).await, known);
    assert_eq!(all_ids(&inbox).await.len(), 52);
}

#[tokio::test]
async fn append_beyond_the_queue_capacity_is_busy() {
    let mut server = fast_server();
    let mut options = options();
    options.queue_capacity = 2;
    options.publish_timeout = PATIENCE;
    let inbox = open(&server.url(), options).await;
    server.pause().unwrap();
    let bodies = ["a", "b", "c", "d"].map(body);
    let appending: Vec<_> = bodies
        .iter()
        .map(|body| {
            let (inbox, delivery) = (inbox.clone(), delivery(0, body));
            tokio::spawn(async move { inbox.append(delivery).await })
        })
        .collect();
    let [first, second, third, fourth] = appending.try_into().unwrap();
    for refused in [third, fourth] {
        let error = in_time(refused).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), InboxErrorKind::Busy);
    }
    assert_eq!(inbox.queue_len(), 2);
    server.resume().unwrap();
    for appended in [first, second] {
        new(in_time(appended).await.unwrap().unwrap());
    }
    assert_eq!(inbox.queue_len(), 0);
    new(inbox.append(delivery(0, body("c"))).await.unwrap());
}

#[tokio::test]
async fn full_stream_refuses_appends_until_pruned() {
    let server = fast_server();
    let mut options = options();
    options.streams.max_bytes = Some(1_000_000);
    let inbox = open(&server.url(), options).await;
    let large = |n: usize| body(&format!("{n}{}", "x".repeat(100_000)));
    let mut stored = Vec::new();
    let refused = loop {
        assert!(stored.len() < 20, "it is full by now");
        match inbox.append(delivery(0, large(stored.len()))).await {
            Ok(appended) => stored.push(new(appended)),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), InboxErrorKind::Storage);
    assert!(refused.to_string().contains("full"), "{refused:?}");
    assert!(stored.len() > 5, "{}", stored.len());
    // Nothing unhandled was deleted for room, and what there is can be handled.
    assert_eq!(all_ids(&inbox).await.len(), stored.len());
    for _ in &stored {
        let claim = inbox.claim(ClaimRequest::due(1, at(1))).await.unwrap();
        inbox
            .complete(end(&claim.deliveries[0], AttemptOutcome::Acknowledged))
            .await
            .unwrap();
    }
    let pruned = inbox.prune(PruneStep::before(at(1))).await.unwrap();
    assert_eq!(pruned.deleted, stored.len());
    new(inbox.append(delivery(2, large(99))).await.unwrap());
    claim_soon(&inbox, 2).await;
}

/// The same where the account has no room for more.
#[tokio::test]
async fn full_account_refuses_appends() {
    let accounts = r#"accounts { A {
        jetstream: { max_file: 1MB }
        users: [ { user: "a", password: "b" } ]
    } }"#;
    let options_of_server = Options::new().sync_interval("2m").config(accounts);
    let server = Server::start(Program::Current, &options_of_server).unwrap();
    let url = server.url().replace("nats://", "nats://a:b@");
    let inbox = open(&url, options()).await;
    let refused = in_time(async {
        for number in 0.. {
            let large = body(&format!("{number}{}", "x".repeat(100_000)));
            if let Err(error) = inbox.append(delivery(0, large)).await {
                return error;
            }
        }
        unreachable!("numbers do not end")
    })
    .await;
    assert_eq!(refused.kind(), InboxErrorKind::Storage);
    assert!(refused.to_string().contains("full"), "{refused:?}");
}

/// From here on the stream acknowledges nothing. Gives what is published, for the test to answer.
async fn unacknowledged(
    server: &Server,
    stream: &str,
    subjects: &'static str,
) -> (Client, Subscriber) {
    let client = async_nats::connect(server.url()).await.unwrap();
    let published = client.subscribe(subjects).await.unwrap();
    Streams::of(client.clone())
        .change(stream, |config| config.no_ack = true)
        .await;
    // Once it has answered this, the server knows of the subscription.
    let no_responder = client.request("no-one", "".into()).await;
    no_responder.unwrap_err();
    (client, published)
}

/// Servers before 2.11 may drop a message and call each retry its duplicate for the whole duplicate
/// window. Here the stream acknowledges nothing, and the test does as such a server.
#[tokio::test]
async fn message_that_stays_in_flight_is_stored_under_another_id() {
    let server = fast_server();
    let mut options = options();
    options.publish_timeout = Duration::from_millis(300);
    let inbox = open(&server.url(), options).await;
    let (client, mut published) = unacknowledged(&server, "HEYGEN", "heygen.events.>").await;
    let answering = async {
        let mut ids = Vec::new();
        while let Some(message) = published.next().await {
            let headers = message.headers.unwrap();
            let id = headers.get("Nats-Msg-Id").unwrap().to_string();
            let is_first = ids.first().is_none_or(|first| *first == id);
            ids.push(id);
            let answer = match is_first {
                true => r#"{"stream":"HEYGEN","seq":0,"duplicate":true}"#,
                false => r#"{"stream":"HEYGEN","seq":1}"#,
            };
            let reply = message.reply.unwrap();
            client.publish(reply, answer.into()).await.unwrap();
            if !is_first {
                break;
            }
        }
        ids
    };
    let appending = Box::pin(inbox.append(delivery(0, body("a"))));
    let both = Box::pin(async { tokio::join!(appending, answering) });
    let (appended, ids) = in_time(both).await;
    new(appended.unwrap());
    assert!(ids.len() > 2, "it was tried under its own id: {ids:?}");
    let (first, last) = (ids.first().unwrap(), ids.last().unwrap());
    assert_eq!(*last, format!("{first}-0"));
}

/// What this append sent without an answer may still be stored under its id.
#[tokio::test]
async fn own_message_in_flight_is_not_sent_under_another_id() {
    let server = fast_server();
    let mut options = options();
    options.answer_timeout = Duration::from_millis(300);
    options.publish_timeout = Duration::from_secs(1);
    let inbox = open(&server.url(), options).await;
    let (client, mut published) = unacknowledged(&server, "HEYGEN", "heygen.events.>").await;
    let mut ids = Vec::new();
    let mut appending = Box::pin(inbox.append(delivery(0, body("a"))));
    let appended = in_time(async {
        loop {
            let message = tokio::select! {
                appended = &mut appending => return appended,
                message = published.next() => message.unwrap(),
            };
            let headers = message.headers.unwrap();
            ids.push(headers.get("Nats-Msg-Id").unwrap().to_string());
            if ids.len() > 1 {
                let answer = r#"{"stream":"HEYGEN","seq":0,"duplicate":true}"#;
                let reply = message.reply.unwrap();
                client.publish(reply, answer.into()).await.unwrap();
            }
        }
    });
    check_storage(appended.await);
    assert!(ids.len() > 2, "{ids:?}");
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

/// Such servers would also lose the next attempt, or the dead letter: the attempt is not over
/// before they are stored.
#[tokio::test]
async fn attempt_whose_reference_or_dead_letter_stays_in_flight_is_not_completed() {
    let (server, inbox) = started().await;
    for (stream, subjects, outcome) in [
        ("HEYGEN_DEAD", "heygen.dead.>", AttemptOutcome::DeadLettered),
        ("HEYGEN_AGAIN", "heygen.again.>", AttemptOutcome::Retry),
    ] {
        append_new(&inbox, 0, &body(stream)).await;
        let claimed = claim_one(&inbox, 0).await;
        let (client, mut published) = unacknowledged(&server, stream, subjects).await;
        let answering = async {
            let reply = published.next().await.unwrap().reply.unwrap();
            let answer = format!(r#"{{"stream":"{stream}","seq":0,"duplicate":true}}"#);
            client.publish(reply, answer.into()).await.unwrap();
        };
        let completing = inbox.complete(end(&claimed, outcome));
        let both = Box::pin(async { tokio::join!(completing, answering) });
        let (completed, ()) = in_time(both).await;
        check_storage(completed);
        let streams = Streams::of(client);
        streams.change(stream, |config| config.no_ack = false).await;
        let completing = inbox.complete(end(&claimed, outcome));
        in_time(completing).await.unwrap();
        assert_eq!(streams.len(stream).await, 1, "{stream}");
    }
    assert_eq!(claim_soon(&inbox, 1).await.attempt, 2);
}

/// A repetition is counted after the letter is stored and before the record says so: the record is
/// written in a second round, and the letter must still be there.
#[tokio::test]
async fn dead_letter_stays_when_its_record_is_written_in_a_second_round() {
    let (server, inbox) = started().await;
    let id = append_new(&inbox, 0, &body("a")).await;
    let (client, mut published) = unacknowledged(&server, "HEYGEN_DEAD", "heygen.dead.>").await;
    let streams = Streams::of(client.clone());
    let answering = async {
        for is_duplicate in [false, true] {
            let reply = published.next().await.unwrap().reply.unwrap();
            until(async || streams.len("HEYGEN_DEAD").await == 1).await;
            let dead = streams.context.get_stream("HEYGEN_DEAD").await.unwrap();
            let sequence = dead.cached_info().state.last_sequence;
            if !is_duplicate {
                append_duplicate(&inbox, 0, body("a")).await;
            }
            let answer = format!(
                r#"{{"stream":"HEYGEN_DEAD","seq":{sequence},"duplicate":{is_duplicate}}}"#
            );
            client.publish(reply, answer.into()).await.unwrap();
        }
    };
    let dead_lettering = inbox.dead_letter(vec![id], at(1));
    let both = Box::pin(async { tokio::join!(dead_lettering, answering) });
    let (report, ()) = in_time(both).await;
    assert_eq!(report.unwrap().dead_lettered, 1);
    assert_eq!(streams.len("HEYGEN_DEAD").await, 1);
}

/// The stream of records stores what it gets, and answers nothing.
async fn without_answers(streams: &Streams, is_so: bool) {
    let changing = streams.change("HEYGEN_RECORDS", |config| config.no_ack = is_so);
    changing.await;
}

/// As while the disks of the servers are slow. The handler was not called yet.
#[tokio::test]
async fn attempt_whose_record_gets_no_answer_is_begun_once() {
    let server = fast_server();
    let mut options = options();
    options.ack_wait = PATIENCE;
    let inbox = open(&server.url(), options.clone()).await;
    options.answer_timeout = Duration::from_millis(100);
    let hasty = open(&server.url(), options).await;
    let streams = Streams::on(&server.url()).await;
    append_new(&inbox, 0, &body("a")).await;
    let claimed = claim_one(&inbox, 0).await;
    complete(&inbox, &claimed, 1, AttemptOutcome::Retry).await;
    let due = || ClaimRequest::due(1, at(2));
    without_answers(&streams, true).await;
    for _ in 0..3 {
        until(async || hasty.claim(due()).await.is_err()).await;
    }
    without_answers(&streams, false).await;
    let mut claimed = Vec::new();
    until(async || {
        claimed = hasty.claim(due()).await.unwrap_or_default().deliveries;
        !claimed.is_empty()
    })
    .await;
    let again = &claimed[0];
    assert_eq!((again.attempt, again.interrupted), (2, 0));
    complete(&inbox, again, 3, AttemptOutcome::Acknowledged).await;
    let attempts = get(&inbox, again.id).await.attempts;
    assert_eq!(attempts.len(), 2, "{attempts:?}");
}

/// The record is changed by another process before this one finds what it has written itself.
#[tokio::test]
async fn attempt_whose_record_is_changed_before_it_is_found_is_begun_once() {
    let server = fast_server();
    let mut options = options();
    options.ack_wait = PATIENCE;
    let receiver = open(&server.url(), options.clone()).await;
    options.answer_timeout = Duration::from_secs(5);
    let worker = open(&server.url(), options).await;
    let streams = Streams::on(&server.url()).await;
    let id = append_new(&receiver, 0, &body("a")).await;
    let claimed = claim_one(&worker, 0).await;
    complete(&worker, &claimed, 1, AttemptOutcome::Retry).await;
    without_answers(&streams, true).await;
    let changing = async {
        until(async || get(&receiver, id).await.summary.state == State::Claimed).await;
        without_answers(&streams, false).await;
        append_duplicate(&receiver, 2, body("a")).await;
    };
    let claiming = claim_soon(&worker, 2);
    let both = Box::pin(async { tokio::join!(claiming, changing) });
    let (again, ()) = in_time(both).await;
    assert_eq!((again.attempt, again.interrupted), (2, 0));
}

/// HeyGen waits, and the event is stored.
#[tokio::test]
async fn duplicate_waits_once_for_the_record_that_counts_it() {
    let (server, inbox) = started().await;
    let id = append_new(&inbox, 0, &body("a")).await;
    let subjects = "heygen.records.event.*";
    let (client, mut published) = unacknowledged(&server, "HEYGEN_RECORDS", subjects).await;
    assert_eq!(append_duplicate(&inbox, 1, body("a")).await, id);
    // Once it has answered this, the server has passed on what was published before.
    client.request("no-one", "".into()).await.unwrap_err();
    let mut tries = 0;
    while published.next().now_or_never().is_some() {
        tries += 1;
    }
    assert!(tries < 2, "{tries}");
}

/// Those that are begun would wait for the others, and another worker would get them meanwhile.
#[tokio::test]
async fn attempt_that_is_begun_does_not_wait_while_records_are_written_slowly() {
    let server = fast_server();
    let mut options = options();
    options.ack_wait = PATIENCE;
    let inbox = open(&server.url(), options).await;
    for name in ["a", "b", "c"] {
        append_new(&inbox, 0, &body(name)).await;
        let claimed = claim_one(&inbox, 0).await;
        complete(&inbox, &claimed, 1, AttemptOutcome::Retry).await;
    }
    let (client, mut published) =
        unacknowledged(&server, "HEYGEN_RECORDS", "heygen.records.event.*").await;
    let mut dispatched = Vec::new();
    let mut claiming = Box::pin(inbox.claim(ClaimRequest::due(3, at(2))));
    let all = in_time(async {
        while dispatched.len() < 3 {
            tokio::select! {
                claim = &mut claiming => {
                    let claim = claim.unwrap();
                    assert!(claim.deliveries.len() < 2, "{:?}", claim.deliveries);
                    dispatched.extend(claim.deliveries);
                    claiming = Box::pin(inbox.claim(ClaimRequest::due(3, at(2))));
                }
                message = published.next() => {
                    // Longer than one claim begins more.
                    tokio::time::sleep(Duration::from_millis(150)).await;
                    let answer = r#"{"stream":"HEYGEN_RECORDS","seq":1}"#;
                    let reply = message.unwrap().reply.unwrap();
                    client.publish(reply, answer.into()).await.unwrap();
                }
            }
        }
    });
    all.await;
    assert!(dispatched.iter().all(|claimed| claimed.attempt == 2));
}

/// The record says that it waits, and nothing else would make the reference.
#[tokio::test]
async fn replay_whose_record_gets_no_answer_makes_its_reference() {
    let server = fast_server();
    let mut options = options();
    options.answer_timeout = Duration::from_secs(5);
    let inbox = open(&server.url(), options).await;
    let id = append_new(&inbox, 0, &body("a")).await;
    let claimed = claim_one(&inbox, 0).await;
    complete(&inbox, &claimed, 1, AttemptOutcome::DeadLettered).await;
    let subjects = "heygen.records.>";
    let (client, mut published) = unacknowledged(&server, "HEYGEN_RECORDS", subjects).await;
    let answering = async {
        // Only the record gets no answer.
        loop {
            let message = published.next().await.unwrap();
            if message.subject.starts_with("heygen.records.event.") {
                break;
            }
            let answer = r#"{"stream":"HEYGEN_RECORDS","seq":1}"#;
            let reply = message.reply.unwrap();
            client.publish(reply, answer.into()).await.unwrap();
        }
        until(async || get(&inbox, id).await.summary.state == State::Pending).await;
        without_answers(&Streams::of(client.clone()), false).await;
    };
    let replaying = inbox.replay(vec![id], at(5));
    let both = Box::pin(async { tokio::join!(replaying, answering) });
    let (replayed, ()) = in_time(both).await;
    assert_eq!(replayed.unwrap().pending, 1);
    assert_eq!(claim_soon(&inbox, 5).await.id, id);
}
