//! Neither key nor secret shows where it was not asked for.

use std::error::Error;
use std::fmt::Write;

use heygen_api::v3::NewEndpoint;
use heygen_api::{ApiError, Client, Credentials, PageRequest, RetryPolicy};

use crate::answers::V3_ROTATED;
use crate::server::{Reply, Server};

/// All that an error can be made to say.
fn told(error: &ApiError) -> String {
    let mut told = format!(
        "{error} {error:?} {error:#?} {:?} {:?} {:?} {:?} {:?}",
        error.code(),
        error.message(),
        error.param(),
        error.doc_url(),
        error.request_id()
    );
    let mut cause = error.source();
    while let Some(next) = cause {
        write!(told, " {next} {next:?}").unwrap();
        cause = next.source();
    }
    told
}

#[track_caller]
fn check(told: &str) {
    assert!(!told.contains("visible"), "{told}");
}

#[tokio::test]
async fn error_shows_no_key_secret_or_body() {
    for reply in [
        Reply::with_headers(
            401,
            "x-request-id: key-visible\r\n",
            r#"{"error":{"code":"key-visible","message":"key-visible is wrong","param":"key-visible","doc_url":"https://d/?key-visible"}}"#,
        ),
        Reply::ok(r#"{"code":400112,"message":"key-visible"}"#),
        Reply::new(400, r#"{"error":"key-visible"}"#),
        Reply::new(500, "<html>key-visible whsec_visible</html>"),
        Reply::ok("whsec_visible"),
        Reply::ok(r#""whsec_visible""#),
        Reply::ok(r#"{"data":"whsec_visible"}"#),
        Reply::ok(r#"{"data":{"endpoint_id":"whsec_visible"}}"#),
        Reply::ok(r#"{"data":{"endpoint_id":["whsec_visible"],"secret":"whsec_visible"}}"#),
        Reply::ok(r#"{"data":{"secret":"whsec_visible","#),
        Reply::ok(r#"{"data":{"secret":"whsec_visible","n":1e999}}"#),
        Reply::nothing(),
    ] {
        let server = Server::playing([reply]).await;
        let client = server
            .builder()
            .retry(RetryPolicy::never())
            .build()
            .unwrap();
        let new = NewEndpoint::new("https://u/?token=visible");
        check(&told(&client.v3().create_endpoint(&new).await.unwrap_err()));
        let page = PageRequest::new().with_token("visible");
        check(&told(&client.v3().list_endpoints(&page).await.unwrap_err()));
        check(&told(&client.v1().list_endpoints().await.unwrap_err()));
    }
}

#[tokio::test]
async fn connection_error_shows_no_url() {
    let gone = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let url = format!("http://{}/visible", gone.local_addr().unwrap());
    drop(gone);
    let client = Client::builder(Credentials::bearer("token-visible"))
        .base_url(url)
        .retry(RetryPolicy::never())
        .build()
        .unwrap();
    check(&told(&client.v1().list_event_names().await.unwrap_err()));
}

#[tokio::test]
async fn configuration_error_shows_no_key() {
    for (key, url) in [
        ("key-visible\0", Client::BASE_URL),
        ("key-visible", "https://user:visible@a.example"),
        ("key-visible", "https://a.example/?key=visible"),
        ("key-visible", "visible"),
    ] {
        let builder = Client::builder(Credentials::api_key(key)).base_url(url);
        check(&told(&builder.build().unwrap_err()));
    }
}

#[tokio::test]
async fn debug_hides_secrets() {
    let server = Server::playing([Reply::ok(V3_ROTATED.replace("k7x9m2...", "visible"))]).await;
    let client = server.client();
    let rotated = client.v3().rotate_secret(&"e".into()).await.unwrap();
    assert_eq!(rotated.secret.expose(), "whsec_visible");
    check(&format!(
        "{rotated:?} {rotated:#?} {client:?} {:?}",
        client.v3()
    ));
    check(&format!("{:?}", server.builder()));
    check(&format!("{:?}", client.v3().endpoints_stream()));
}
