//! Deliveries: to whom, signed how, and how often.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use heygen_events::EventType;
use heygen_testkit::{
    EventBuilder, RetryPolicy,
    sandbox::{DeliveryState, Outgoing, Sandbox},
};
use http::Response;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Heygen, json_of, patient, posts, register, registered, verifies};
use crate::server::Server;

#[tokio::test]
async fn every_event_is_delivered_signed_as_json() {
    let (heygen, server, secret) = registered(&[200]).await;
    for event_type in EventType::KNOWN {
        let event = EventBuilder::new(event_type.clone());
        let body = event.body();
        let id = heygen.send(event);
        assert!(id.starts_with("evt_") && id.len() == 36, "{id}");
        heygen.settled().await;
        let post = posts(&server).pop().unwrap();
        assert_eq!(post.body, body);
        assert_eq!(post.path, "/webhooks/heygen");
        assert_eq!(post.headers["content-type"], "application/json");
        assert!(verifies(&post, &secret));
        assert!(!post.headers.contains_key("heygen-event-id"));
        assert!(!post.headers.contains_key("heygen-timestamp"));
    }
    assert_eq!(posts(&server).len(), 30);
    let deliveries = heygen.deliveries();
    assert_eq!(deliveries.len(), 30);
    for delivery in deliveries {
        assert_eq!(delivery.state, DeliveryState::Delivered);
        assert_eq!(delivery.statuses(), [Some(200)]);
        assert_eq!(delivery.attempts[0].url, server.url);
    }
}

/// Which of four subscriptions get an event.
async fn check_wanted(heygen: &Heygen, event: Outgoing, expected: &[&str]) {
    let id = heygen.send(event);
    let endpoints = heygen.endpoints();
    let name = |id: &str| {
        let endpoint = endpoints.iter().find(|endpoint| endpoint.endpoint_id == id);
        endpoint.unwrap().url.rsplit('/').next().unwrap().to_owned()
    };
    let deliveries = heygen.deliveries().into_iter();
    let got: Vec<_> = deliveries
        .filter(|delivery| delivery.event_id == id)
        .map(|delivery| name(delivery.endpoint_id.as_deref().unwrap()))
        .collect();
    assert_eq!(got, expected);
}

#[tokio::test]
async fn event_is_delivered_to_subscribers_only() {
    let heygen = Heygen::with(Sandbox::builder().probe(false).time_scale(0.0)).await;
    for body in [
        json!({"url": "http://127.0.0.1:1/all"}),
        json!({"url": "http://127.0.0.1:1/fails", "events": ["avatar_video.fail", "video_agent.fail"]}),
        json!({"url": "http://127.0.0.1:1/none", "events": []}),
        json!({"url": "http://127.0.0.1:1/project", "entity_id": "p1"}),
    ] {
        heygen.create(body).await;
    }
    let event = |name: &str| Outgoing::new(EventBuilder::new(name));
    check_wanted(&heygen, event("avatar_video.success"), &["all"]).await;
    check_wanted(&heygen, event("avatar_video.fail"), &["all", "fails"]).await;
    check_wanted(&heygen, event("nobody.knows"), &["all"]).await;
    let scoped = event("video_agent.fail").entity_id("p1");
    check_wanted(&heygen, scoped, &["all", "fails", "project"]).await;
    check_wanted(&heygen, event("batch.finished").entity_id("p2"), &["all"]).await;

    let all = heygen.endpoints()[0].endpoint_id.clone();
    assert!(heygen.set_status(&all, "disabled"));
    check_wanted(&heygen, event("batch.finished"), &[]).await;
    assert!(heygen.set_status(&all, "enabled"));
    check_wanted(&heygen, event("batch.finished"), &["all"]).await;
    assert!(!heygen.set_status("e1", "disabled"));
}

#[tokio::test]
async fn what_is_not_2xx_comes_again_with_the_same_bytes() {
    let (heygen, server, secret) = registered(&[500, 302, 401, 410, 202]).await;
    heygen.send(EventBuilder::new("avatar_video.success"));
    heygen.settled().await;
    let [delivery] = &heygen.deliveries()[..] else {
        panic!("one delivery");
    };
    let statuses = [500, 302, 401, 410, 202].map(Some);
    assert_eq!(delivery.statuses(), statuses);
    assert_eq!(delivery.state, DeliveryState::Delivered);
    let posts = posts(&server);
    assert_eq!(posts.len(), 5);
    for post in &posts {
        assert_eq!(post.body, posts[0].body);
        assert!(verifies(post, &secret));
    }
}

#[tokio::test]
async fn retries_end_after_a_scaled_day() {
    let heygen = Heygen::with(Sandbox::builder().time_scale(0.000_001)).await;
    let (server, _) = register(&heygen, &[503]).await;
    heygen.send(EventBuilder::new("avatar_video.success"));
    heygen.settled().await;
    let [delivery] = &heygen.deliveries()[..] else {
        panic!("one delivery");
    };
    assert_eq!(delivery.state, DeliveryState::GivenUp);
    let attempts = 1 + RetryPolicy::default().delays().count();
    assert_eq!(delivery.attempts.len(), attempts);
    assert_eq!(posts(&server).len(), attempts);
}

#[tokio::test]
async fn timeout_and_refused_connection_are_retried() {
    let retry = RetryPolicy::default().with_max_attempts(2);
    let builder = Sandbox::builder().retry(retry).time_scale(0.0).probe(false);
    let sandbox = builder
        .delivery_timeout(Duration::from_millis(20))
        .start()
        .await
        .unwrap();
    let silent = Server::start(|_| None).await;
    let gone = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let gone_url = format!("http://{}/", gone.local_addr().unwrap());
    drop(gone);
    sandbox.register(&silent.url).await.unwrap();
    sandbox.register(gone_url).await.unwrap();
    sandbox.send(EventBuilder::new("avatar_video.success"));
    sandbox.settled().await;
    let errors = sandbox.deliveries().into_iter().map(|delivery| {
        assert_eq!(delivery.state, DeliveryState::GivenUp);
        assert_eq!(delivery.statuses(), [None, None]);
        delivery.attempts[1].error.clone().unwrap()
    });
    assert_eq!(
        errors.collect::<Vec<_>>(),
        [
            "the answer did not come in time",
            "the receiver cannot be reached"
        ]
    );
}

#[tokio::test]
async fn endpoints_do_not_wait_for_each_other() {
    let heygen = Heygen::with(Sandbox::builder()).await;
    let (slow, _) = register(&heygen, &[200]).await;
    let (quick, _) = register(&heygen, &[200]).await;
    slow.hold();
    heygen.send(EventBuilder::new("avatar_video.success"));
    heygen
        .until(|deliveries| {
            deliveries
                .iter()
                .any(heygen_testkit::sandbox::Delivery::ended)
        })
        .await;
    assert_eq!(posts(&quick).len(), 1);
    assert_eq!(heygen.deliveries()[0].state, DeliveryState::Pending);
    slow.release();
    heygen.settled().await;
    assert_eq!(heygen.deliveries()[0].state, DeliveryState::Delivered);
}

#[tokio::test]
async fn deleted_endpoint_gets_no_retry() {
    let heygen = Heygen::with(Sandbox::builder().retry(patient())).await;
    let (_server, _) = register(&heygen, &[500]).await;
    heygen.send(EventBuilder::new("avatar_video.success"));
    heygen
        .until(|deliveries| !deliveries[0].attempts.is_empty())
        .await;
    let id = heygen.endpoints()[0].endpoint_id.clone();
    let delete = format!("DELETE /v3/webhooks/endpoints/{id}");
    heygen.call(&delete, Value::Null).await;
    heygen.settled().await;
    assert_eq!(heygen.deliveries()[0].state, DeliveryState::Cancelled);
}

#[tokio::test]
async fn retry_uses_the_new_url_and_secret() {
    let heygen = Heygen::with(Sandbox::builder().retry(patient())).await;
    let (_old, old_secret) = register(&heygen, &[500]).await;
    heygen.send(EventBuilder::new("avatar_video.success"));
    heygen
        .until(|deliveries| !deliveries[0].attempts.is_empty())
        .await;
    let id = heygen.endpoints()[0].endpoint_id.clone();
    let rotate = format!("POST /v3/webhooks/endpoints/{id}/rotate-secret");
    heygen.call(&rotate, Value::Null).await;
    let new = Server::with_statuses(&[200]).await;
    let update = format!("PATCH /v3/webhooks/endpoints/{id}");
    heygen.call(&update, json!({"url": new.url})).await;
    heygen.settled().await;
    let [post] = &posts(&new)[..] else {
        panic!("one delivery");
    };
    assert!(verifies(post, &heygen.endpoints()[0].secret));
    assert!(!verifies(post, &old_secret));
}

#[tokio::test]
async fn callback_url_gets_one_unsigned_post() {
    let (heygen, server, _) = registered(&[200]).await;
    let callback = Server::with_statuses(&[500]).await;
    let event = EventBuilder::new("video_agent.success").set("callback_id", "order-1");
    heygen.send(Outgoing::new(event).callback_url(&callback.url));
    heygen.settled().await;

    let [called_back] = &callback.seen()[..] else {
        panic!("one POST, also when it fails");
    };
    assert_eq!(called_back.method, "POST");
    assert!(!called_back.headers.contains_key("signature"));
    let data = &json_of(called_back)["event_data"];
    assert_eq!(data["callback_id"], "order-1");
    assert_eq!(data["callback_url"], callback.url);
    assert_eq!(posts(&server)[0].body, called_back.body);
    let deliveries = heygen.deliveries();
    assert_eq!(deliveries[1].endpoint_id, None);
    assert_eq!(deliveries[1].state, DeliveryState::GivenUp);

    // Where the data has no such field, none is invented.
    let event = EventBuilder::new("avatar_video.fail");
    heygen.send(Outgoing::new(event).callback_url(&callback.url));
    heygen.settled().await;
    let data = json_of(callback.seen().last().unwrap());
    assert!(data["event_data"].get("callback_url").is_none());
}

/// The two things a rotation may do to a delivery that waits: see the misbehaviour `old_secret` for
/// the other.
#[tokio::test]
async fn rotation_during_a_stream_loses_no_delivery() {
    let heygen = Heygen::with(Sandbox::builder().retry(patient())).await;
    let accepts = Arc::new(AtomicBool::new(true));
    let answers = accepts.clone();
    let server = Server::start(move |_| {
        let status = if answers.load(Ordering::Relaxed) {
            200
        } else {
            500
        };
        Some(Response::builder().status(status).body("".into()).unwrap())
    })
    .await;
    let id = heygen.register(&server.url).await.unwrap().endpoint_id;
    let rotate = format!("POST /v3/webhooks/endpoints/{id}/rotate-secret");
    let mut secrets = vec![heygen.endpoints()[0].secret.clone()];
    for round in 0..10 {
        accepts.store(round % 2 == 0, Ordering::Relaxed);
        heygen.send(EventBuilder::new("avatar_video.success"));
        heygen.call(&rotate, Value::Null).await;
        secrets.push(heygen.endpoints()[0].secret.clone());
    }
    accepts.store(true, Ordering::Relaxed);
    heygen.settled().await;
    for delivery in heygen.deliveries() {
        assert_eq!(delivery.state, DeliveryState::Delivered);
    }
    for post in posts(&server) {
        assert!(secrets.iter().any(|secret| verifies(&post, secret)));
    }
}
