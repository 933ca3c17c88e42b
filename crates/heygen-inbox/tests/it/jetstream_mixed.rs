//! One stream, receivers of this version and the previous one, which compared event name and data, and `event_id`s.

use std::time::Duration;

use async_nats::HeaderMap;
use futures_util::StreamExt as _;
use heygen_inbox::{Appended, Inbox as _, InboxAdmin as _, NewDelivery, Source};

use crate::jetstream_support::{Streams, fast_server, in_time, open, options, started};
use crate::support::{all_ids, at, body, body_with_id, duplicate, new};

const P: Source = Source::Webhook;
const R: Source = Source::Backfill;
const C: Source = Source::Callback;
const I: Source = Source::Import;

const VIDEO: &str = r#"{"event_type":"avatar_video.success","event_data":{"video_id":"a"}}"#;
const QUOTA: &str = r#"{"event_type":"instant_avatar.fail","event_data":{"reason":"quota"}}"#;
const WITH_ID: &str =
    r#"{"event_id":"e1","event_type":"avatar_video.success","event_data":{"video_id":"c"}}"#;
const RECORD: &str = r#"{"event_id":"e5","event_type":"avatar_video.success","event_data":{"video_id":"d"},"created_at":"2026-09-21T14:00:00Z"}"#;
const CALLBACK: &str = r#"{"event_type":"avatar_video.success","event_data":{"video_id":"k"}}"#;

/// What a receiver of that version published: body, source, id of the message, fingerprints.
const OLD: &[(&str, Source, &str, &str)] = &[
    (
        VIDEO,
        P,
        "d7dcad603734817950340d6b271c2ebd1",
        "57a5e64e24022132",
    ),
    (
        QUOTA,
        P,
        "d290dfb742e5b0ad765d1397258901578",
        "15b8f513532fe666",
    ),
    (
        WITH_ID,
        P,
        "e8b5cc4df7eec7d32a7814eca4af047ae",
        "3597af4cee027a07,606ba6d3c7a1b0db",
    ),
    (
        RECORD,
        R,
        "e43700797e2f9d4ad38ccf1355df32334",
        "d7b3fbfde18965f8,4a58ebdaa15813d0",
    ),
    (
        CALLBACK,
        C,
        "d56d3894c9fc4e49a9b96c570157aee50",
        "58566aa26b5d3819",
    ),
];

fn delivery(minutes: u64, source: Source, body: &str) -> NewDelivery {
    let received_at = at(0) + Duration::from_secs(60 * minutes);
    NewDelivery::new(received_at, source, Vec::new(), body.to_owned().into())
}

/// Publishes as that version did.
async fn publish_old(streams: &Streams) {
    for (body, source, id, fingerprints) in OLD {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", *id);
        headers.insert("Heygen-Inbox-Received-At", "2026-09-21T14:13:20Z");
        headers.insert("Heygen-Inbox-Source", source.as_str());
        headers.insert("Heygen-Inbox-Authenticity", source.authenticity().as_str());
        headers.insert("Heygen-Inbox-Fingerprints", *fingerprints);
        headers.insert("Heygen-Inbox-Request-Headers", "[]");
        let published = streams
            .context
            .publish_with_headers("heygen.events.any", headers, (*body).into())
            .await;
        published.unwrap().await.unwrap();
    }
}

#[tokio::test]
async fn duplicates_of_the_previous_version_are_recognised() {
    let (server, first) = started().await;
    let streams = Streams::on(&server.url()).await;
    publish_old(&streams).await;
    let mut old = all_ids(&first).await;
    old.reverse();
    assert_eq!(old.len(), OLD.len());
    let second = open(&server.url(), options()).await;
    let cases: &[(Source, String, u64, Option<usize>)] = &[
        (P, VIDEO.to_owned(), 5000, Some(0)),
        (P, format!(" {VIDEO}"), 1, Some(0)),
        (R, body_with_id("e7", "a"), 1, Some(0)),
        (R, body_with_id("e7", "a"), 2, Some(0)),
        (R, body_with_id("e8", "a"), 2, None),
        (P, VIDEO.replacen('{', r#"{"callback_id":"o","#, 1), 1, None),
        (P, QUOTA.to_owned(), 59, Some(1)),
        // The servers' window is 25 hours, the rule's is one.
        (P, QUOTA.to_owned(), 61, None),
        (P, WITH_ID.to_owned(), 1, Some(2)),
        (P, body_with_id("e1", "other"), 1, None),
        (P, body("c"), 1, None),
        (R, body_with_id("e1", "c"), 1, Some(2)),
        (R, RECORD.to_owned(), 9000, Some(3)),
        (P, body("d"), 1, Some(3)),
        (R, body_with_id("e6", "d"), 1, None),
        (C, CALLBACK.to_owned(), 1, Some(4)),
        (P, CALLBACK.to_owned(), 1, None),
        (I, VIDEO.to_owned(), 1, Some(0)),
    ];
    in_time(first.wait_until_synced()).await;
    in_time(second.wait_until_synced()).await;
    for (number, (source, body, minutes, expected)) in cases.iter().enumerate() {
        let inbox = [&first, &second][number % 2];
        let appended = inbox
            .append(delivery(*minutes, *source, body))
            .await
            .unwrap();
        let expected = match expected {
            Some(index) => Appended::Duplicate(old[*index]),
            None => Appended::New(appended.id()),
        };
        assert_eq!(appended, expected, "{number}: {source} {body}");
    }
    let stored = second.get(old[0]).await.unwrap().unwrap();
    assert_eq!(stored.event_id.as_deref(), Some("e7"));
    let stored = second.get(old[3]).await.unwrap().unwrap();
    assert_eq!(stored.signed.unwrap().body, body("d"));
}

/// A receiver that was just started looks at the stream before it answers.
#[tokio::test]
async fn first_delivery_after_a_start_is_recognised() {
    let (server, old) = started().await;
    publish_old(&Streams::on(&server.url()).await).await;
    let mut ids = all_ids(&old).await;
    ids.reverse();
    for (index, (body, source, _, _)) in OLD.iter().enumerate() {
        let inbox = open(&server.url(), options()).await;
        let again = inbox.append(delivery(1, *source, body)).await.unwrap();
        assert_eq!(duplicate(again), ids[index], "{body}");
    }
}

/// Receivers of that version find what this one publishes by the header that they know, and take what is imported for a
/// callback's, so that it suppresses nothing.
#[tokio::test]
async fn previous_version_finds_what_is_published() {
    let (server, inbox) = started().await;
    let client = async_nats::connect(server.url()).await.unwrap();
    let mut published = client.subscribe("heygen.events.>").await.unwrap();
    // Once it has answered this, the server knows of the subscription.
    client.request("no-one", "".into()).await.unwrap_err();
    for (body, source, _, fingerprints) in OLD {
        new(inbox.append(delivery(0, *source, body)).await.unwrap());
        let message = in_time(published.next()).await.unwrap();
        assert_eq!(message.payload, *body);
        let headers = message.headers.unwrap();
        let header = |name: &str| headers.get(name).map(|value| value.as_str());
        assert_eq!(
            header("Heygen-Inbox-Fingerprints"),
            Some(*fingerprints),
            "{body}"
        );
        assert_eq!(header("Heygen-Inbox-Source"), Some(source.as_str()));
        assert!(header("Heygen-Inbox-Dedup-Fingerprints").is_some());
    }
    let imported = QUOTA.replace("quota", "other");
    new(inbox.append(delivery(0, I, &imported)).await.unwrap());
    let headers = in_time(published.next()).await.unwrap().headers.unwrap();
    let header = |name: &str| headers.get(name).map(|value| value.as_str());
    assert_eq!(header("Heygen-Inbox-Fingerprints"), Some(""));
    assert_eq!(header("Heygen-Inbox-Authenticity"), Some("import"));
}

/// Receivers that remember nothing find by the servers' window what another has stored, also where it is the third of its words.
#[tokio::test]
async fn receivers_without_memory_agree_on_equal_bodies() {
    let server = fast_server();
    let streams = Streams::on(&server.url()).await;
    let mut ids = Vec::new();
    for (minutes, same) in [
        (0, None),
        (50, Some(0)),
        (70, None),
        (100, Some(1)),
        (140, None),
        (141, Some(2)),
        (300, None),
    ] {
        let inbox = open(&server.url(), options()).await;
        let appended = inbox.append(delivery(minutes, P, QUOTA)).await.unwrap();
        match same {
            None => ids.push(new(appended)),
            Some(same) => assert_eq!(duplicate(appended), ids[same], "{minutes}"),
        }
    }
    assert_eq!(streams.len("HEYGEN").await, 4);
}

/// A POST that its record's message has no room for is an event of its own.
#[tokio::test]
async fn oversized_signed_bytes_are_stored_as_an_event() {
    let (_server, inbox) = started().await;
    let long = "x".repeat(300_000);
    let post = format!(r#"{{"event_type":"a.b","event_data":{{"video_id":"v","text":"{long}"}}}}"#);
    let record = post.replacen('{', r#"{"event_id":"e1","#, 1);
    let logged = new(inbox.append(delivery(0, R, &record)).await.unwrap());
    let posted = new(inbox.append(delivery(1, P, &post)).await.unwrap());
    for (source, body, id) in [(R, &record, logged), (P, &post, posted)] {
        let again = inbox.append(delivery(2, source, body)).await.unwrap();
        assert_eq!(duplicate(again), id);
    }
    assert_eq!(inbox.get(logged).await.unwrap().unwrap().signed, None);
}
