//! The sandbox's own routes, for other languages.

use http::StatusCode;
use serde_json::{Value, json};

use super::{Answered, Heygen, answered, json_of, masked, posts, registered, verifies};
use crate::server::Server;
use heygen_testkit::sandbox::Sandbox;

/// Without a key: these are not HeyGen's.
async fn post(heygen: &Heygen, path: &str, body: Value) -> Answered {
    let request = heygen.keyless(&format!("POST {path}"));
    answered(request.body(body.to_string())).await
}

async fn get(heygen: &Heygen, path: &str) -> Answered {
    answered(heygen.keyless(&format!("GET {path}"))).await
}

#[tokio::test]
async fn sent_event_is_listed_with_its_attempts() {
    let (heygen, server, _) = registered(&[500, 200]).await;
    let body = json!({
        "event_type": "avatar_video.success",
        "event_id": "evt_1",
        "data": {"video_id": "v1", "url": null, "folder.name": "f"},
        "without": ["gif_download_url", "video_page_url", "video_share_page_url", "folder_id", "callback_id"],
        "entity_id": "p1",
    });
    let sent = post(&heygen, "/sandbox/events", body).await;
    assert_eq!(sent.status, 202);
    assert_eq!(
        sent.body,
        json!({"data": {"event_id": "evt_1", "deliveries": 1}})
    );

    let settled = get(&heygen, "/sandbox/settled").await;
    let sent = json!({
        "event_type": "avatar_video.success",
        "event_data": {"video_id": "v1", "url": null, "folder": {"name": "f"}},
        "event_id": "evt_1",
    });
    assert_eq!(json_of(&posts(&server)[0]), sent);
    let mut body = settled.body;
    let delivery = &mut body["data"][0];
    let text = delivery["body"].take();
    assert_eq!(text.as_str().unwrap().as_bytes(), posts(&server)[0].body);
    for attempt in delivery["attempts"].as_array_mut().unwrap() {
        assert!(attempt["duration_ms"].take().is_u64());
    }
    let attempt = |status: u16| json!({"url": server.url, "status": status, "error": null, "duplicate": false, "duration_ms": null});
    let delivery_id = heygen.deliveries()[0].delivery_id;
    assert_eq!(
        masked(body),
        json!({"data": [{
            "delivery_id": delivery_id, "event_id": "evt_1", "event_type": "avatar_video.success",
            "endpoint_id": "<id>", "state": "delivered", "attempts": [attempt(500), attempt(200)], "body": null,
        }]})
    );
    let log = heygen.get("/v3/webhooks/events?entity_id=p1").await.body;
    assert_eq!(log["data"][0]["event_data"], sent["event_data"]);

    post(
        &heygen,
        "/sandbox/events",
        json!({"event_type": "nobody.knows"}),
    )
    .await;
    let settled = get(&heygen, "/sandbox/settled").await.body;
    assert_eq!(settled["data"].as_array().unwrap().len(), 2);
    let one = get(&heygen, "/sandbox/deliveries?event_id=evt_1")
        .await
        .body;
    assert_eq!(one["data"].as_array().unwrap().len(), 1);
    let data = json_of(&posts(&server)[2]);
    assert_eq!(
        data,
        json!({"event_type": "nobody.knows", "event_data": {}})
    );
}

#[tokio::test]
async fn callback_url_gets_a_post() {
    let heygen = Heygen::with(Sandbox::builder()).await;
    let server = Server::with_statuses(&[200]).await;
    let body = json!({"event_type": "batch.finished", "callback_url": server.url});
    let sent = post(&heygen, "/sandbox/events", body).await;
    assert_eq!(sent.body["data"]["deliveries"], 1);
    get(&heygen, "/sandbox/settled").await;
    assert_eq!(server.seen().len(), 1);
    assert!(!server.seen()[0].headers.contains_key("signature"));
}

#[tokio::test]
async fn misbehave_sets_and_clears_misbehaviour() {
    let (heygen, server, _) = registered(&[200]).await;
    let body = json!({
        "duplicates": 1, "delay_ms": 1, "reorder": 1, "drop_answers": 1, "link": "empty",
        "event_type": "podcast.success", "data": [], "name_key": "event", "without_data": false,
        "body": null, "mid_2026_headers": true, "doubled_signature": true, "truncate": 0, "slow_ms": 1,
        "spaced": true, "old_secret": true, "job_ms": 1, "fail_jobs": "why", "fail_code": "code", "link_ms": 1, "log_delivered_only": true, "log_order": "shuffled",
        "api": [{"on": "GET /v3/webhooks/event-types", "times": 1, "status": 503, "retry_after": 2,
            "body": "busy", "cut_off": false, "delay_ms": 1}],
    });
    let set = post(&heygen, "/sandbox/misbehave", body.clone()).await;
    assert_eq!(set.status, 200);
    assert_eq!(set.body, json!({ "data": body }));
    let event = json!({"event_type": "avatar_video.success"});
    post(&heygen, "/sandbox/events", event.clone()).await;
    get(&heygen, "/sandbox/settled").await;
    assert_eq!(posts(&server).len(), 3);
    let expected = r#"{"event": "podcast.success", "event_data": []}"#;
    assert_eq!(posts(&server)[0].body, expected);
    let request = heygen.request("GET /v3/webhooks/event-types");
    let refused = request.send().await.unwrap();
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.text().await.unwrap(), "busy");

    post(&heygen, "/sandbox/misbehave", json!({})).await;
    post(&heygen, "/sandbox/events", event).await;
    get(&heygen, "/sandbox/settled").await;
    assert_eq!(posts(&server).len(), 4);
    assert!(posts(&server)[3].headers.contains_key("signature"));
}

#[tokio::test]
async fn invalid_request_is_rejected() {
    let (events, misbehave) = ("/sandbox/events", "/sandbox/misbehave");
    let endpoints = "/sandbox/endpoints";
    let with = |field: &str, value: Value| json!({"url": "http://127.0.0.1:1/", field: value});
    let heygen = Heygen::start().await;
    for (path, body, message) in [
        (events, json!({}), "missing field `event_type`"),
        (
            events,
            json!({"event_type": "a", "x": 1}),
            "unknown field `x`",
        ),
        (
            events,
            json!({"event_type": "a", "data": []}),
            "an object of fields to set",
        ),
        (
            misbehave,
            json!({"duplicate": 1}),
            "unknown field `duplicate`",
        ),
        (misbehave, json!({"duplicates": 1001}), "at most 1000"),
        (
            misbehave,
            json!({"api": [{"on": "GET /"}]}),
            "no operation of HeyGen's",
        ),
        (
            misbehave,
            json!({"api": [{"status": 99}]}),
            "from 200 to 599",
        ),
        (misbehave, json!({"link": "gone"}), "unknown variant `gone`"),
        (endpoints, with("secret", json!("")), "secret"),
        (endpoints, with("event", json!([])), "unknown field `event`"),
        (
            endpoints,
            with("events", json!(["a"])),
            "is not an event type",
        ),
        (endpoints, json!({"url": "http://example.com"}), "https"),
    ] {
        let refused = post(&heygen, path, body).await;
        assert_eq!(refused.status, 400);
        let error = &refused.body["error"];
        assert_eq!(error["code"], "invalid_parameter");
        let text = error["message"].as_str().unwrap();
        assert!(text.contains(message), "{text}");
    }
}

#[tokio::test]
async fn endpoint_gets_a_known_secret() {
    let secret = |text: &str| heygen_signature::Secret::new(text).unwrap();
    let heygen = Heygen::with(Sandbox::builder().secret(secret("whsec_fixed"))).await;
    let server = Server::with_statuses(&[200]).await;
    let new = json!({"url": server.url, "secret": "whsec_given", "events": ["batch.finished"]});
    let registered = post(&heygen, "/sandbox/endpoints", new).await.body;
    assert_eq!(registered["data"]["secret"], "whsec_given");
    heygen.send(heygen_testkit::EventBuilder::new("batch.finished"));
    heygen.send(heygen_testkit::EventBuilder::new("avatar_video.fail"));
    heygen.settled().await;
    assert_eq!(posts(&server).len(), 1);
    assert!(verifies(&posts(&server)[0], &secret("whsec_given")));

    let endpoint = heygen.register(&server.url).await.unwrap();
    assert_eq!(endpoint.secret.expose(), "whsec_fixed");
    let rotate = format!(
        "POST /v3/webhooks/endpoints/{}/rotate-secret",
        endpoint.endpoint_id
    );
    let rotated = heygen.call(&rotate, Value::Null).await.body;
    assert_ne!(rotated["data"]["secret"], "whsec_fixed");
}

#[tokio::test]
async fn state_is_shown_and_status_is_set() {
    let heygen = Heygen::start().await;
    let endpoint = heygen
        .create(json!({"url": "https://example.com", "entity_id": "p1"}))
        .await;
    let path = format!("PATCH /sandbox/endpoints/{}", endpoint.endpoint_id);
    let set = answered(heygen.keyless(&path).body(r#"{"status":"disabled"}"#)).await;
    assert_eq!(set.status, 200);
    let expected = json!({
        "url": "https://example.com", "username": "<id>", "events": null, "created_at": "<time>",
        "entity_id": "p1", "endpoint_id": "<id>", "status": "disabled", "secret": "<secret>",
    });
    assert_eq!(masked(set.body), json!({ "data": expected }));
    post(
        &heygen,
        "/sandbox/events",
        json!({"event_type": "batch.finished"}),
    )
    .await;

    let state = masked(get(&heygen, "/sandbox/state").await.body);
    assert_eq!(
        state,
        json!({"data": {
            "endpoints": [expected],
            "events": 1,
            "deliveries": 0,
            "jobs": 0,
            "settled": true,
            "misbehaviour": {
                "duplicates": 0, "delay_ms": 0, "reorder": 0, "drop_answers": 0, "link": null,
                "event_type": null, "data": null, "name_key": null, "without_data": false, "body": null,
                "mid_2026_headers": false, "doubled_signature": false, "truncate": 0, "slow_ms": 0,
                "spaced": false,
                "old_secret": false, "job_ms": null, "fail_jobs": null, "fail_code": null, "link_ms": null, "log_delivered_only": false, "log_order": "newest_first",
                "api": [],
            },
            "notes": [],
        }})
    );
    let path = "PATCH /sandbox/endpoints/e1";
    let missing = answered(heygen.keyless(path).body(r#"{"status":"disabled"}"#)).await;
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn settled_with_a_timeout_says_what_is_pending() {
    let heygen = Heygen::with(Sandbox::builder().time_scale(1.0)).await;
    let server = Server::with_statuses(&[204, 503]).await;
    heygen.register(&server.url).await.unwrap();
    let ended = get(&heygen, "/sandbox/settled?timeout=60").await;
    assert_eq!(
        (ended.status, ended.body),
        (StatusCode::OK, json!({"data": []}))
    );

    heygen.send(heygen_testkit::EventBuilder::new("batch.finished").top("event_id", "evt_1"));
    heygen.until(|all| !all[0].attempts.is_empty()).await;
    let waited = get(&heygen, "/sandbox/settled?timeout=0.01").await;
    assert_eq!(waited.status, 408);
    assert_eq!(waited.body["data"][0]["event_id"], "evt_1");
    assert_eq!(waited.body["error"]["code"], "not_settled");
    let message = waited.body["error"]["message"].as_str().unwrap();
    let expected = format!(
        "1 of 1 deliveries have not ended after 0.01 s: batch.finished (evt_1) to {}, attempt 1: answered 503",
        server.url
    );
    assert_eq!(message, expected);

    for timeout in ["soon", "-1", "NaN"] {
        let refused = get(&heygen, &format!("/sandbox/settled?timeout={timeout}")).await;
        assert_eq!(refused.body["error"]["param"], "timeout", "{timeout}");
    }
}

/// What the sandbox notes about a path that it does not have.
async fn check_note(operation: &str, expected: &str) {
    let heygen = Heygen::start().await;
    let refused = heygen.request(operation).send().await.unwrap();
    assert_eq!(refused.status(), 404, "{operation}");
    assert_eq!(heygen.notes(), [format!("{operation}: {expected}")]);
}

#[tokio::test]
async fn wrong_path_is_noted() {
    check_note(
        "DELETE /v1/webhook/endpoint.delete/e1",
        "the id goes in the query: DELETE /v1/webhook/endpoint.delete?endpoint_id=e1",
    )
    .await;
    check_note(
        "PATCH /v1/webhook/endpoint.update/e1",
        "the id goes in the body, as endpoint_id",
    )
    .await;
    check_note(
        "POST /v3/webhooks/endpoints/",
        "there is no slash at the end of /v3/webhooks/endpoints",
    )
    .await;
    check_note("GET /v9/videos", "there is no such path in the sandbox").await;
}

#[tokio::test]
async fn reset_removes_everything() {
    let (heygen, server, _) = registered(&[200]).await;
    post(&heygen, "/sandbox/misbehave", json!({"duplicates": 3})).await;
    server.hold();
    post(
        &heygen,
        "/sandbox/events",
        json!({"event_type": "batch.finished"}),
    )
    .await;
    server.until_seen(2).await;
    let fresh = get(&Heygen::start().await, "/sandbox/state").await.body;
    assert_ne!(get(&heygen, "/sandbox/state").await.body, fresh);

    let reset = post(&heygen, "/sandbox/reset", Value::Null).await;
    assert_eq!(reset.body, json!({"data": {}}));
    assert_eq!(get(&heygen, "/sandbox/state").await.body, fresh);
    assert_eq!(
        get(&heygen, "/sandbox/settled").await.body,
        json!({"data": []})
    );
    server.release();
    heygen.register(&server.url).await.unwrap();
    heygen.send(heygen_testkit::EventBuilder::new("batch.finished"));
    heygen.settled().await;
    assert_eq!(heygen.deliveries().len(), 1);
}
