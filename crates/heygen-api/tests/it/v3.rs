//! The operations of v3: what is sent, and what is made of the documented answers.

use heygen_api::v3::{EndpointUpdate, EventQuery, NewEndpoint};
use heygen_api::{
    ApiErrorKind, EndpointId, EndpointStatus, EventType, IdempotencyKey, PageRequest, Secret,
    Subscription,
};
use heygen_events::Payload;

use crate::answers::{
    V3_DELETED, V3_ENDPOINT, V3_EVENT, V3_EVENT_TYPES, V3_LIST, V3_ROTATED, v3_events,
};
use crate::server::{KEY, Reply, Seen, Server};

/// One request, all of it but what HTTP itself needs.
#[track_caller]
fn check(server: &Server, method: &str, target: &str, body: &str) -> Seen {
    let seen = server.only();
    assert_eq!(
        (&*seen.method, &*seen.target, &*seen.body),
        (method, target, body)
    );
    let mut expected = vec!["accept", "host", "user-agent", "x-api-key"];
    if !body.is_empty() {
        expected.extend(["content-length", "content-type"]);
        assert_eq!(seen.headers["content-type"], "application/json");
    }
    if method == "POST" {
        expected.push("idempotency-key");
        // An empty POST says that it is empty.
        expected.push("content-length");
    }
    expected.sort_unstable();
    expected.dedup();
    assert_eq!(seen.headers.keys().collect::<Vec<_>>(), expected);
    assert_eq!(seen.headers["x-api-key"], KEY);
    seen
}

async fn server(answer: &str) -> Server {
    Server::playing([Reply::ok(answer)]).await
}

fn id() -> EndpointId {
    EndpointId::from("ep_abc123")
}

#[tokio::test]
async fn create_endpoint() {
    for (new, body) in [
        (
            NewEndpoint::new("https://yourapp.com/webhooks/heygen"),
            r#"{"url":"https://yourapp.com/webhooks/heygen"}"#,
        ),
        (
            NewEndpoint::new("u")
                .with_event(EventType::AvatarVideoSuccess)
                .with_event("podcast.success")
                .with_entity_id("p1"),
            r#"{"entity_id":"p1","events":["avatar_video.success","podcast.success"],"url":"u"}"#,
        ),
        (
            NewEndpoint::new("u").with_events(vec![EventType::BatchFinished]),
            r#"{"events":["batch.finished"],"url":"u"}"#,
        ),
        (
            NewEndpoint::new("u")
                .with_event("x")
                .with_events(Subscription::All),
            r#"{"url":"u"}"#,
        ),
    ] {
        let server = server(V3_ENDPOINT).await;
        let endpoint = server.client().v3().create_endpoint(&new).await.unwrap();
        let seen = check(&server, "POST", "/v3/webhooks/endpoints", body);
        assert_eq!(seen.headers["idempotency-key"].len(), 36);
        assert_eq!(endpoint.endpoint_id, id());
        assert_eq!(endpoint.url, "https://yourapp.com/webhooks/heygen");
        assert_eq!(
            endpoint.events,
            Subscription::from_iter([EventType::AvatarVideoSuccess, EventType::AvatarVideoFail])
        );
        assert_eq!(endpoint.status, Some(EndpointStatus::Enabled));
        assert_eq!(endpoint.created_at.as_deref(), Some("2026-03-25T12:00:00Z"));
        let secret = endpoint.secret.as_ref().map(Secret::expose);
        assert_eq!(secret, Some("whsec_k7x9m2..."));
        assert!(endpoint.extra.is_empty());
    }
}

#[tokio::test]
async fn any_2xx_creates() {
    for status in [200, 201, 202] {
        let server = Server::playing([Reply::new(status, V3_ENDPOINT)]).await;
        let new = NewEndpoint::new("u");
        assert!(server.client().v3().create_endpoint(&new).await.is_ok());
    }
}

#[tokio::test]
async fn creation_without_a_secret_returns_the_id() {
    let server = server(
        r#"{"data":{"endpoint_id":"e","url":"u","status":"enabled","created_at":"","secret":null}}"#,
    )
    .await;
    let new = NewEndpoint::new("u");
    let endpoint = server.client().v3().create_endpoint(&new).await.unwrap();
    assert_eq!(endpoint.endpoint_id, "e");
    assert!(endpoint.secret.is_none());
}

#[tokio::test]
async fn list_endpoints() {
    let server = server(V3_LIST).await;
    let request = PageRequest::new().with_limit(5).with_token("a b&c");
    let page = server.client().v3().list_endpoints(&request).await.unwrap();
    let target = "/v3/webhooks/endpoints?limit=5&token=a+b%26c";
    check(&server, "GET", target, "");
    assert!(!page.has_more && page.next_token.is_none());
    assert_eq!(page.items.len(), 1);
    assert_eq!(page.items[0].events, Subscription::All);
    assert!(page.items[0].secret.is_none());
}

#[tokio::test]
async fn first_page_has_no_query() {
    let server = server(V3_LIST).await;
    let client = server.client();
    client
        .v3()
        .list_endpoints(&PageRequest::new())
        .await
        .unwrap();
    check(&server, "GET", "/v3/webhooks/endpoints", "");
}

#[tokio::test]
async fn update_endpoint() {
    let list = || vec![EventType::VideoAgentFail];
    for (update, body) in [
        (EndpointUpdate::url("u"), r#"{"url":"u"}"#),
        (
            EndpointUpdate::events(list()),
            r#"{"events":["video_agent.fail"]}"#,
        ),
        (
            EndpointUpdate::events(Subscription::All),
            r#"{"events":null}"#,
        ),
        (
            EndpointUpdate::url("u").with_events(list()),
            r#"{"events":["video_agent.fail"],"url":"u"}"#,
        ),
        (
            EndpointUpdate::events(Subscription::All).with_url("u"),
            r#"{"events":null,"url":"u"}"#,
        ),
    ] {
        let server = server(V3_ENDPOINT).await;
        let client = server.client();
        let endpoint = client.v3().update_endpoint(&id(), &update).await.unwrap();
        assert_eq!(endpoint.endpoint_id, id());
        check(&server, "PATCH", "/v3/webhooks/endpoints/ep_abc123", body);
    }
}

#[tokio::test]
async fn delete_endpoint() {
    for (status, answer) in [
        (200, V3_DELETED),
        (200, "{}"),
        (200, ""),
        (204, ""),
        (202, " \n"),
        (200, r#"{"data":null}"#),
    ] {
        let server = Server::playing([Reply::new(status, answer)]).await;
        server.client().v3().delete_endpoint(&id()).await.unwrap();
        check(&server, "DELETE", "/v3/webhooks/endpoints/ep_abc123", "");
    }
    for answer in ["<html>", "[]", "\"gone\""] {
        let server = server(answer).await;
        let error = server
            .client()
            .v3()
            .delete_endpoint(&id())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ApiErrorKind::UnexpectedBody, "{answer}");
    }
}

#[tokio::test]
async fn rotate_secret() {
    for answer in [V3_ROTATED, r#"{"data":{"secret":"whsec_k7x9m2..."}}"#] {
        let server = server(answer).await;
        let rotated = server.client().v3().rotate_secret(&id()).await.unwrap();
        let target = "/v3/webhooks/endpoints/ep_abc123/rotate-secret";
        check(&server, "POST", target, "");
        assert_eq!(rotated.endpoint_id, id());
        assert_eq!(rotated.secret.expose(), "whsec_k7x9m2...");
    }
}

#[tokio::test]
async fn given_idempotency_key_is_sent() {
    let key = IdempotencyKey::new("order-42:create.1").unwrap();
    let created = server(V3_ENDPOINT).await;
    let new = NewEndpoint::new("u");
    let client = created.client();
    client
        .v3()
        .create_endpoint_with_key(&new, &key)
        .await
        .unwrap();
    assert_eq!(created.only().headers["idempotency-key"], key.as_str());

    let rotated = server(V3_ROTATED).await;
    let client = rotated.client();
    client
        .v3()
        .rotate_secret_with_key(&id(), &key)
        .await
        .unwrap();
    assert_eq!(rotated.only().headers["idempotency-key"], key.as_str());
}

#[tokio::test]
async fn list_event_types() {
    let server = server(V3_EVENT_TYPES).await;
    let client = server.client();
    let page = client
        .v3()
        .list_event_types(&PageRequest::new())
        .await
        .unwrap();
    check(&server, "GET", "/v3/webhooks/event-types", "");
    assert_eq!(page.items[0].event_type, EventType::AvatarVideoSuccess);
    assert_eq!(
        page.items[0].description.as_deref(),
        Some("Fired when an avatar video completes successfully.")
    );
    let written = serde_json::to_value(&page.items).unwrap();
    let answered: serde_json::Value = serde_json::from_str(V3_EVENT_TYPES).unwrap();
    assert_eq!(written, answered["data"]);
}

#[tokio::test]
async fn list_events() {
    let server = server(&v3_events(&[V3_EVENT])).await;
    let query = EventQuery::new()
        .with_event_type(EventType::AvatarVideoSuccess)
        .with_entity_id("p/1")
        .with_page(PageRequest::new().with_limit(100).with_token("t"));
    let page = server.client().v3().list_events(&query).await.unwrap();
    let target =
        "/v3/webhooks/events?event_type=avatar_video.success&entity_id=p%2F1&limit=100&token=t";
    check(&server, "GET", target, "");

    let record = &page.items[0];
    assert_eq!(record.json(), V3_EVENT, "the text is kept as it came");
    let event = record.event().unwrap();
    assert!(event.is_well_formed());
    assert!(
        matches!(event.payload(), Payload::AvatarVideoSuccess(video) if video.video_id == "vid_xyz789")
    );
    assert_eq!(event.event_id().unwrap(), &"evt_abc123");
    assert_eq!(event.created_at(), Some("2026-03-25T12:05:00Z"));
}

#[tokio::test]
async fn empty_event_query_sends_no_parameters() {
    let server = server(&v3_events(&[])).await;
    let page = server.client().v3().list_events(&EventQuery::new()).await;
    assert!(page.unwrap().items.is_empty());
    check(&server, "GET", "/v3/webhooks/events", "");
}

#[tokio::test]
async fn unreadable_record_does_not_fail_its_page() {
    let records = [
        "7",
        r#"{"event_id":"e"}"#,
        r#"{"event_type":"podcast.success","event_data":{"n":1e999}}"#,
        V3_EVENT,
    ];
    let server = server(&v3_events(&records)).await;
    let page = server.client().v3().list_events(&EventQuery::new()).await;
    let items = page.unwrap().items;
    let readable: Vec<_> = items.iter().map(|item| item.event().is_ok()).collect();
    assert_eq!(readable, [false, false, true, true]);
    let texts: Vec<_> = items.iter().map(|item| item.json()).collect();
    assert_eq!(texts, records);
}

#[tokio::test]
async fn unknown_fields_are_kept() {
    let server = server(
        r#"{"data":[{"endpoint_id":7,"url":"u","status":"paused","events":["podcast.success"],"tier":{"a":1}}],"new":1}"#,
    )
    .await;
    let client = server.client();
    let page = client
        .v3()
        .list_endpoints(&PageRequest::new())
        .await
        .unwrap();
    let endpoint = &page.items[0];
    assert_eq!(endpoint.endpoint_id, "7");
    assert_eq!(endpoint.status.as_ref().unwrap().as_str(), "paused");
    assert!(endpoint.receives(&"podcast.success".into()));
    assert!(!endpoint.receives(&EventType::BatchFinished));
    assert_eq!(endpoint.extra["tier"]["a"], 1);
}

#[tokio::test]
async fn id_cannot_change_the_path() {
    let server = server(V3_DELETED).await;
    let client = server.client();
    for id in ["", ".", ".."] {
        let id = EndpointId::from(id);
        let update = EndpointUpdate::url("u");
        for error in [
            client.v3().delete_endpoint(&id).await.unwrap_err(),
            client.v3().rotate_secret(&id).await.unwrap_err(),
            client.v3().update_endpoint(&id, &update).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ApiErrorKind::InvalidParameter);
            assert_eq!(error.param(), Some("endpoint_id"));
            assert_eq!((error.status(), error.attempts()), (None, 0));
        }
    }
    assert!(server.seen().is_empty());

    let odd = EndpointId::from("../a?b#c%2f");
    client.v3().delete_endpoint(&odd).await.unwrap();
    let target = "/v3/webhooks/endpoints/..%2Fa%3Fb%23c%252f";
    check(&server, "DELETE", target, "");
}
