//! Who asks, where, and under which name.

use heygen_api::{ApiErrorKind, Client, Credentials, PageRequest, RetryPolicy};

use crate::answers::{V1_NAMES, V3_LIST};
use crate::server::{AMPLE, Reply, Server};

#[tokio::test]
async fn exactly_one_of_key_and_token_is_sent() {
    for (credentials, name, value, other) in [
        (
            Credentials::api_key("k1"),
            "x-api-key",
            "k1",
            "authorization",
        ),
        (
            Credentials::bearer("t1"),
            "authorization",
            "Bearer t1",
            "x-api-key",
        ),
    ] {
        let server = Server::playing([Reply::ok(V3_LIST)]).await;
        let client = Client::builder(credentials)
            .base_url(&server.url)
            .build()
            .unwrap();
        client
            .v3()
            .list_endpoints(&PageRequest::new())
            .await
            .unwrap();
        let headers = server.only().headers;
        assert_eq!(headers[name], value);
        assert!(!headers.contains_key(other));
    }
}

#[tokio::test]
async fn user_agent_is_sent() {
    let server = Server::playing([Reply::ok(V1_NAMES)]).await;
    server.client().v1().list_event_names().await.unwrap();
    let default = concat!("heygen-api/", env!("CARGO_PKG_VERSION"));
    assert_eq!(server.only().headers["user-agent"], default);

    let server = Server::playing([Reply::ok(V1_NAMES)]).await;
    let client = server.builder().user_agent("mine/1").build().unwrap();
    client.v1().list_event_names().await.unwrap();
    assert_eq!(server.only().headers["user-agent"], "mine/1");
    assert_eq!(server.only().headers["accept"], "application/json");
}

#[tokio::test]
async fn path_of_the_base_url_is_kept() {
    for path in ["", "/", "/gate/heygen", "/gate/heygen/"] {
        let server = Server::playing([Reply::ok(V1_NAMES)]).await;
        let url = format!("{}{path}", server.url);
        let client = server.builder().base_url(url).build().unwrap();
        client.v1().list_event_names().await.unwrap();
        let expected = format!("{}/v1/webhook/webhook.list", path.trim_end_matches('/'));
        assert_eq!(server.only().target, expected);
    }
}

#[tokio::test]
async fn clones_and_handles_share_the_client() {
    let server = Server::playing([Reply::ok(V1_NAMES)]).await;
    let client = server.client();
    let clone = client.clone();
    drop(client);
    let v1 = clone.v1();
    v1.list_event_names().await.unwrap();
    v1.list_event_names().await.unwrap();
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn default_base_url_is_heygen() {
    assert_eq!(Client::BASE_URL, "https://api.heygen.com");
    let client = Client::new(Credentials::api_key("k")).unwrap();
    let shown = format!("{client:?}");
    assert!(shown.contains("https://api.heygen.com/"), "{shown}");
    assert!(shown.contains("timeout: 10s"), "{shown}");
}

#[test]
fn plain_http_to_another_machine_must_be_allowed() {
    let builder = || Client::builder(Credentials::api_key("k")).base_url("http://sandbox:8090");
    let error = builder().build().unwrap_err();
    assert_eq!(error.kind(), ApiErrorKind::Config);
    assert!(builder().allow_plain_http().build().is_ok());
}

/// The listener speaks no TLS, so the attempt fails, but only after TLS was set up and tried.
#[tokio::test]
async fn https_works() {
    let server = Server::playing([Reply::ok(V1_NAMES)]).await;
    let client = Client::builder(Credentials::api_key("k"))
        .base_url(server.url.replace("http://", "https://"))
        .timeout(AMPLE)
        .retry(RetryPolicy::never())
        .build()
        .unwrap();
    let error = client.v1().list_event_names().await.unwrap_err();
    assert_eq!(error.kind(), ApiErrorKind::Transport);
    assert!(!error.outcome_unknown());
    assert!(server.seen().is_empty());
}
