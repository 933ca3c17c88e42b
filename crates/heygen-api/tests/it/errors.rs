//! Every kind of error over the wire, and every text as a snapshot.

use std::error::Error;
use std::time::Duration;

use heygen_api::v3::NewEndpoint;
use heygen_api::{
    ApiError, ApiErrorKind, Client, Credentials, IdempotencyKey, PageRequest, RetryPolicy, v1,
};

use crate::answers::V3_REFUSAL;
use crate::server::{AMPLE, Reply, Server};

async fn error(reply: Reply) -> ApiError {
    let server = Server::playing([reply]).await;
    let client = server
        .builder()
        .retry(RetryPolicy::never())
        .build()
        .unwrap();
    client
        .v3()
        .list_endpoints(&PageRequest::new())
        .await
        .unwrap_err()
}

async fn check(status: u16, body: &str, kind: ApiErrorKind, code: Option<&str>) {
    let error = error(Reply::new(status, body)).await;
    assert_eq!(error.kind(), kind, "{status} {body}");
    assert_eq!(
        (error.status(), error.code()),
        (Some(status), code),
        "{body}"
    );
    assert_eq!(error.attempts(), 1);
}

fn error_body(code: &str) -> String {
    format!(r#"{{"error":{{"code":"{code}","message":"no","param":null,"doc_url":null}}}}"#)
}

#[tokio::test]
async fn kinds_of_v3() {
    use ApiErrorKind as K;
    for (status, code, kind) in [
        (400, "invalid_parameter", K::InvalidParameter),
        (401, "unauthorized", K::Authentication),
        (401, "authentication_failed", K::Authentication),
        (402, "insufficient_credit", K::PaymentRequired),
        (402, "trial_limit_exceeded", K::PaymentRequired),
        (402, "plan_upgrade_required", K::PaymentRequired),
        (403, "forbidden", K::Forbidden),
        (404, "webhook_not_found", K::NotFound),
        (404, "not_found", K::NotFound),
        (400, "webhook_not_found", K::NotFound),
        (409, "request_in_progress", K::Conflict),
        (409, "conflict", K::Conflict),
        (413, "payload_too_large", K::Refused),
        (429, "rate_limit_exceeded", K::RateLimited),
        (429, "QUOTA_EXCEEDED", K::QuotaExceeded),
        (500, "internal_error", K::Server),
        (504, "gateway_timeout", K::Server),
    ] {
        check(status, &error_body(code), kind, Some(code)).await;
    }
}

#[tokio::test]
async fn kinds_without_json() {
    use ApiErrorKind as K;
    for body in [
        "",
        "<html><h1>Bad Gateway</h1></html>",
        "upstream",
        "[]",
        "\u{feff}{}",
    ] {
        check(400, body, K::InvalidParameter, None).await;
        check(401, body, K::Authentication, None).await;
        check(403, body, K::Forbidden, None).await;
        check(404, body, K::NotFound, None).await;
        check(429, body, K::RateLimited, None).await;
        check(502, body, K::Server, None).await;
        check(200, body, K::UnexpectedBody, None).await;
    }
}

#[tokio::test]
async fn error_has_everything_that_heygen_says() {
    let body = r#"{"error":{"code":"Invalid_Parameter","message":"must be https","param":"url","doc_url":"https://d.example/#x"}}"#;
    let error = error(Reply::with_headers(
        400,
        "X-Request-Id: req_1\r\nRetry-After: 17\r\n",
        body,
    ))
    .await;
    assert_eq!(error.kind(), ApiErrorKind::InvalidParameter);
    assert_eq!(error.code(), Some("Invalid_Parameter"));
    assert!(error.has_code("invalid_parameter") && !error.has_code("invalid"));
    assert_eq!(error.message(), Some("must be https"));
    assert_eq!(error.param(), Some("url"));
    assert_eq!(error.doc_url(), Some("https://d.example/#x"));
    assert_eq!(error.request_id(), Some("req_1"));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(17)));
    assert!(!error.outcome_unknown() && !error.is_timeout());
    assert!(error.idempotency_key().is_none());
}

#[tokio::test]
async fn missing_field_of_a_success_is_named() {
    for (body, named) in [
        ("{}", "data is missing"),
        (r#"{"data":null}"#, "data is missing"),
        (r#"{"data":{"endpoints":[]}}"#, "data is not an array"),
        (r#"{"data":[7]}"#, "data[0] is not an object"),
        (
            r#"{"data":[{"endpoint_id":"e","url":"u"},{"url":"u"}]}"#,
            "data[1].endpoint_id is missing",
        ),
        (
            r#"{"data":[{"endpoint_id":"e","url":{}}]}"#,
            "data[0].url is not a string",
        ),
        (
            r#"{"data":[{"endpoint_id":"e","url":1e999}]}"#,
            "data[0] cannot be read",
        ),
    ] {
        let error = error(Reply::with_headers(200, "x-request-id: r\r\n", body)).await;
        assert_eq!(error.kind(), ApiErrorKind::UnexpectedBody, "{body}");
        let text = format!("the answer is not as expected: {named} (HTTP 200)");
        assert_eq!(error.to_string(), text);
        assert_eq!((error.request_id(), error.attempts()), (Some("r"), 1));
    }
}

#[tokio::test]
async fn error_of_an_unreadable_creation_has_its_idempotency_key() {
    let server = Server::playing([Reply::ok(r#"{"data":{}}"#)]).await;
    let key = IdempotencyKey::new("k1").unwrap();
    let new = NewEndpoint::new("u");
    let client = server.client();
    let error = client
        .v3()
        .create_endpoint_with_key(&new, &key)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ApiErrorKind::UnexpectedBody);
    assert_eq!(error.idempotency_key(), Some(&key));
    assert!(error.outcome_unknown());
}

#[tokio::test]
async fn redirects_are_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let server =
            Server::playing([Reply::with_headers(status, "location: /other\r\n", "")]).await;
        let client = server.client();
        let error = client
            .v3()
            .list_endpoints(&PageRequest::new())
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.status()),
            (ApiErrorKind::Refused, Some(status))
        );
        assert_eq!(server.seen().len(), 1, "the key goes nowhere else");
    }
}

#[tokio::test]
async fn answer_is_read_up_to_a_limit() {
    let long = format!("{{\"data\":\"{}\"}}", "x".repeat(33 * 1024 * 1024));
    let error = error(Reply::ok(long)).await;
    assert_eq!(error.kind(), ApiErrorKind::UnexpectedBody);
    assert!(error.to_string().contains("longer than 32 MiB"), "{error}");
}

#[tokio::test]
async fn texts() {
    let mut texts = Vec::new();
    for reply in [
        Reply::new(402, V3_REFUSAL),
        Reply::new(401, error_body("unauthorized")),
        Reply::new(403, ""),
        Reply::new(404, error_body("webhook_not_found")),
        Reply::new(
            400,
            r#"{"error":{"code":"invalid_parameter","message":"must be\nhttps","param":"url"}}"#,
        ),
        Reply::new(409, error_body("request_in_progress")),
        Reply::with_headers(
            429,
            "retry-after: 17\r\n",
            error_body("rate_limit_exceeded"),
        ),
        Reply::new(429, error_body("quota_exceeded")),
        Reply::new(405, ""),
        Reply::with_headers(302, "location: /\r\n", ""),
        Reply::new(502, "<html>"),
        Reply::ok(r#"{"code":400112,"message":"Unauthorized","data":null}"#),
        Reply::ok(""),
        Reply::ok("<html>"),
        Reply::ok("[]"),
        Reply::ok(r#"{"data":["#),
        Reply::ok(r#"{"data":{}}"#),
        Reply::nothing(),
    ] {
        texts.push(error(reply).await.to_string());
    }
    let server = Server::playing([Reply::Silence]).await;
    let builder = server.builder().timeout(Duration::from_millis(20));
    let client = builder.retry(RetryPolicy::never()).build().unwrap();
    let silence = client.v3().list_endpoints(&PageRequest::new()).await;
    texts.push(silence.unwrap_err().to_string());
    texts.push(
        client
            .v3()
            .delete_endpoint(&"".into())
            .await
            .unwrap_err()
            .to_string(),
    );
    texts.push(IdempotencyKey::new("").unwrap_err().to_string());
    for (key, url, user_agent) in [
        ("", Client::BASE_URL, "a"),
        ("k\0", Client::BASE_URL, "a"),
        ("k", "?", "a"),
        ("k", "ftp://a", "a"),
        ("k", "https://a:b@c", "a"),
        ("k", "https://a?b", "a"),
        ("k", "http://a", "a"),
        ("k", "http://127.0.0.1", "\n"),
    ] {
        let builder = Client::builder(Credentials::api_key(key)).base_url(url);
        let error = builder.user_agent(user_agent).build().unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ApiErrorKind::Config, 0));
        texts.push(error.to_string());
    }
    insta::assert_snapshot!(texts.join("\n"));
}

#[tokio::test]
async fn cause_is_in_source_and_not_in_display() {
    let error = error(Reply::ok("<html>")).await;
    let cause = error.source().unwrap().to_string();
    assert!(!error.to_string().contains(&cause), "{error}: {cause}");
    let server = Server::playing([Reply::Silence]).await;
    let builder = server.builder().timeout(Duration::from_millis(20));
    let client = builder.retry(RetryPolicy::never()).build().unwrap();
    let error = client.v1().list_event_names().await.unwrap_err();
    assert!(error.is_timeout() && error.source().is_some());
}

/// As of a server that is gone: nothing refuses the connection.
// Elsewhere a full queue refuses connections.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn address_that_does_not_answer_is_a_timeout() {
    use tokio::net::{TcpSocket, TcpStream};
    use tokio::time::timeout;

    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(1).unwrap();
    let silent = full.local_addr().unwrap();
    // No one accepts: once the queue is full, the system does not answer.
    let mut waiting = Vec::new();
    while let Ok(Ok(client)) = timeout(Duration::from_millis(500), TcpStream::connect(silent)).await
    {
        waiting.push(client);
        assert!(waiting.len() < 100, "the queue is never full");
    }
    let client = Client::builder(Credentials::api_key("k"))
        .base_url(format!("http://{silent}"))
        .timeout(Duration::from_millis(50))
        .retry(RetryPolicy::never())
        .build()
        .unwrap();
    // Two timers end at the same moment, and either may be noticed first.
    for _ in 0..10 {
        let error = client.v1().list_event_names().await.unwrap_err();
        assert!(error.is_timeout() && error.source().is_some(), "{error:?}");
        assert!(!error.outcome_unknown(), "nothing was sent");
        assert!(error.to_string().starts_with("no connection"), "{error}");
    }
}

#[tokio::test]
async fn handshake_without_an_answer_is_a_timeout_and_sends_nothing() {
    // The system connects, and no one speaks.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::builder(Credentials::api_key("k"))
        .base_url(format!("https://{}", silent.local_addr().unwrap()))
        .timeout(Duration::from_millis(50))
        .retry(RetryPolicy::default().with_initial_delay(Duration::ZERO))
        .build()
        .unwrap();
    let new = v1::NewEndpoint::new("u");
    let error = client.v1().add_endpoint(&new).await.unwrap_err();
    assert!(error.is_timeout() && !error.outcome_unknown(), "{error:?}");
    assert_eq!(error.attempts(), 3, "sending it again is safe");
}

#[test]
fn errors_and_operations_cross_threads() {
    fn check<T: Send>(_: &T) {}
    fn check_error<T: Error + Send + Sync + 'static>() {}
    check_error::<ApiError>();
    let client = Client::builder(Credentials::api_key("k"))
        .base_url("http://127.0.0.1:9")
        .timeout(AMPLE)
        .build()
        .unwrap();
    let new = NewEndpoint::new("u");
    check(&client.v3().create_endpoint(&new));
    check(&client.v1().list_endpoints());
}
