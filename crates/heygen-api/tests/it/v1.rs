//! The operations of v1: what is sent, and what is made of the documented answers.

use heygen_api::v1::{EndpointUpdate, NewEndpoint};
use heygen_api::{ApiErrorKind, EndpointId, EndpointStatus, EventType, Secret, Subscription};

use crate::answers::{
    V1_DELETED, V1_GONE, V1_INVALID_URL, V1_LIST, V1_NAMES, V1_OPENAPI_ADDED, v1_endpoint,
};
use crate::server::{KEY, Reply, Server};

#[track_caller]
fn check(server: &Server, method: &str, target: &str, body: &str) {
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
    expected.sort_unstable();
    assert_eq!(seen.headers.keys().collect::<Vec<_>>(), expected);
    assert_eq!(seen.headers["x-api-key"], KEY);
}

async fn server(answer: &str) -> Server {
    Server::playing([Reply::ok(answer)]).await
}

const ID: &str = "bc107bc9f1d444ad9245t99858e236f0";

#[tokio::test]
async fn add_endpoint() {
    for (new, body) in [
        (NewEndpoint::new("http://u"), r#"{"url":"http://u"}"#),
        (
            NewEndpoint::new("u")
                .with_event(EventType::AvatarVideoSuccess)
                .with_event(EventType::AvatarVideoFail),
            r#"{"events":["avatar_video.success","avatar_video.fail"],"url":"u"}"#,
        ),
        (
            NewEndpoint::new("u").with_events(Subscription::Only(Vec::new())),
            r#"{"events":[],"url":"u"}"#,
        ),
        (
            NewEndpoint::new("u").with_entity_id("video-1"),
            r#"{"entity_id":"video-1","url":"u"}"#,
        ),
        (
            NewEndpoint::new("u")
                .with_event(EventType::PersonalizedVideo)
                .with_entity_id("project-1"),
            r#"{"entity_id":"project-1","events":["personalized_video"],"url":"u"}"#,
        ),
    ] {
        let server = server(&v1_endpoint()).await;
        let endpoint = server.client().v1().add_endpoint(&new).await.unwrap();
        check(&server, "POST", "/v1/webhook/endpoint.add", body);
        assert_eq!(endpoint.endpoint_id, ID);
        assert!(endpoint.secret.is_some());
    }
}

#[tokio::test]
async fn list_endpoints_shows_secrets() {
    let server = server(V1_LIST).await;
    let endpoints = server.client().v1().list_endpoints().await.unwrap();
    check(&server, "GET", "/v1/webhook/endpoint.list", "");
    let [endpoint] = &endpoints[..] else {
        panic!("{endpoints:?}");
    };
    assert_eq!(endpoint.endpoint_id, ID);
    assert_eq!(endpoint.url, "https://smee.io/TqIi123la44yuLyUV");
    assert_eq!(endpoint.events, Subscription::All);
    assert_eq!(endpoint.status, Some(EndpointStatus::Enabled));
    assert_eq!(endpoint.created_at.as_deref(), Some("2025-10-21T13:49:18"));
    assert_eq!(
        endpoint.username.as_deref(),
        Some("05ebaf283a8541f0b8d56a14c8a4ce72")
    );
    assert_eq!(endpoint.entity_id, None);
    let secret = endpoint.secret.as_ref().map(Secret::expose);
    assert_eq!(secret, Some("123ec_TS_YwqJ-HujAT0KvEMqxrg=="));
    assert!(endpoint.extra.is_empty());
}

#[tokio::test]
async fn update_endpoint_always_sends_url_and_events() {
    for (update, body) in [
        (
            EndpointUpdate::new(ID, "u", Subscription::All),
            r#"{"endpoint_id":"bc107bc9f1d444ad9245t99858e236f0","events":null,"url":"u"}"#,
        ),
        (
            EndpointUpdate::new(ID, "u", vec![EventType::PersonalizedVideo]),
            r#"{"endpoint_id":"bc107bc9f1d444ad9245t99858e236f0","events":["personalized_video"],"url":"u"}"#,
        ),
    ] {
        let server = server(&v1_endpoint()).await;
        let endpoint = server.client().v1().update_endpoint(&update).await.unwrap();
        check(&server, "PATCH", "/v1/webhook/endpoint.update", body);
        assert_eq!(endpoint.endpoint_id, ID);
    }
}

#[tokio::test]
async fn delete_endpoint() {
    for (status, answer) in [(200, V1_DELETED), (200, "{}"), (200, ""), (204, "")] {
        let server = Server::playing([Reply::new(status, answer)]).await;
        let id = EndpointId::from("a b&c");
        server.client().v1().delete_endpoint(&id).await.unwrap();
        let target = "/v1/webhook/endpoint.delete?endpoint_id=a+b%26c";
        check(&server, "DELETE", target, "");
    }
}

#[tokio::test]
async fn list_event_names() {
    let server = server(V1_NAMES).await;
    let names = server.client().v1().list_event_names().await.unwrap();
    check(&server, "GET", "/v1/webhook/webhook.list", "");
    assert_eq!(
        names,
        [
            EventType::AvatarVideoSuccess,
            EventType::AvatarVideoFail,
            EventType::from("podcast.success")
        ]
    );
}

#[tokio::test]
async fn a_code_other_than_100_is_an_error_with_status_200() {
    let server = server(r#"{"code":400112,"data":null,"msg":null,"message":"Unauthorized"}"#).await;
    let client = server.client();
    let id = EndpointId::from(ID);
    for error in [
        client
            .v1()
            .add_endpoint(&NewEndpoint::new("u"))
            .await
            .unwrap_err(),
        client.v1().list_endpoints().await.unwrap_err(),
        client
            .v1()
            .update_endpoint(&EndpointUpdate::new(ID, "u", Subscription::All))
            .await
            .unwrap_err(),
        client.v1().delete_endpoint(&id).await.unwrap_err(),
        client.v1().list_event_names().await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ApiErrorKind::Authentication);
        assert_eq!((error.status(), error.code()), (Some(200), Some("400112")));
        assert_eq!(error.message(), Some("Unauthorized"));
    }
    assert_eq!(server.seen().len(), 5);
}

/// The answers of HeyGen's OpenAPI text, which has neither `message` nor `entity_id`, and spaces as
/// Python writes them.
#[tokio::test]
async fn answers_of_the_openapi_text_are_parsed() {
    let server = server(V1_OPENAPI_ADDED).await;
    let client = server.client();
    let added = client.v1().add_endpoint(&NewEndpoint::new("u")).await;
    let added = added.unwrap();
    assert_eq!(added.endpoint_id, "038fb5f9a62d48e5af08834d20404606");
    assert_eq!(
        added.created_at.as_deref(),
        Some("2023-04-03T05:40:46.769845")
    );
    assert_eq!(added.entity_id, None);
    assert!(added.secret.is_some() && added.extra.is_empty());
}

/// 400131 and 400542 are documented, the former as text for an update.
#[tokio::test]
async fn documented_errors_have_their_kinds() {
    let text = "content-type: text/plain\r\n";
    let id = EndpointId::from(ID);
    let update = EndpointUpdate::new(ID, "u", Subscription::All);
    for content_type in ["content-type: application/json\r\n", text] {
        let server = Server::playing([Reply::with_headers(404, content_type, V1_GONE)]).await;
        let client = server.client();
        for error in [
            client.v1().update_endpoint(&update).await.unwrap_err(),
            client.v1().delete_endpoint(&id).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ApiErrorKind::NotFound);
            assert_eq!((error.status(), error.code()), (Some(404), Some("400131")));
            assert_eq!(error.message(), Some("Webhook endpoint not found"));
            assert_eq!((error.param(), error.attempts()), (None, 1));
        }
        let server =
            Server::playing([Reply::with_headers(400, content_type, V1_INVALID_URL)]).await;
        let client = server.client();
        let new = NewEndpoint::new("u");
        for error in [
            client.v1().add_endpoint(&new).await.unwrap_err(),
            client.v1().update_endpoint(&update).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ApiErrorKind::InvalidParameter);
            assert_eq!((error.status(), error.code()), (Some(400), Some("400542")));
            assert_eq!((error.param(), error.attempts()), (Some("url"), 1));
        }
    }
}

#[tokio::test]
async fn deprecation_notice_is_no_error() {
    let answer = r#"{"code":100,"data":["batch.finished"],"warning":{"message":"use /v3/webhooks/event-types"},"msg":null}"#;
    let server = Server::playing([Reply::with_headers(200, "deprecation: true\r\n", answer)]).await;
    let names = server.client().v1().list_event_names().await.unwrap();
    assert_eq!(names, [EventType::BatchFinished]);
}

#[tokio::test]
async fn empty_id_is_rejected_before_sending() {
    let server = server(V1_DELETED).await;
    let client = server.client();
    let update = EndpointUpdate::new("", "u", Subscription::All);
    for error in [
        client.v1().delete_endpoint(&"".into()).await.unwrap_err(),
        client.v1().update_endpoint(&update).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ApiErrorKind::InvalidParameter);
    }
    assert!(server.seen().is_empty());
}
