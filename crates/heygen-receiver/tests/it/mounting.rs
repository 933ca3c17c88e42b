//! The receiver inside another server.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use heygen_inbox::MemoryInbox;
use heygen_receiver::{CallbackTokens, Receiver, ReceiverOptions};
use heygen_testkit::signed_request;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use tower_service::Service as _;

use crate::support::{PATH, body, count, secret};

/// Answers a request as a server around the router would.
async fn ask(app: &mut Router, request: Request<Body>) -> (StatusCode, String) {
    let response = app.call(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn signed(path: &str) -> Request<Body> {
    signed_request(path, body("a"), &secret()).map(Body::new)
}

fn empty(method: &str, path: &str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .body(Body::empty())
        .unwrap()
}

#[tokio::test]
async fn as_a_route_in_axum() {
    let inbox = MemoryInbox::new();
    let receiver = Receiver::new(secret(), inbox.clone());
    let mut app = Router::new()
        .route("/", get(async || "hello"))
        .route_service(PATH, receiver);
    assert_eq!(ask(&mut app, empty("GET", "/")).await.1, "hello");
    assert_eq!(
        ask(&mut app, empty("OPTIONS", PATH)).await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        ask(&mut app, empty("POST", PATH)).await.0,
        StatusCode::UNAUTHORIZED
    );
    let (status, says) = ask(&mut app, signed(PATH)).await;
    assert_eq!(status, StatusCode::OK);
    assert!(says.contains("accepted"));
    assert_eq!(count(&inbox).await, 1);
}

#[tokio::test]
async fn mounted_receiver_serves_every_path_of_its_router() {
    let inbox = MemoryInbox::new();
    let receiver = Receiver::mounted(secret(), inbox.clone());
    let mut app = Router::new()
        .route_service("/webhooks/video", receiver.clone())
        .nest_service("/hooks", receiver);
    let signed_video = signed("/webhooks/video");
    assert_eq!(ask(&mut app, signed_video).await.0, StatusCode::OK);
    assert_eq!(
        ask(&mut app, empty("OPTIONS", "/hooks")).await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(ask(&mut app, signed("/hooks/any")).await.0, StatusCode::OK);
    assert_eq!(
        ask(&mut app, empty("PUT", "/hooks")).await.0,
        StatusCode::METHOD_NOT_ALLOWED
    );
    assert_eq!(
        ask(&mut app, signed("/elsewhere")).await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(count(&inbox).await, 1);
}

#[tokio::test]
async fn as_a_plain_service() {
    let inbox = MemoryInbox::new();
    let mut receiver = Receiver::new(secret(), inbox.clone());
    let response = receiver
        .call(signed_request(PATH, body("a"), &secret()))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    // Clones are one receiver.
    let response = receiver
        .clone()
        .receive(signed_request(PATH, body("a"), &secret()))
        .await;
    let says = response.into_body().collect().await.unwrap().to_bytes();
    assert!(says.starts_with(br#"{"status":"duplicate""#));
}

#[tokio::test]
async fn callbacks_are_a_route_of_their_own() {
    let token = "Zm9vYmFyYmF6cXV4MTIzNDU2";
    let post = |path: String| {
        let request = Request::builder().method("POST").uri(path);
        request.body(Body::from(body("a"))).unwrap()
    };
    for path in [Some(PATH.to_owned()), None] {
        let inbox = MemoryInbox::new();
        let options = ReceiverOptions::default()
            .with_path(path)
            .with_callback_tokens(CallbackTokens::new([token]).unwrap());
        let receiver = Receiver::with(secret(), inbox.clone(), options);
        let mut app = Router::new()
            .route_service(PATH, receiver.clone())
            .route_service(&format!("{PATH}/callbacks/{{token}}"), receiver);
        assert_eq!(ask(&mut app, signed(PATH)).await.0, StatusCode::OK);
        let (status, says) = ask(&mut app, post(format!("{PATH}/callbacks/{token}"))).await;
        assert_eq!(status, StatusCode::OK, "{says}");
        let (status, _) = ask(&mut app, post(format!("{PATH}/callbacks/{token}x"))).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        let (status, _) = ask(&mut app, post(PATH.to_owned())).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
}
