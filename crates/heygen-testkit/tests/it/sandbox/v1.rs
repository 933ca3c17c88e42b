//! The five operations of v1, their answers word for word.

use heygen_events::EventType;
use serde_json::{Value, json};

use super::{Heygen, masked, posts};
use crate::server::Server;
use heygen_testkit::sandbox::Sandbox;

const ADD: &str = "POST /v1/webhook/endpoint.add";
const LIST: &str = "/v1/webhook/endpoint.list";
const UPDATE: &str = "PATCH /v1/webhook/endpoint.update";

fn endpoint(url: &str, events: &Value) -> Value {
    json!({
        "url": url, "username": "<id>", "events": events, "created_at": "<time>", "entity_id": null,
        "endpoint_id": "<id>", "status": "enabled", "secret": "<secret>",
    })
}

/// What the addition answers: with microseconds.
fn added(mut endpoint: Value) -> Value {
    endpoint["created_at"] = json!("<time>.000000");
    success(&endpoint)
}

fn success(data: &Value) -> Value {
    json!({"code": 100, "data": data, "msg": null})
}

#[tokio::test]
async fn add_and_list_show_the_secret() {
    let heygen = Heygen::start().await;
    let url = "http://example.com/hook";
    let answer = heygen
        .call(ADD, json!({"url": url, "events": ["avatar_video.fail"]}))
        .await;
    assert_eq!(answer.status, 200);
    let secret = answer.body["data"]["secret"].clone();
    let expected = endpoint(url, &json!(["avatar_video.fail"]));
    assert_eq!(masked(answer.body), added(expected.clone()));

    let listed = heygen.get(LIST).await.body;
    assert_eq!(listed["data"][0]["secret"], secret);
    assert_eq!(masked(listed), success(&json!([expected])));
    // The same endpoint, from the other side.
    let v3 = heygen.get("/v3/webhooks/endpoints").await.body;
    assert_eq!(v3["data"][0]["secret"], Value::Null);
    assert_eq!(v3["data"][0]["url"], url);
}

#[tokio::test]
async fn missing_events_mean_all() {
    let heygen = Heygen::start().await;
    let url = "https://example.com/hook";
    for body in [json!({"url": url}), json!({"url": url, "events": null})] {
        let answer = heygen.call(ADD, body).await;
        assert_eq!(masked(answer.body), added(endpoint(url, &Value::Null)));
    }
}

#[tokio::test]
async fn endpoint_can_be_limited_to_one_resource() {
    let heygen = Heygen::with(Sandbox::builder().time_scale(0.0)).await;
    let of_one = Server::with_statuses(&[200]).await;
    let of_all = Server::with_statuses(&[200]).await;
    let body = json!({"url": of_one.url, "events": null, "entity_id": "video-1"});
    let answer = heygen.call(ADD, body).await;
    assert_eq!(answer.body["data"]["entity_id"], "video-1");
    heygen.call(ADD, json!({"url": of_all.url})).await;
    let listed = heygen.get(LIST).await.body;
    assert_eq!(listed["data"][0]["entity_id"], "video-1");
    assert_eq!(listed["data"][1]["entity_id"], Value::Null);
    // An update keeps it: no operation changes it.
    let id = &answer.body["data"]["endpoint_id"];
    let body = json!({"endpoint_id": id, "url": of_one.url, "entity_id": "video-2"});
    let updated = heygen.call(UPDATE, body).await;
    assert_eq!(updated.body["data"]["entity_id"], "video-1");

    for entity_id in ["video-1", "video-2"] {
        let event = json!({"event_type": "avatar_video.success", "entity_id": entity_id});
        heygen.call("POST /sandbox/events", event).await;
    }
    heygen.settled().await;
    assert_eq!(posts(&of_one).len(), 1);
    assert_eq!(posts(&of_all).len(), 2);

    let refused = heygen
        .call(ADD, json!({"url": of_one.url, "entity_id": ["x"]}))
        .await;
    assert_eq!(refused.status, 400);
}

/// As the examples of the OpenAPI text are written: spaces, and no key `message`.
#[tokio::test]
async fn answers_have_spaces() {
    let heygen = Heygen::start().await;
    let id = heygen
        .create(json!({"url": "https://example.com"}))
        .await
        .endpoint_id;
    let operation = format!("DELETE /v1/webhook/endpoint.delete?endpoint_id={id}");
    let response = heygen.request(&operation).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    let body = response.text().await.unwrap();
    assert_eq!(body, r#"{"code": 100, "data": null, "msg": null}"#);
}

#[tokio::test]
async fn update_without_url_silently_changes_nothing() {
    let heygen = Heygen::start().await;
    let (one, two) = ("https://one.example", "https://two.example");
    let fails = json!(["avatar_video.fail"]);
    let id = heygen
        .create(json!({"url": one, "events": fails}))
        .await
        .endpoint_id;
    let check = async |body: Value, url: &str, events: &Value| {
        let updated = heygen.call(UPDATE, body).await;
        assert_eq!(updated.status, 200);
        assert_eq!(masked(updated.body), success(&endpoint(url, events)));
    };
    let other = json!(["batch.finished"]);
    check(json!({"endpoint_id": id, "events": other}), one, &fails).await;
    check(
        json!({"endpoint_id": id, "url": null, "events": null}),
        one,
        &fails,
    )
    .await;
    // Not even the rest is read.
    check(
        json!({"endpoint_id": id, "events": "nonsense"}),
        one,
        &fails,
    )
    .await;
    check(json!({"endpoint_id": id, "url": two}), two, &fails).await;
    check(
        json!({"endpoint_id": id, "url": two, "events": other}),
        two,
        &other,
    )
    .await;
    check(
        json!({"endpoint_id": id, "url": two, "events": null}),
        two,
        &Value::Null,
    )
    .await;
}

#[tokio::test]
async fn delete_takes_the_id_from_the_query() {
    let heygen = Heygen::start().await;
    let id = heygen
        .create(json!({"url": "https://example.com"}))
        .await
        .endpoint_id;
    let operation = format!("DELETE /v1/webhook/endpoint.delete?endpoint_id={id}");
    let deleted = heygen.call(&operation, Value::Null).await;
    assert_eq!(deleted.status, 200);
    assert_eq!(deleted.body, success(&Value::Null));
    assert!(heygen.endpoints().is_empty());
}

#[tokio::test]
async fn event_types_are_names_and_those_of_v1_alone() {
    let heygen = Heygen::start().await;
    let body = heygen.get("/v1/webhook/webhook.list").await.body;
    let names: Vec<_> = body["data"].as_array().unwrap().clone();
    assert_eq!(body, success(&json!(names)));
    assert_eq!(names.len(), 21);
    for name in names {
        assert!(EventType::from(name.as_str().unwrap()).is_known());
        assert_ne!(name, "avatar_video_caption.success");
    }
}

#[tokio::test]
async fn url_is_probed_with_options() {
    let heygen = Heygen::with(Sandbox::builder()).await;
    let good = Server::with_statuses(&[200]).await;
    let bad = Server::with_statuses(&[500]).await;
    let added = heygen.call(ADD, json!({"url": good.url})).await;
    assert_eq!(added.body["code"], 100);
    assert_eq!(good.seen()[0].method, "OPTIONS");
    let id = added.body["data"]["endpoint_id"].clone();
    for (operation, body) in [
        (ADD, json!({"url": bad.url})),
        (UPDATE, json!({"endpoint_id": id, "url": bad.url})),
    ] {
        let refused = heygen.call(operation, body).await;
        assert_eq!(refused.status, 400);
        let message = "Url of this webhook endpoint is invalid";
        assert_eq!(refused.body, json!({"code": 400_542, "message": message}));
    }
    // HeyGen does not say why; the sandbox does, beside the answer.
    let why = "The url did not answer an OPTIONS request with 2xx in time: the answer was 500 Internal Server Error.";
    assert_eq!(
        heygen.notes(),
        [format!("{ADD}: {why}"), format!("{UPDATE}: {why}")]
    );
    assert_eq!(heygen.endpoints().len(), 1);
    assert_eq!(heygen.endpoints()[0].url, good.url);
}
