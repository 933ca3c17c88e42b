//! The streams of an inbox on JetStream: created as asked, never changed, refused when they are something else; what others read and
//! publish there.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use futures_util::StreamExt as _;
use heygen_inbox::jetstream::{DurabilityWarning, JetStreamInbox, JetStreamOptions};
use heygen_inbox::{
    AttemptOutcome, ClaimRequest, ClaimedDelivery, DeliveryId, DispatchOrder, Imported, Inbox,
    InboxAdmin as _, InboxError, InboxErrorKind, Query, Source, State,
};
use xtask_nats::{Cluster, Options, Program, Server};

use crate::jetstream_support::{
    Streams, claim_soon, end, fast_server, in_time, open, options, started,
};
use crate::support::{
    all_ids, append_duplicate, append_new, at, body, claim_due, claim_one, complete, delivery, get,
    new, server, until,
};

async fn try_open(
    server: &Server,
    stream: &str,
    options: JetStreamOptions,
) -> Result<JetStreamInbox, InboxError> {
    let address = format!("{}/{stream}", server.url()).parse().unwrap();
    JetStreamInbox::open(&address, options).await
}

fn asked() -> JetStreamOptions {
    let mut options = options();
    options.streams.max_age = Some(Duration::from_secs(30 * 24 * 3600));
    options.streams.max_bytes = Some(50_000_000);
    options.streams.duplicate_window = Duration::from_secs(3600);
    options
}

#[tokio::test]
async fn missing_streams_are_created_as_asked() {
    let server = fast_server();
    let inbox = try_open(&server, "HEYGEN", asked()).await.unwrap();
    assert!(
        inbox.config_drift().is_empty(),
        "{:?}",
        inbox.config_drift()
    );
    assert_eq!(
        (inbox.replicas(), inbox.ack_wait()),
        (1, options().ack_wait)
    );
    let streams = Streams::on(&server.url()).await;
    let events = streams.config("HEYGEN").await;
    assert_eq!(events.subjects, ["heygen.events.>"]);
    assert_eq!(events.discard, DiscardPolicy::New);
    assert_eq!(events.max_bytes, 50_000_000);
    assert_eq!(events.duplicate_window, Duration::from_secs(3600));
    let again = streams.config("HEYGEN_AGAIN").await;
    assert_eq!(again.retention, RetentionPolicy::WorkQueue);
    assert_eq!(
        again.max_age,
        Duration::ZERO,
        "what is due is not forgotten"
    );
    let records = streams.config("HEYGEN_RECORDS").await;
    assert_eq!(records.max_messages_per_subject, 1);
    let dead = streams.config("HEYGEN_DEAD").await;
    assert_eq!(dead.subjects, ["heygen.dead.>"]);
    for config in [&events, &records, &dead] {
        assert_eq!(config.max_age, Duration::from_secs(30 * 24 * 3600));
        assert_eq!(
            (config.storage, config.num_replicas),
            (StorageType::File, 1)
        );
    }
}

#[tokio::test]
async fn existing_streams_stay_and_differences_are_reported() {
    let server = fast_server();
    try_open(&server, "HEYGEN", asked()).await.unwrap();
    let streams = Streams::on(&server.url()).await;
    let before = streams.config("HEYGEN").await;
    let mut other = asked();
    other.streams.replicas = Some(3);
    other.streams.max_age = Some(Duration::from_secs(90 * 24 * 3600));
    other.streams.max_bytes = Some(1_000);
    other.streams.duplicate_window = Duration::from_secs(60);
    other.ack_wait = Duration::from_secs(7);
    let inbox = try_open(&server, "HEYGEN", other).await.unwrap();
    assert_eq!(
        inbox.config_drift(),
        [
            "the number of replicas is 1, not 3",
            "max age is 30d, not 90d",
            "max bytes is 50000000 bytes, not 1000 bytes",
            "the duplicate window is 1h, not 60s",
            "ack wait is 1s, not 7s",
        ]
    );
    assert_eq!(inbox.ack_wait(), options().ack_wait);
    let inbox = try_open(&server, "HEYGEN", JetStreamOptions::default()).await;
    let drift = inbox.unwrap().config_drift().to_vec();
    assert!(drift.is_empty(), "nothing is asked for: {drift:?}");
    assert_eq!(streams.config("HEYGEN").await, before);

    let older = Duration::from_secs(90 * 24 * 3600);
    let changing = streams.change("HEYGEN", |config| config.max_age = older);
    changing.await;
    let mut other = asked();
    other.streams.max_age = Some(older);
    let inbox = try_open(&server, "HEYGEN", other).await.unwrap();
    assert_eq!(
        inbox.config_drift(),
        ["max age of HEYGEN_RECORDS is 30d, and that of the events 90d"]
    );
}

/// Only the leaders answer then.
#[tokio::test]
async fn streams_without_direct_reads_are_read() {
    let (server, inbox) = started().await;
    let streams = Streams::on(&server.url()).await;
    for stream in ["HEYGEN", "HEYGEN_RECORDS", "HEYGEN_AGAIN"] {
        streams
            .change(stream, |config| config.allow_direct = false)
            .await;
    }
    let waiting = append_new(&inbox, 3, &body("waiting")).await;
    let oldest = async || inbox.counts().await.unwrap().oldest_pending;
    assert_eq!(oldest().await, Some(at(3)));
    let claimed = claim_one(&inbox, 4).await;
    let retry = end(&claimed, AttemptOutcome::Retry).due_at(at(30));
    inbox.complete(retry).await.unwrap();
    assert_eq!(oldest().await, Some(at(3)));
    let listed = inbox.list(Query::default()).await.unwrap();
    let [delivery] = &listed[..] else {
        panic!("{listed:?}");
    };
    assert_eq!((delivery.id, delivery.attempts), (waiting, 1));
}

#[tokio::test]
async fn foreign_streams_are_refused() {
    let server = fast_server();
    let streams = Streams::on(&server.url()).await;
    let orders = Config {
        name: "ORDERS".to_owned(),
        subjects: vec!["orders.>".to_owned()],
        ..Config::default()
    };
    streams.context.create_stream(orders).await.unwrap();
    let refused = try_open(&server, "ORDERS", options()).await.unwrap_err();
    assert_eq!(refused.kind(), InboxErrorKind::Subjects);
    let message = refused.to_string();
    assert!(
        message.contains("is not an inbox") && message.contains("orders.>"),
        "{message}"
    );
    assert!(streams.context.get_stream("ORDERS_DEAD").await.is_err());

    try_open(&server, "ONE", options()).await.unwrap();
    let refused = try_open(&server, "TWO", options()).await.unwrap_err();
    assert_eq!(refused.kind(), InboxErrorKind::Subjects);
    assert!(
        refused.to_string().contains("a prefix of its own"),
        "{refused}"
    );
    let mut own = options();
    own.streams.subject_prefix = "other".to_owned();
    let other = try_open(&server, "TWO", own).await.unwrap();
    append_new(&other, 0, &body("a")).await;
    let one = try_open(&server, "ONE", options()).await.unwrap();
    assert!(all_ids(&one).await.is_empty());
}

#[tokio::test]
async fn open_existing_creates_nothing() {
    let server = fast_server();
    let address = format!("{}/HEYGEN", server.url()).parse().unwrap();
    let refused = JetStreamInbox::open_existing(&address, options()).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), InboxErrorKind::Missing);
    assert!(refused.to_string().contains("no stream HEYGEN"));
    let streams = Streams::on(&server.url()).await;
    assert!(streams.context.get_stream("HEYGEN").await.is_err());
    let inbox = open(&server.url(), options()).await;
    let id = append_new(&inbox, 0, &body("a")).await;
    let looking = JetStreamInbox::open_existing(&address, options())
        .await
        .unwrap();
    assert_eq!(all_ids(&looking).await, [id]);
}

#[tokio::test]
async fn durability_warnings_depend_on_the_server() {
    let (current, old) = (fast_server(), server(Program::Debian));
    let inbox = open(&current.url(), options()).await;
    assert_eq!(
        inbox.durability_warnings(),
        [DurabilityWarning::FewReplicas { replicas: 1 }]
    );
    let inbox = open(&old.url(), options()).await;
    assert_eq!(inbox.server_version(), "2.9.10");
    let [
        DurabilityWarning::CannotSync { version, .. },
        DurabilityWarning::FewReplicas { replicas: 1 },
    ] = inbox.durability_warnings()
    else {
        panic!("{:?}", inbox.durability_warnings());
    };
    assert_eq!(version, "2.9.10");
    let cluster = Cluster::start(Program::Current, 3, &Options::new()).unwrap();
    let inbox = open(&cluster.node(0).url(), options()).await;
    assert_eq!(inbox.durability_warnings(), []);
}

#[tokio::test]
async fn ids_of_another_stream_are_not_found() {
    let (server, inbox) = started().await;
    let id = append_new(&inbox, 0, &body("a")).await;
    let streams = Streams::on(&server.url()).await;
    for part in ["", "_DEAD", "_RECORDS", "_AGAIN"] {
        let name = format!("HEYGEN{part}");
        streams.context.delete_stream(name).await.unwrap();
    }
    let reopened = open(&server.url(), options()).await;
    let other = append_new(&reopened, 0, &body("b")).await;
    assert_eq!(other.key(), id.key());
    assert_ne!(other.tag(), id.tag());
    assert_eq!(reopened.get(id).await.unwrap(), None);
    assert_eq!(reopened.replay(vec![id], at(1)).await.unwrap().missing, 1);
    let beyond = DeliveryId::new(other.key() + 1, other.tag());
    assert_eq!(reopened.get(beyond).await.unwrap(), None);
}

#[tokio::test]
async fn foreign_message_is_dispatched_as_unsigned() {
    let (server, inbox) = started().await;
    let streams = Streams::on(&server.url()).await;
    let text = body("theirs");
    let published = streams
        .context
        .publish("heygen.events.avatar_video.success", text.clone().into());
    published.await.unwrap().await.unwrap();
    let claimed = in_time(async {
        loop {
            let mut claim = inbox
                .claim(ClaimRequest::due(1, std::time::SystemTime::now()))
                .await
                .unwrap();
            if let Some(claimed) = claim.deliveries.pop() {
                return claimed;
            }
        }
    })
    .await;
    assert_eq!(claimed.source, Source::Callback);
    assert_eq!(claimed.body, text);
    assert!(claimed.headers.is_empty());
    // It does not suppress what HeyGen signed.
    append_new(&inbox, 0, &text).await;
    complete(&inbox, &claimed, 1, AttemptOutcome::Acknowledged).await;
    let stored = get(&inbox, claimed.id).await;
    assert_eq!(stored.summary.state, State::Acknowledged);
    assert_eq!(
        stored.summary.event_type.as_deref(),
        Some("avatar_video.success")
    );
}

#[tokio::test]
async fn odd_event_names_are_stored_listed_and_dispatched() {
    let (_server, inbox) = started().await;
    let long = "long.".repeat(20_000);
    let names = [
        "with space",
        "a.b.c",
        ".",
        "..",
        "",
        "*",
        ">",
        "a.*.>",
        "%",
        "%20",
        "_unreadable",
        "é\u{1f600}",
        "tab\there",
        "line\r\nend",
        "$JS.API",
        &long,
        &long[1..],
    ];
    let mut ids = HashMap::new();
    for (number, name) in names.iter().enumerate() {
        let text = serde_json::json!({ "event_type": name, "event_data": { "n": number } });
        let id = new(inbox.append(delivery(0, text.to_string())).await.unwrap());
        ids.insert(id, *name);
    }
    for (id, name) in &ids {
        let listed = inbox
            .list(Query::default().event_type(*name))
            .await
            .unwrap();
        let found: Vec<_> = listed.iter().map(|summary| summary.id).collect();
        assert_eq!(found, [*id], "{name:.40}");
        assert_eq!(listed[0].event_type.as_deref(), Some(*name));
    }
    for summary in inbox.list(Query::default()).await.unwrap() {
        assert_eq!(summary.event_type.as_deref(), Some(ids[&summary.id]));
    }
    let claim = inbox.claim(ClaimRequest::due(100, at(0))).await.unwrap();
    assert_eq!(claim.deliveries.len(), names.len());
    for claimed in claim.deliveries {
        let text = String::from_utf8(claimed.body.to_vec()).unwrap();
        assert!(text.contains(&serde_json::to_string(ids[&claimed.id]).unwrap()));
        // The dead letter has such a subject too.
        let end = end(&claimed, AttemptOutcome::DeadLettered);
        inbox.complete(end).await.unwrap();
    }
    assert_eq!(
        inbox.counts().await.unwrap().dead_lettered,
        names.len() as u64
    );
}

#[tokio::test]
async fn body_larger_than_a_message_is_refused() {
    let options_of_server = Options::new().config("max_payload: 100KB");
    let server = Server::start(Program::Current, &options_of_server).unwrap();
    let inbox = open(&server.url(), options()).await;
    let fits = inbox.max_body_bytes().unwrap();
    let of_len = |len: usize| body(&"x".repeat(len - body("").len()));
    new(inbox.append(delivery(0, of_len(fits))).await.unwrap());
    let refused = inbox
        .append(delivery(0, of_len(100 * 1024)))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), InboxErrorKind::Storage);
    assert!(refused.to_string().contains("max_payload"), "{refused}");
    assert_eq!(all_ids(&inbox).await.len(), 1);
    inbox.ready().await.unwrap();
}

#[tokio::test]
async fn subscribers_get_the_exact_body() {
    let (server, inbox) = started().await;
    let client = async_nats::connect(server.url()).await.unwrap();
    let mut seen = client
        .subscribe("heygen.events.avatar_video.*")
        .await
        .unwrap();
    // Once it has answered this, the server knows of the subscription.
    let no_responder = client.request("no-one", "".into()).await;
    no_responder.unwrap_err();
    let odd = format!(" {}\r\n", body("a"));
    let id = append_new(&inbox, 0, &odd).await;
    let message = in_time(seen.next()).await.unwrap();
    assert_eq!(message.payload, odd);
    assert_eq!(
        message.subject.as_str(),
        "heygen.events.avatar_video.success"
    );
    let headers = message.headers.unwrap();
    let header = |name: &str| headers.get(name).map(|value| value.as_str().to_owned());
    assert_eq!(header("Heygen-Inbox-Source").as_deref(), Some("webhook"));
    assert_eq!(
        header("Heygen-Inbox-Authenticity").as_deref(),
        Some("signature")
    );
    assert!(header("Nats-Msg-Id").is_some() && header("Heygen-Inbox-Received-At").is_some());
    append_duplicate(&inbox, 1, &odd).await;
    assert_eq!(claim_one(&inbox, 1).await.id, id);
    let other = append_new(&inbox, 2, &body("b")).await;
    assert_eq!(claim_soon(&inbox, 2).await.id, other);
    let message = in_time(seen.next()).await.unwrap();
    assert_eq!(message.payload, body("b"), "a duplicate reaches no one");
}

#[tokio::test]
async fn refused_order_names_the_store_that_has_one() {
    let (_server, inbox) = started().await;
    let ordered = ClaimRequest::due(1, at(0)).order(DispatchOrder::PerSubject);
    let refused = inbox.claim(ordered).await.unwrap_err();
    assert!(refused.to_string().contains("SQLite"), "{refused}");
}

/// If the stream of events is deleted, or restored from a backup that is older than the other streams, its sequences come again.
#[tokio::test]
async fn an_event_does_not_inherit_the_record_of_another() {
    let server = fast_server();
    let before = open(&server.url(), options()).await;
    for (number, result) in [
        (0, AttemptOutcome::Acknowledged),
        (1, AttemptOutcome::DeadLettered),
        (2, AttemptOutcome::Acknowledged),
    ] {
        append_new(&before, number, &body(&format!("before {number}"))).await;
        let claimed = claim_soon(&before, 10).await;
        before.complete(end(&claimed, result)).await.unwrap();
    }
    drop(before);
    let streams = Streams::on(&server.url()).await;
    streams.context.delete_stream("HEYGEN").await.unwrap();

    let receiver = open(&server.url(), options()).await;
    let first = append_new(&receiver, 20, &body("after 0")).await;
    let second = append_new(&receiver, 21, &body("after 1")).await;
    let mut dead = Imported::new(delivery(22, body("after 2")));
    dead.state = State::DeadLettered;
    let third = new(receiver.import(vec![dead]).await.unwrap().remove(0));
    for (id, expected) in [
        (first, State::Pending),
        (second, State::Pending),
        (third, State::DeadLettered),
    ] {
        let stored = receiver.get(id).await.unwrap().unwrap();
        assert_eq!((stored.summary.state, stored.attempts), (expected, vec![]));
    }
    let listed = receiver.list(Query::default()).await.unwrap();
    let groups = receiver.stats(at(0)).await.unwrap().groups;
    let listed = listed.iter().map(|summary| (summary.state, 1));
    let counted = groups.iter().map(|group| (group.state, group.count));
    for mut states in [Vec::from_iter(listed), Vec::from_iter(counted)] {
        states.retain(|(state, _)| *state == State::Pending);
        assert_eq!(states.iter().map(|(_, count)| count).sum::<u64>(), 2);
    }

    // It connects after they were stored, and so it looks for their records.
    let worker = open(&server.url(), options()).await;
    for (id, attempt, result) in [
        (first, 1, AttemptOutcome::Retry),
        (first, 2, AttemptOutcome::Acknowledged),
        (second, 1, AttemptOutcome::Acknowledged),
    ] {
        let claiming = async {
            loop {
                let due = claim_due(&worker, 1, 30).await;
                match due.into_iter().next() {
                    Some(claimed) if claimed.id == id => return claimed,
                    Some(other) => complete(&worker, &other, 30, AttemptOutcome::Retry).await,
                    None => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        };
        let claimed = in_time(claiming).await;
        assert!(claimed.attempt >= attempt, "{claimed:?}");
        worker.complete(end(&claimed, result)).await.unwrap();
    }
    streams.nothing_comes(&worker, 30).await;
    for id in [first, second] {
        let stored = worker.get(id).await.unwrap().unwrap();
        assert_eq!(stored.summary.state, State::Acknowledged);
    }
}

/// One that waits for its second attempt.
async fn append_retried(inbox: &JetStreamInbox) -> DeliveryId {
    let id = append_new(inbox, 0, &body("a")).await;
    let claimed = claim_soon(inbox, 10).await;
    let retry = end(&claimed, AttemptOutcome::Retry);
    inbox.complete(retry).await.unwrap();
    id
}

/// How a delivery goes on that waits for its second attempt while a stream is deleted.
async fn check_lost(stream: &str, attempt: u32) {
    let server = fast_server();
    let before = open(&server.url(), options()).await;
    let id = append_retried(&before).await;
    drop(before);
    let streams = Streams::on(&server.url()).await;
    streams.context.delete_stream(stream).await.unwrap();

    let after = open(&server.url(), options()).await;
    for attempt in [attempt, attempt + 1] {
        let claimed = claim_soon(&after, 20).await;
        assert_eq!((claimed.id, claimed.attempt), (id, attempt), "{stream}");
        let result = match attempt {
            1 | 2 => AttemptOutcome::Retry,
            _ => AttemptOutcome::Acknowledged,
        };
        after.complete(end(&claimed, result)).await.unwrap();
    }
}

#[tokio::test]
async fn a_lost_stream_of_references_or_records_ends_no_retries() {
    check_lost("HEYGEN_AGAIN", 2).await;
    check_lost("HEYGEN_RECORDS", 1).await;
}

#[tokio::test]
async fn records_lost_while_a_worker_runs_end_no_retries() {
    let server = fast_server();
    let worker = open(&server.url(), options()).await;
    let streams = Streams::on(&server.url()).await;
    let lose_records = async || {
        let records = streams.context.get_stream("HEYGEN_RECORDS").await.unwrap();
        records.purge().await.unwrap();
    };
    let id = append_new(&worker, 0, &body("a")).await;
    for (lost, expected) in [
        // During an attempt, and below while it waits for one.
        (false, 1),
        (true, 2),
        (false, 3),
    ] {
        let claimed = claim_soon(&worker, 10).await;
        assert_eq!((claimed.id, claimed.attempt), (id, expected));
        if lost {
            lose_records().await;
        }
        worker
            .complete(end(&claimed, AttemptOutcome::Retry))
            .await
            .unwrap();
    }
    lose_records().await;
    let claimed = claim_soon(&worker, 10).await;
    assert_eq!(
        (claimed.id, claimed.attempt),
        (id, 1),
        "what was known is lost"
    );
    worker
        .complete(end(&claimed, AttemptOutcome::Acknowledged))
        .await
        .unwrap();
    streams.nothing_comes(&worker, 10).await;
}

/// The servers still know the ids of the references to the events that had the sequences before.
#[tokio::test]
async fn retry_is_not_taken_for_that_of_an_event_before() {
    let server = fast_server();
    let streams = Streams::on(&server.url()).await;
    for number in 0..2 {
        let inbox = open(&server.url(), options()).await;
        let id = append_new(&inbox, number, &body(&format!("{number}"))).await;
        assert_eq!(id.key(), 1);
        for (attempt, result) in [
            (1, AttemptOutcome::Retry),
            (2, AttemptOutcome::Acknowledged),
        ] {
            let claimed = claim_soon(&inbox, 10).await;
            assert_eq!((claimed.id, claimed.attempt), (id, attempt));
            inbox.complete(end(&claimed, result)).await.unwrap();
        }
        drop(inbox);
        streams.context.delete_stream("HEYGEN").await.unwrap();
    }
}

/// An inbox whose first event has the sequence of an earlier one, which ended so.
async fn after_another(server: &Server, result: AttemptOutcome) -> (Streams, JetStreamInbox) {
    let streams = Streams::on(&server.url()).await;
    let before = open(&server.url(), options()).await;
    append_new(&before, 0, &body("before")).await;
    let claimed = claim_soon(&before, 10).await;
    before.complete(end(&claimed, result)).await.unwrap();
    drop(before);
    streams.context.delete_stream("HEYGEN").await.unwrap();
    let inbox = open(&server.url(), options()).await;
    (streams, inbox)
}

#[tokio::test]
async fn delivery_with_the_sequence_of_an_unfinished_one_is_deleted() {
    let server = fast_server();
    let (_, inbox) = after_another(&server, AttemptOutcome::Retry).await;
    let id = append_new(&inbox, 20, &body("after")).await;
    let deleted = in_time(inbox.delete(vec![id])).await.unwrap();
    assert_eq!(deleted.deleted, 1);
    assert_eq!(inbox.get(id).await.unwrap(), None);
}

#[tokio::test]
async fn duplicate_is_counted_in_spite_of_the_record_of_an_event_before() {
    let server = fast_server();
    let (_, inbox) = after_another(&server, AttemptOutcome::Acknowledged).await;
    let id = append_new(&inbox, 20, &body("after")).await;
    append_duplicate(&inbox, 21, body("after")).await;
    assert_eq!(get(&inbox, id).await.redeliveries.count, 1);
}

#[tokio::test]
async fn dead_letter_is_not_taken_for_that_of_an_event_before() {
    let server = fast_server();
    let (streams, inbox) = after_another(&server, AttemptOutcome::DeadLettered).await;
    append_new(&inbox, 20, &body("after")).await;
    let claimed = claim_soon(&inbox, 30).await;
    assert_eq!(claimed.attempt, 1);
    inbox
        .complete(end(&claimed, AttemptOutcome::DeadLettered))
        .await
        .unwrap();
    assert_eq!(streams.len("HEYGEN_DEAD").await, 2);
}

#[tokio::test]
async fn interrupted_import_goes_on_in_spite_of_the_record_of_an_event_before() {
    let server = fast_server();
    let (streams, inbox) = after_another(&server, AttemptOutcome::Acknowledged).await;
    let refuse_records = async |is_so| {
        let change = |config: &mut Config| config.max_message_size = if is_so { 1 } else { -1 };
        streams.change("HEYGEN_RECORDS", change).await;
    };
    let mut imported = Imported::new(delivery(20, body("after")));
    imported.state = State::DeadLettered;
    imported.attempt_count = 3;
    refuse_records(true).await;
    inbox.import(vec![imported.clone()]).await.unwrap_err();
    refuse_records(false).await;
    inbox.import(vec![imported]).await.unwrap();
    let listed = inbox.list(Query::default()).await.unwrap();
    let listed: Vec<_> = listed.iter().map(|one| (one.state, one.attempts)).collect();
    assert_eq!(listed, [(State::DeadLettered, 3)]);
}

/// Starts that created the stream of references again ended before they made all of them.
#[tokio::test]
async fn references_are_made_by_the_start_after_one_that_failed() {
    for program in [Program::Current, Program::Debian] {
        let server = Server::start(program, &Options::new().sync_interval("2m")).unwrap();
        let streams = Streams::on(&server.url()).await;
        let before = open(&server.url(), options()).await;
        let ids = [
            append_new(&before, 0, &body("a")).await,
            append_new(&before, 0, &body("b")).await,
        ];
        for claimed in claim_due(&before, 2, 10).await {
            complete(&before, &claimed, 1, AttemptOutcome::Retry).await;
        }
        drop(before);
        for made in [0, 1, 2] {
            let again = streams.config("HEYGEN_AGAIN").await;
            streams.context.delete_stream("HEYGEN_AGAIN").await.unwrap();
            streams.context.create_stream(again).await.unwrap();
            for id in &ids[..made] {
                let subject = format!("heygen.again.{}", id.key());
                let reference = r#"{"generation":1}"#.into();
                let made = streams.context.publish(subject, reference).await;
                made.unwrap().await.unwrap();
            }
            open(&server.url(), options()).await;
            assert_eq!(streams.len("HEYGEN_AGAIN").await, 2, "{made} were made");
        }
        // Once they were all made, no start reads the records again.
        let again = streams.context.get_stream("HEYGEN_AGAIN").await.unwrap();
        again.purge().await.unwrap();
        open(&server.url(), options()).await;
        assert_eq!(streams.len("HEYGEN_AGAIN").await, 0);
        streams.context.delete_stream("HEYGEN_AGAIN").await.unwrap();

        let after = open(&server.url(), options()).await;
        let mut claimed = claim_due(&after, 2, 20).await;
        claimed.sort_by_key(|claimed| claimed.id);
        let claimed: Vec<_> = claimed.iter().map(|one| (one.id, one.attempt)).collect();
        assert_eq!(claimed, ids.map(|id| (id, 2)));
    }
}

/// A later start, of the version that can read it, makes its reference.
#[tokio::test]
async fn references_are_looked_for_again_after_a_start_that_could_not_read_a_record() {
    let server = fast_server();
    let streams = Streams::on(&server.url()).await;
    let before = open(&server.url(), options()).await;
    let id = append_retried(&before).await;
    drop(before);
    let subject = format!("heygen.records.event.{}", id.key());
    let records = streams.context.get_stream("HEYGEN_RECORDS").await.unwrap();
    let record = records.get_last_raw_message_by_subject(&subject).await;
    let record = record.unwrap().payload;
    let write = async |record: bytes::Bytes| {
        let written = streams.context.publish(subject.clone(), record).await;
        written.unwrap().await.unwrap();
    };
    write("of a newer version".into()).await;
    streams.context.delete_stream("HEYGEN_AGAIN").await.unwrap();
    drop(open(&server.url(), options()).await);
    assert_eq!(streams.len("HEYGEN_AGAIN").await, 0);

    write(record).await;
    let after = open(&server.url(), options()).await;
    let claimed = claim_soon(&after, 20).await;
    assert_eq!((claimed.id, claimed.attempt), (id, 2));
}

/// Two processes go on, without a start, after a stream beside the events was deleted.
async fn check_restored(stream: &str, program: Program) {
    let server = Server::start(program, &Options::new().sync_interval("2m")).unwrap();
    let worker = open(&server.url(), options()).await;
    let other = open(&server.url(), options()).await;
    let streams = Streams::on(&server.url()).await;
    let waiting = append_new(&worker, 0, &body("waiting")).await;
    let claimed = claim_soon(&worker, 10).await;
    let retry = end(&claimed, AttemptOutcome::Retry).due_at(at(30));
    worker.complete(retry).await.unwrap();
    streams.context.delete_stream(stream).await.unwrap();

    let new = append_new(&worker, 1, &body("new")).await;
    for (id, attempt, seconds) in [(new, 1, 10), (new, 2, 10), (waiting, 2, 40)] {
        let (inbox, claimed) = in_time(claim_again([&worker, &other], seconds)).await;
        assert_eq!((claimed.id, claimed.attempt), (id, attempt), "{stream}");
        let result = match (id == new, attempt) {
            (true, 1) => AttemptOutcome::Retry,
            (true, _) => AttemptOutcome::DeadLettered,
            (false, _) => AttemptOutcome::Acknowledged,
        };
        let completing = async {
            while inbox.complete(end(&claimed, result)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        in_time(completing).await;
        let stored = inbox.get(id).await.unwrap().unwrap();
        assert_eq!(stored.attempts.last().unwrap().result, result);
    }
}

/// Claims in spite of failures until something is dispatched, and gives from which process.
async fn claim_again(
    processes: [&JetStreamInbox; 2],
    seconds: u64,
) -> (&JetStreamInbox, ClaimedDelivery) {
    loop {
        for inbox in processes {
            let claim = inbox.claim(ClaimRequest::due(1, at(seconds))).await;
            if let Some(claimed) = claim.unwrap_or_default().deliveries.pop() {
                return (inbox, claimed);
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_stream_beside_the_events_that_is_deleted_is_created_again() {
    for program in [Program::Current, Program::Debian] {
        check_restored("HEYGEN_AGAIN", program).await;
        check_restored("HEYGEN_DEAD", program).await;
    }
}

#[tokio::test]
async fn a_receiver_creates_its_records_again_and_hides_no_lost_events() {
    let (server, receiver) = started().await;
    let streams = Streams::on(&server.url()).await;
    let is_there = async |stream: &str| streams.context.get_stream(stream).await.is_ok();
    streams
        .context
        .delete_stream("HEYGEN_RECORDS")
        .await
        .unwrap();
    until(async || receiver.ready().await.is_ok()).await;
    assert!(is_there("HEYGEN_RECORDS").await);

    let address = format!("{}/HEYGEN", server.url()).parse().unwrap();
    let reader = JetStreamInbox::open_existing(&address, options()).await;
    drop(receiver);
    let reader = reader.unwrap();
    streams
        .context
        .delete_stream("HEYGEN_RECORDS")
        .await
        .unwrap();
    reader.ready().await.unwrap_err();
    assert!(!is_there("HEYGEN_RECORDS").await, "it only reads");

    let worker = open(&server.url(), options()).await;
    for stream in ["HEYGEN", "HEYGEN_AGAIN"] {
        streams.context.delete_stream(stream).await.unwrap();
    }
    for _ in 0..3 {
        worker.ready().await.unwrap_err();
        let claim = worker.claim(ClaimRequest::due(1, at(0))).await;
        claim.unwrap_err();
    }
    for stream in ["HEYGEN", "HEYGEN_AGAIN"] {
        assert!(!is_there(stream).await, "{stream}");
    }
}

/// A handler drops what has an id that it knows.
#[tokio::test]
async fn event_of_a_stream_that_was_created_again_has_a_new_id() {
    for program in [Program::Current, Program::Debian] {
        let server = Server::start(program, &Options::new().sync_interval("2m")).unwrap();
        let worker = open(&server.url(), options()).await;
        append_new(&worker, 0, &body("before")).await;
        let before = claim_soon(&worker, 10).await;
        let streams = Streams::on(&server.url()).await;
        streams.context.delete_stream("HEYGEN").await.unwrap();

        let receiver = open(&server.url(), options()).await;
        let id = append_new(&receiver, 1, &body("after")).await;
        assert_ne!(id, before.id);
        let (_, after) = in_time(claim_again([&worker, &worker], 10)).await;
        assert_eq!((after.id, after.attempt), (id, 1));
        // It acknowledges nothing that came after it.
        complete(&worker, &before, 11, AttemptOutcome::Acknowledged).await;
        assert_eq!(streams.left().await, 1);
        complete(&worker, &after, 11, AttemptOutcome::Acknowledged).await;
        let stored = get(&receiver, id).await;
        assert_eq!(stored.summary.state, State::Acknowledged);
        streams.nothing_comes(&worker, 99).await;
    }
}
