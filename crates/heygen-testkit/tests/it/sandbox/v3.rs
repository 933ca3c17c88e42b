//! The seven operations of v3, their answers word for word.

use heygen_events::EventType;
use heygen_testkit::EventBuilder;
use serde_json::{Value, json};

use super::{AMPLE, Heygen, masked, posts, registered};
use crate::server::Server;
use heygen_testkit::sandbox::{Outgoing, Sandbox};

const ENDPOINTS: &str = "/v3/webhooks/endpoints";
const CREATE: &str = "POST /v3/webhooks/endpoints";

#[tokio::test]
async fn create_returns_the_secret_and_list_does_not() {
    let heygen = Heygen::start().await;
    let url = "https://example.com/hook";
    let created = heygen
        .call(
            CREATE,
            json!({"url": url, "events": ["avatar_video.success"], "entity_id": "p1"}),
        )
        .await;
    assert_eq!(created.status, 200);
    assert_eq!(created.headers["content-type"], "application/json");
    assert_eq!(created.headers["x-request-id"].len(), 32);
    assert_eq!(
        masked(created.body.clone()),
        json!({"data": {
            "endpoint_id": "<id>", "url": url, "events": ["avatar_video.success"], "status": "enabled",
            "created_at": "<time>Z", "secret": "<secret>",
        }})
    );
    let [endpoint] = &heygen.endpoints()[..] else {
        panic!("one endpoint");
    };
    assert_eq!(endpoint.entity_id.as_deref(), Some("p1"));
    assert_eq!(created.body["data"]["secret"], endpoint.secret.expose());

    assert_eq!(
        masked(heygen.get(ENDPOINTS).await.body),
        json!({
            "data": [{
                "endpoint_id": "<id>", "url": url, "events": ["avatar_video.success"], "status": "enabled",
                "created_at": "<time>Z", "secret": null,
            }],
            "has_more": false,
            "next_token": null,
        })
    );
}

#[tokio::test]
async fn missing_events_mean_all() {
    let heygen = Heygen::start().await;
    for body in [
        json!({"url": "https://example.com"}),
        json!({"url": "https://example.com", "events": null, "entity_id": null, "other": 1}),
    ] {
        let created = heygen.call(CREATE, body).await;
        assert_eq!(created.body["data"]["events"], Value::Null);
    }
}

/// An update, and what `url` and `events` are afterwards.
async fn check_update(heygen: &Heygen, id: &str, body: Value, url: &str, events: Value) {
    let updated = heygen.call(&format!("PATCH {ENDPOINTS}/{id}"), body).await;
    assert_eq!(
        masked(updated.body),
        json!({"data": {
            "endpoint_id": "<id>", "url": url, "events": events, "status": "enabled",
            "created_at": "<time>Z", "secret": null,
        }})
    );
}

#[tokio::test]
async fn update_changes_given_fields_and_replaces_lists() {
    let heygen = Heygen::start().await;
    let (one, two) = ("https://one.example", "https://two.example");
    let events = json!(["avatar_video.success", "avatar_video.fail"]);
    let id = heygen.create(json!({"url": one, "events": events})).await;
    let id = id.endpoint_id;
    check_update(&heygen, &id, json!({}), one, events.clone()).await;
    check_update(&heygen, &id, json!({"url": null}), one, events.clone()).await;
    check_update(&heygen, &id, json!({"url": two}), two, events).await;
    let batch = json!(["batch.finished"]);
    check_update(&heygen, &id, json!({"events": batch}), two, batch).await;
    check_update(&heygen, &id, json!({"events": null}), two, Value::Null).await;
}

#[tokio::test]
async fn delete_is_permanent() {
    let heygen = Heygen::start().await;
    let endpoint = heygen.create(json!({"url": "https://example.com"})).await;
    let operation = format!("DELETE {ENDPOINTS}/{}", endpoint.endpoint_id);
    let deleted = heygen.call(&operation, Value::Null).await;
    assert_eq!(deleted.status, 200);
    assert_eq!(deleted.body, json!({"data": {}, "error": null}));
    assert!(heygen.endpoints().is_empty());
    assert_eq!(heygen.call(&operation, Value::Null).await.status, 404);
}

#[tokio::test]
async fn rotation_ends_the_old_secret_immediately() {
    let (heygen, server, old) = registered(&[200]).await;
    let id = heygen.endpoints()[0].endpoint_id.clone();
    let operation = format!("POST {ENDPOINTS}/{id}/rotate-secret");
    let rotated = heygen.call(&operation, Value::Null).await;
    let new = heygen.endpoints()[0].secret.clone();
    assert_ne!(new.expose(), old.expose());
    assert_eq!(
        rotated.body,
        json!({"data": {"endpoint_id": id, "secret": new.expose()}})
    );

    heygen.send(EventBuilder::new("avatar_video.success"));
    heygen.settled().await;
    let [post] = &posts(&server)[..] else {
        panic!("one delivery");
    };
    assert!(super::verifies(post, &new));
    assert!(!super::verifies(post, &old));
}

#[tokio::test]
async fn event_types_lists_every_known_event() {
    let heygen = Heygen::start().await;
    let body = heygen.get("/v3/webhooks/event-types").await.body;
    let entries = EventType::KNOWN.iter().map(|event_type| {
        json!({"event_type": event_type.as_str(), "description": event_type.description()})
    });
    let data: Vec<_> = entries.collect();
    assert_eq!(data.len(), 30);
    assert_eq!(
        body,
        json!({"data": data, "has_more": false, "next_token": null})
    );
}

#[tokio::test]
async fn log_lists_sent_events() {
    let heygen = Heygen::start().await;
    let event = EventBuilder::new("avatar_video.fail")
        .data(json!({"video_id": "v1"}))
        .top("event_id", "evt_1");
    assert_eq!(heygen.send(Outgoing::new(event).entity_id("p1")), "evt_1");
    assert_eq!(
        masked(heygen.get("/v3/webhooks/events").await.body),
        json!({
            "data": [{
                "event_id": "evt_1", "event_type": "avatar_video.fail", "event_data": {"video_id": "v1"},
                "created_at": "<time>Z",
            }],
            "has_more": false,
            "next_token": null,
        })
    );
}

/// The ids of the log under a query, page by page.
async fn log_pages(heygen: &Heygen, query: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut token = String::new();
    loop {
        let path = format!("/v3/webhooks/events?{query}{token}");
        let page = heygen.get(&path).await.body;
        let records = page["data"].as_array().unwrap().iter();
        let ids = records.map(|record| record["event_id"].as_str().unwrap().to_owned());
        pages.push(ids.collect());
        if page["has_more"] == false {
            assert_eq!(page["next_token"], Value::Null);
            return pages;
        }
        token = format!("&token={}", page["next_token"].as_str().unwrap());
        // The next page is not moved by what comes meanwhile.
        heygen.send(EventBuilder::new("batch.finished").top("event_id", "late"));
    }
}

#[tokio::test]
async fn log_is_filtered_and_paged_newest_first() {
    let heygen = Heygen::start().await;
    for number in 0..12 {
        let name = ["avatar_video.success", "avatar_video.fail"][number % 2];
        let event = EventBuilder::new(name).top("event_id", format!("e{number}"));
        let entity = ["p0", "p1", "p2"][number % 3];
        heygen.send(Outgoing::new(event).entity_id(entity));
    }
    let log = log_pages(&heygen, "event_type=avatar_video.fail&limit=4").await;
    assert_eq!(log, [vec!["e11", "e9", "e7", "e5"], vec!["e3", "e1"]]);
    let log = log_pages(&heygen, "entity_id=p2&limit=100").await;
    assert_eq!(log, [["e11", "e8", "e5", "e2"]]);
    let log = log_pages(&heygen, "entity_id=p2&event_type=avatar_video.fail").await;
    assert_eq!(log, [["e11", "e5"]]);
    let log = log_pages(&heygen, "entity_id=p3").await;
    assert_eq!(log, [Vec::<String>::new()]);
}

#[tokio::test]
async fn endpoints_have_pages_of_ten() {
    let heygen = Heygen::start().await;
    for number in 0..12 {
        let url = format!("https://example.com/{number}");
        heygen.create(json!({"url": url})).await;
    }
    let first = heygen.get(ENDPOINTS).await.body;
    assert_eq!(first["data"].as_array().unwrap().len(), 10);
    assert_eq!(first["has_more"], true);
    // Also when what the token stands behind is gone.
    let last = first["data"][9]["endpoint_id"].as_str().unwrap();
    let delete = format!("DELETE {ENDPOINTS}/{last}");
    heygen.call(&delete, Value::Null).await;
    let token = first["next_token"].as_str().unwrap();
    let second = heygen.get(&format!("{ENDPOINTS}?token={token}")).await.body;
    let urls: Vec<_> = second["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["url"])
        .collect();
    assert_eq!(urls, ["https://example.com/10", "https://example.com/11"]);
    assert_eq!(second["has_more"], false);
    let one = heygen.get(&format!("{ENDPOINTS}?limit=1")).await.body;
    assert_eq!(one["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn create_and_a_new_url_are_probed_first() {
    let heygen = Heygen::with(Sandbox::builder()).await;
    let good = Server::with_statuses(&[200]).await;
    let bad = Server::with_statuses(&[405]).await;
    let url = format!(
        "{ENDPOINTS}/{}",
        heygen.create(json!({"url": good.url})).await.endpoint_id
    );
    let update = format!("PATCH {url}");
    assert_eq!(good.seen()[0].method, "OPTIONS");

    let refused = json!({"error": {
        "code": "invalid_parameter",
        "message": "The url did not answer an OPTIONS request with 2xx in time: the answer was 405 Method Not Allowed.",
        "param": "url",
        "doc_url": "https://developers.heygen.com/docs/error-codes#invalid-parameter",
    }});
    for operation in [CREATE, update.as_str()] {
        let answer = heygen.call(operation, json!({"url": bad.url})).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.body, refused);
    }
    assert_eq!(bad.seen().len(), 2);
    let [endpoint] = &heygen.endpoints()[..] else {
        panic!("the refused one is not there");
    };
    assert_eq!(endpoint.url, good.url);

    // What it has already is not asked again.
    heygen.call(&update, json!({"url": good.url})).await;
    assert_eq!(good.seen().len(), 1);
}

#[tokio::test]
async fn failed_probe_is_rejected() {
    let builder = Sandbox::builder().delivery_timeout(AMPLE);
    let sandbox = builder
        .probe_timeout(std::time::Duration::from_millis(20))
        .start()
        .await
        .unwrap();
    let silent = Server::start(|_| None).await;
    let error = sandbox.register(&silent.url).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "The url did not answer an OPTIONS request with 2xx in time: the answer did not come in time."
    );
    assert!(sandbox.endpoints().is_empty());
    let error = sandbox.register("http://example.com/").await.unwrap_err();
    assert_eq!(error.to_string(), "url must use https.");
}
