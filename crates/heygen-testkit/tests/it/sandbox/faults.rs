//! Calls of the API that go wrong on request.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Heygen, answered};
use heygen_testkit::sandbox::{Fault, Misbehaviour, Operation};

const LIST: &str = "/v3/webhooks/endpoints";
const V1_LIST: &str = "/v1/webhook/endpoint.list";

#[tokio::test]
async fn rate_limit_has_retry_after_and_ends() {
    let heygen = Heygen::start().await;
    let fault = Fault::refuse(429)
        .on(Operation::List)
        .times(2)
        .retry_after(7);
    heygen.misbehave(Misbehaviour::default().fault(fault));
    // Other operations are not concerned, and use nothing up.
    assert_eq!(heygen.get("/v3/webhooks/events").await.status, 200);
    for _ in 0..2 {
        let limited = heygen.get(LIST).await;
        assert_eq!(limited.status, 429);
        assert_eq!(limited.headers["retry-after"], "7");
        assert_eq!(
            limited.body,
            json!({"error": {
                "code": "rate_limit_exceeded",
                "message": "The sandbox was configured to reject this call.",
                "doc_url": "https://developers.heygen.com/docs/error-codes#rate-limit-exceeded",
            }})
        );
    }
    assert_eq!(heygen.get(LIST).await.status, 200);
}

/// A refusal of the next call of any operation: the code of v3, and `Retry-After`.
async fn check(fault: Fault, path: &str, status: u16, code: Value, retry_after: Option<&str>) {
    let heygen = Heygen::start().await;
    heygen.misbehave(Misbehaviour::default().fault(fault));
    let answer = heygen.get(path).await;
    assert_eq!(answer.status, status);
    let got = answer.body.get("error").map(|error| error["code"].clone());
    assert_eq!(got.unwrap_or_default(), code);
    let header = answer.headers.get("retry-after");
    assert_eq!(header.map(|value| value.to_str().unwrap()), retry_after);
    assert_eq!(heygen.get(path).await.status, 200);
}

#[tokio::test]
async fn status_has_its_documented_code() {
    let limited = "rate_limit_exceeded";
    check(Fault::refuse(429), LIST, 429, json!(limited), Some("1")).await;
    check(Fault::refuse(500), LIST, 500, json!("internal_error"), None).await;
    check(
        Fault::refuse(504),
        LIST,
        504,
        json!("gateway_timeout"),
        None,
    )
    .await;
    check(Fault::refuse(403), LIST, 403, json!("forbidden"), None).await;
    check(Fault::refuse(503), LIST, 503, Value::Null, None).await;
    let with_time = Fault::refuse(503).retry_after(3);
    check(with_time, LIST, 503, Value::Null, Some("3")).await;
    check(Fault::refuse(429), V1_LIST, 429, Value::Null, Some("1")).await;
    check(Fault::refuse(42), LIST, 500, json!("internal_error"), None).await;
}

#[tokio::test]
async fn fault_can_have_any_body() {
    let heygen = Heygen::start().await;
    let page = Fault::refuse(502).body("<html>bad gateway</html>");
    let v1 = Fault::refuse(500).body(r#"{"code":400562,"message":"no"}"#);
    heygen.misbehave(Misbehaviour::default().fault(page).fault(v1));
    let response = heygen.request(&format!("GET {LIST}")).send().await.unwrap();
    assert_eq!(response.status(), 502);
    assert!(!response.headers().contains_key("content-type"));
    assert_eq!(response.text().await.unwrap(), "<html>bad gateway</html>");
    let answer = heygen.get(V1_LIST).await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.body, json!({"code": 400_562, "message": "no"}));
}

#[tokio::test]
async fn rejected_operation_is_not_carried_out() {
    let heygen = Heygen::start().await;
    heygen.misbehave(Misbehaviour::default().fault(Fault::refuse(500)));
    let body = json!({"url": "https://example.com"});
    let refused = heygen.call("POST /v3/webhooks/endpoints", body).await;
    assert_eq!(refused.status, 500);
    assert!(heygen.endpoints().is_empty());
}

#[tokio::test]
async fn cut_off_answer_follows_the_operation() {
    let heygen = Heygen::start().await;
    let operation = "POST /v1/webhook/endpoint.add";
    heygen.misbehave(Misbehaviour::default().fault(Fault::cut_off().on(Operation::V1Add)));
    let request = heygen
        .request(operation)
        .body(r#"{"url":"https://example.com"}"#);
    let mut response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let promised = response.content_length().unwrap();
    let half = response.chunk().await.unwrap().unwrap();
    assert_eq!(half.len() as u64, promised / 2);
    assert!(half.starts_with(b"{\"code\": 100"));
    assert!(response.chunk().await.is_err());
    assert_eq!(heygen.endpoints().len(), 1);
    assert_eq!(heygen.get(V1_LIST).await.status, 200);
}

#[tokio::test]
async fn slow_answer_follows_the_operation() {
    let heygen = Heygen::start().await;
    let delay = Duration::from_millis(50);
    heygen.misbehave(Misbehaviour::default().fault(Fault::slow(delay)));
    let begun = Instant::now();
    let request = heygen.request("POST /v3/webhooks/endpoints");
    let answer = answered(request.body(r#"{"url":"https://example.com"}"#)).await;
    assert_eq!(answer.status, 200);
    assert!(begun.elapsed() >= delay);

    // A client that does not wait so long has made an endpoint all the same.
    heygen.misbehave(Misbehaviour::default().fault(Fault::slow(super::AMPLE)));
    let request = heygen.request("POST /v3/webhooks/endpoints");
    let request = request.body(r#"{"url":"https://example.com"}"#);
    let impatient = tokio::spawn(answered(request));
    while heygen.endpoints().len() < 2 {
        tokio::task::yield_now().await;
    }
    assert!(!impatient.is_finished());
    impatient.abort();
}

#[tokio::test]
async fn api_key_is_checked_before_faults() {
    let heygen = Heygen::start().await;
    heygen.misbehave(Misbehaviour::default().fault(Fault::refuse(500)));
    let list = format!("GET {LIST}");
    assert_eq!(answered(heygen.keyless(&list)).await.status, 401);
    assert_eq!(heygen.get(LIST).await.status, 500);
}
