//! Each misbehaviour of deliveries, at the receiver.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use heygen_testkit::{
    EventBuilder,
    sandbox::{DeliveryState, Link, Misbehaviour, Sandbox},
};
use http::Response;
use serde_json::{Value, json};

use super::{Heygen, json_of, patient, posts, registered, verifies};
use crate::server::{Seen, Server};

const SUCCESS: &str = "avatar_video.success";

/// What a receiver that accepts everything gets of one event.
async fn received(misbehaviour: Misbehaviour, event: EventBuilder) -> Vec<Seen> {
    let (heygen, server, secret) = registered(&[200]).await;
    heygen.misbehave(misbehaviour);
    heygen.send(event);
    heygen.settled().await;
    let posts = posts(&server);
    for post in &posts {
        assert!(verifies(post, &secret));
    }
    posts
}

#[tokio::test]
async fn duplicates() {
    let (heygen, server, _) = registered(&[500, 200]).await;
    heygen.misbehave(Misbehaviour::default().duplicates(2));
    heygen.send(EventBuilder::new(SUCCESS));
    heygen.settled().await;
    let posts = posts(&server);
    assert_eq!(posts.len(), 4);
    assert!(posts.iter().all(|post| post.body == posts[0].body));
    let attempts = &heygen.deliveries()[0].attempts;
    let duplicates: Vec<_> = attempts.iter().map(|attempt| attempt.duplicate).collect();
    assert_eq!(duplicates, [false, false, true, true]);
}

#[tokio::test]
async fn delay() {
    let delay = Duration::from_millis(50);
    let begun = Instant::now();
    let posts = received(
        Misbehaviour::default().delay(delay),
        EventBuilder::new(SUCCESS),
    )
    .await;
    assert_eq!(posts.len(), 1);
    assert!(begun.elapsed() >= delay);
}

fn numbers(posts: &[Seen]) -> Vec<u64> {
    let numbers = posts
        .iter()
        .map(|post| json_of(post)["event_data"]["n"].as_u64());
    numbers.map(Option::unwrap).collect()
}

#[tokio::test]
async fn reorder() {
    let (heygen, server, _) = registered(&[200]).await;
    heygen.misbehave(Misbehaviour::default().reorder(3));
    let send = |number: u64| heygen.send(EventBuilder::new(SUCCESS).set("n", number));
    (1..=2).for_each(|number| drop(send(number)));
    for delivery in heygen.deliveries() {
        assert_eq!(delivery.state, DeliveryState::Held);
    }
    server.hold();
    send(3);
    server.until_seen(2).await;
    // Time enough for the others, were they not waiting for an answer to the first.
    for _ in 0..20 {
        heygen.get("/sandbox/state").await;
    }
    assert_eq!(numbers(&posts(&server)), [3]);
    server.release();
    heygen
        .until(|all| all.iter().all(heygen_testkit::sandbox::Delivery::ended))
        .await;
    assert_eq!(numbers(&posts(&server)), [3, 2, 1]);

    // A group that never gets complete is let go.
    (4..=5).for_each(|number| drop(send(number)));
    heygen.settled().await;
    assert_eq!(numbers(&posts(&server)), [3, 2, 1, 5, 4]);
    send(6);
    heygen.misbehave(Misbehaviour::default());
    heygen
        .until(|all| all.iter().all(heygen_testkit::sandbox::Delivery::ended))
        .await;
    assert_eq!(numbers(&posts(&server)), [3, 2, 1, 5, 4, 6]);
}

#[tokio::test]
async fn drop_answers() {
    let (heygen, server, _) = registered(&[200]).await;
    heygen.misbehave(Misbehaviour::default().drop_answers(2));
    heygen.send(EventBuilder::new(SUCCESS));
    heygen.settled().await;
    let posts = posts(&server);
    assert_eq!(posts.len(), 3, "the receiver accepted each of them");
    assert!(posts.iter().all(|post| post.body == posts[0].body));
    let delivery = &heygen.deliveries()[0];
    assert_eq!(delivery.statuses(), [None, None, Some(200)]);
    assert_eq!(
        delivery.attempts[0].error.as_deref(),
        Some("the connection was dropped before the answer was read")
    );
}

#[tokio::test]
async fn bodies() {
    let data = json!({"callback_url": "c", "clips": [{"video_url": "v"}], "url": "é"});
    let event = EventBuilder::new(SUCCESS).data(data).top("event_id", "e");
    let fresh = Misbehaviour::default;
    for (misbehaviour, expected) in [
        (
            fresh(),
            r#"{"event_type":"avatar_video.success","event_data":{"callback_url":"c","clips":[{"video_url":"v"}],"url":"é"},"event_id":"e"}"#,
        ),
        (
            fresh().link(Link::Null),
            r#"{"event_type":"avatar_video.success","event_data":{"callback_url":"c","clips":[{"video_url":null}],"url":null},"event_id":"e"}"#,
        ),
        (
            fresh().link(Link::Empty).event_type("podcast.success"),
            r#"{"event_type":"podcast.success","event_data":{"callback_url":"c","clips":[{"video_url":""}],"url":""},"event_id":"e"}"#,
        ),
        (
            fresh().data(json!(["does not fit"])),
            r#"{"event_type":"avatar_video.success","event_data":["does not fit"],"event_id":"e"}"#,
        ),
        (
            fresh().spaced().name_key("event"),
            r#"{"event": "avatar_video.success", "event_data": {"callback_url": "c", "clips": [{"video_url": "v"}], "url": "\u00e9"}, "event_id": "e"}"#,
        ),
        (
            fresh().without_data(),
            r#"{"event_type":"avatar_video.success","event_id":"e"}"#,
        ),
        (fresh().body("not JSON"), "not JSON"),
        (fresh().body(""), ""),
    ] {
        let posts = received(misbehaviour, event.clone()).await;
        assert_eq!(posts[0].body, expected);
    }
}

#[tokio::test]
async fn doubled_signature() {
    let (heygen, server, secret) = registered(&[200]).await;
    heygen.misbehave(Misbehaviour::default().doubled_signature());
    heygen.send(EventBuilder::new(SUCCESS));
    heygen.settled().await;
    let post = posts(&server).remove(0);
    let signatures: Vec<_> = post.headers.get_all("signature").iter().collect();
    let right = secret.sign(&post.body).to_string();
    assert_eq!(signatures, ["0".repeat(64).as_str(), right.as_str()]);
}

#[tokio::test]
async fn truncated_request_is_retried() {
    let (heygen, server, secret) = registered(&[200]).await;
    heygen.misbehave(Misbehaviour::default().truncate(2));
    heygen.send(EventBuilder::new(SUCCESS));
    heygen.settled().await;
    assert_eq!(heygen.deliveries()[0].statuses(), [None, None, Some(200)]);
    let posts = posts(&server);
    assert_eq!(posts.len(), 1, "the others never came to their end");
    assert!(verifies(&posts[0], &secret));
}

#[tokio::test]
async fn slow_request_arrives_whole() {
    let pause = Duration::from_millis(50);
    let begun = Instant::now();
    let event = EventBuilder::new(SUCCESS);
    let posts = received(Misbehaviour::default().slow(pause), event.clone()).await;
    assert!(begun.elapsed() >= pause);
    assert_eq!(posts[0].body, event.body());
}

#[tokio::test]
async fn other_event_type_is_delivered_to_subscribers_of_the_real_one() {
    let heygen = Heygen::with(Sandbox::builder()).await;
    let server = Server::with_statuses(&[200]).await;
    let body = json!({"url": server.url, "events": [SUCCESS]});
    heygen.create(body).await;
    heygen.misbehave(Misbehaviour::default().event_type("podcast.success"));
    heygen.send(EventBuilder::new(SUCCESS));
    heygen.settled().await;
    assert_eq!(json_of(&posts(&server)[0])["event_type"], "podcast.success");
    let log = heygen.get("/v3/webhooks/events").await.body;
    assert_eq!(log["data"][0]["event_type"], "podcast.success");
}

#[tokio::test]
async fn mid_2026_headers() {
    let (heygen, server, secret) = registered(&[200]).await;
    heygen.misbehave(Misbehaviour::default().mid_2026_headers());
    let id = heygen.send(EventBuilder::new(SUCCESS));
    heygen.settled().await;
    let post = posts(&server).remove(0);
    assert!(!post.headers.contains_key("signature"));
    let signature = secret.sign(&post.body).to_string();
    assert_eq!(post.headers["heygen-signature"], signature.as_str());
    assert_eq!(post.headers["heygen-event-id"], id.as_str());
    let timestamp = post.headers["heygen-timestamp"].to_str().unwrap();
    assert!(timestamp.parse::<u64>().unwrap() > 1_700_000_000);
}

#[tokio::test]
async fn old_secret() {
    let heygen = Heygen::with(Sandbox::builder().retry(patient())).await;
    let rotated = Arc::new(AtomicBool::new(false));
    let accepts = rotated.clone();
    let server = Server::start(move |index| {
        let accepts = index == 0 || accepts.load(Ordering::Relaxed);
        let status = if accepts { 200 } else { 500 };
        Some(Response::builder().status(status).body("".into()).unwrap())
    })
    .await;
    let endpoint = heygen.register(&server.url).await.unwrap();
    heygen.misbehave(Misbehaviour::default().old_secret());
    heygen.send(EventBuilder::new(SUCCESS));
    heygen
        .until(|deliveries| !deliveries[0].attempts.is_empty())
        .await;
    let id = &endpoint.endpoint_id;
    let rotate = format!("POST /v3/webhooks/endpoints/{id}/rotate-secret");
    heygen.call(&rotate, Value::Null).await;
    rotated.store(true, Ordering::Relaxed);
    heygen.settled().await;
    let late = posts(&server).pop().unwrap();
    assert!(verifies(&late, &endpoint.secret));
    assert!(!verifies(&late, &heygen.endpoints()[0].secret));

    // What is sent after the rotation is under the new one.
    heygen.send(EventBuilder::new(SUCCESS));
    heygen.settled().await;
    let next = posts(&server).pop().unwrap();
    assert!(verifies(&next, &heygen.endpoints()[0].secret));
}

#[tokio::test]
async fn log_delivered_only() {
    let (heygen, _server, _) = registered(&[200, 500]).await;
    heygen.send(EventBuilder::new(SUCCESS));
    heygen.settled().await;
    heygen.send(EventBuilder::new("avatar_video.fail"));
    heygen.settled().await;
    let log = async || {
        let log = heygen.get("/v3/webhooks/events").await.body;
        let records = log["data"].as_array().unwrap().clone();
        records
            .into_iter()
            .map(|record| record["event_type"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(log().await, ["avatar_video.fail", SUCCESS]);
    heygen.misbehave(Misbehaviour::default().log_delivered_only());
    assert_eq!(log().await, [SUCCESS]);
}
