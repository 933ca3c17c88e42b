//! What is sent again, how often, when, and with which key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use heygen_api::v3::{EndpointUpdate, NewEndpoint};
use heygen_api::{
    ApiError, ApiErrorKind, Client, Credentials, EndpointId, IdempotencyKey, PageRequest,
    RetryPolicy, Subscription, v1,
};
use tokio::net::TcpListener;

use crate::answers::{V1_GONE, V1_LIST, V3_DELETED, V3_ENDPOINT, V3_LIST, V3_ROTATED, v1_endpoint};
use crate::server::{AMPLE, Reply, Server};

/// Every way in which an operation can be repeated, or not.
#[derive(Clone, Copy, Debug)]
enum Op {
    Read,
    Update,
    Delete,
    Create,
    Rotate,
    V1Read,
    V1Update,
    V1Delete,
    V1Add,
}

impl Op {
    const ALL: [Self; 9] = [
        Self::Read,
        Self::Update,
        Self::Delete,
        Self::Create,
        Self::Rotate,
        Self::V1Read,
        Self::V1Update,
        Self::V1Delete,
        Self::V1Add,
    ];

    async fn run(self, client: &Client) -> Result<(), ApiError> {
        let id = EndpointId::from("e");
        let (v1, v3) = (client.v1(), client.v3());
        match self {
            Self::Read => v3.list_endpoints(&PageRequest::new()).await.map(drop),
            Self::Update => v3
                .update_endpoint(&id, &EndpointUpdate::url("u"))
                .await
                .map(drop),
            Self::Delete => v3.delete_endpoint(&id).await,
            Self::Create => v3.create_endpoint(&NewEndpoint::new("u")).await.map(drop),
            Self::Rotate => v3.rotate_secret(&id).await.map(drop),
            Self::V1Read => v1.list_endpoints().await.map(drop),
            Self::V1Update => {
                let update = v1::EndpointUpdate::new(id, "u", Subscription::All);
                v1.update_endpoint(&update).await.map(drop)
            }
            Self::V1Delete => v1.delete_endpoint(&id).await,
            Self::V1Add => v1.add_endpoint(&v1::NewEndpoint::new("u")).await.map(drop),
        }
    }

    fn success(self) -> Reply {
        Reply::ok(match self {
            Self::Read => V3_LIST.to_owned(),
            Self::Update | Self::Create => V3_ENDPOINT.to_owned(),
            Self::Delete | Self::V1Delete => V3_DELETED.to_owned(),
            Self::Rotate => V3_ROTATED.to_owned(),
            Self::V1Read => V1_LIST.to_owned(),
            Self::V1Update | Self::V1Add => v1_endpoint(),
        })
    }

    fn is_read(self) -> bool {
        matches!(self, Self::Read | Self::V1Read)
    }

    fn is_keyed(self) -> bool {
        matches!(self, Self::Create | Self::Rotate)
    }

    fn is_safe(self) -> bool {
        !matches!(self, Self::V1Add)
    }
}

/// Plays `failure` once and success after it: with a repetition the operation succeeds on its
/// second request.
async fn check(op: Op, failure: Reply, repeated: bool) {
    let server = Server::playing([failure.clone(), op.success()]).await;
    let result = op.run(&server.client()).await;
    assert_eq!(result.is_ok(), repeated, "{op:?} {failure:?} {result:?}");
    let expected = if repeated { 2 } else { 1 };
    assert_eq!(server.seen().len(), expected, "{op:?} {failure:?}");
    if let Err(error) = result {
        assert_eq!(error.attempts(), 1);
    }
}

async fn check_all(failure: impl Fn(Op) -> Reply, repeated: impl Fn(Op) -> bool) {
    for op in Op::ALL {
        check(op, failure(op), repeated(op)).await;
    }
}

#[tokio::test]
async fn rate_limit_is_retried_for_every_operation() {
    let answer = r#"{"error":{"code":"rate_limit_exceeded","message":"slow down"}}"#;
    check_all(|_| Reply::new(429, answer), |_| true).await;
    check_all(|_| Reply::new(429, ""), |_| true).await;
}

#[tokio::test]
async fn quota_exceeded_is_not_retried() {
    let answer = r#"{"error":{"code":"quota_exceeded","message":"none left"}}"#;
    let reply = Reply::with_headers(429, "retry-after: 0\r\n", answer);
    check_all(|_| reply.clone(), |_| false).await;
}

#[tokio::test]
async fn server_error_is_retried_where_safe() {
    for status in [500, 502, 503, 504] {
        check_all(|_| Reply::new(status, "<html>"), Op::is_safe).await;
    }
    check_all(|_| Reply::new(501, ""), |_| false).await;
}

#[tokio::test]
async fn lost_answer_is_retried_where_safe() {
    check_all(|_| Reply::nothing(), Op::is_safe).await;
    check_all(|op| op.success().cut_off(), Op::is_safe).await;
    check_all(|op| op.success().without_length().cut_off(), Op::is_safe).await;
}

#[tokio::test]
async fn request_in_progress_is_retried_with_its_key() {
    for code in ["request_in_progress", "REQUEST_IN_PROGRESS"] {
        let answer = format!(r#"{{"error":{{"code":"{code}","message":"wait"}}}}"#);
        check_all(|_| Reply::new(409, &answer), Op::is_keyed).await;
    }
    let other = r#"{"error":{"code":"conflict","message":"no"}}"#;
    check_all(|_| Reply::new(409, other), |_| false).await;
}

#[tokio::test]
async fn client_error_is_not_retried() {
    for status in [400, 401, 402, 403, 404, 405, 410, 413, 422] {
        check_all(|_| Reply::new(status, "{}"), |_| false).await;
    }
    check_all(|_| Reply::ok("<html>"), |_| false).await;
    check_all(|_| Reply::ok(r#"{"code":400112}"#), |_| false).await;
}

/// A refusal whose body broke off is a refusal all the same.
#[tokio::test]
async fn status_decides_if_the_body_is_truncated() {
    for (status, kind) in [
        (404, ApiErrorKind::NotFound),
        (400, ApiErrorKind::InvalidParameter),
    ] {
        let server = Server::playing([Reply::new(status, "a long page").cut_off()]).await;
        let error = Op::Read.run(&server.client()).await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (kind, Some(status)));
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn timeout_is_retried_for_reads_and_with_a_key() {
    for op in Op::ALL {
        // Every attempt but the first is answered; on a busy machine some may be late, so there are
        // many.
        let server = Server::playing([Reply::Silence, op.success()]).await;
        let policy = RetryPolicy::default()
            .with_initial_delay(Duration::ZERO)
            .with_max_attempts(101);
        let builder = server.builder().timeout(Duration::from_millis(100));
        let client = builder.retry(policy).build().unwrap();
        match op.run(&client).await {
            Ok(()) => assert!(op.is_read() || op.is_keyed(), "{op:?}"),
            Err(error) => {
                assert!(!op.is_read() && !op.is_keyed(), "{op:?} {error:?}");
                assert!(error.is_timeout() && error.outcome_unknown());
                assert_eq!(error.attempts(), 1);
            }
        }
    }
}

#[tokio::test]
async fn refused_connection_is_retried_for_every_operation() {
    let gone = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let client = Client::builder(Credentials::api_key("k"))
        .base_url(url)
        .timeout(AMPLE)
        .retry(RetryPolicy::default().with_initial_delay(Duration::ZERO))
        .build()
        .unwrap();
    for op in Op::ALL {
        let error = op.run(&client).await.unwrap_err();
        assert_eq!(error.kind(), ApiErrorKind::Transport);
        assert_eq!(error.attempts(), 3, "{op:?}");
        assert!(!error.outcome_unknown(), "nothing was sent");
    }
}

#[tokio::test]
async fn max_attempts_ends_retries() {
    for attempts in [1, 2, 3, 6] {
        let server = Server::playing([Reply::new(503, "")]).await;
        let policy = RetryPolicy::default()
            .with_initial_delay(Duration::ZERO)
            .with_max_attempts(attempts);
        let client = server.builder().retry(policy).build().unwrap();
        let error = Op::Read.run(&client).await.unwrap_err();
        assert_eq!(error.kind(), ApiErrorKind::Server);
        assert_eq!(error.attempts(), attempts);
        assert_eq!(server.seen().len(), attempts as usize);
    }
    let server = Server::playing([Reply::new(503, "")]).await;
    let error = Op::Read.run(&server.client()).await.unwrap_err();
    assert_eq!(error.attempts(), 3, "the default");
}

#[tokio::test]
async fn every_attempt_sends_the_same_request() {
    for op in Op::ALL {
        let server =
            Server::playing([Reply::new(429, ""), Reply::new(429, ""), op.success()]).await;
        op.run(&server.client()).await.unwrap();
        let seen = server.seen();
        assert_eq!(seen.len(), 3);
        for other in &seen[1..] {
            assert_eq!(
                (&seen[0].method, &seen[0].target, &seen[0].body),
                (&other.method, &other.target, &other.body)
            );
            assert_eq!(seen[0].headers, other.headers);
        }
        let key = seen[0].headers.contains_key("idempotency-key");
        assert_eq!(key, op.is_keyed(), "{op:?}");
    }
}

#[tokio::test]
async fn each_operation_has_its_own_idempotency_key() {
    let server = Server::playing([Op::Create.success()]).await;
    let client = server.client();
    Op::Create.run(&client).await.unwrap();
    Op::Create.run(&client).await.unwrap();
    let keys: Vec<_> = server
        .seen()
        .into_iter()
        .map(|seen| seen.headers["idempotency-key"].clone())
        .collect();
    assert_eq!(keys.len(), 2);
    assert_ne!(keys[0], keys[1]);
}

/// The server keeps what it makes by key, as HeyGen does, and loses its first two answers.
#[tokio::test]
async fn creation_with_lost_answers_makes_one_endpoint() {
    type Made = Arc<Mutex<HashMap<String, String>>>;
    let made = Made::default();
    let kept = made.clone();
    let server = Server::start(move |request, index| {
        let mut made = kept.lock().unwrap();
        let next = format!(
            r#"{{"data":{{"endpoint_id":"ep_{}","url":"u","status":"enabled","created_at":"","secret":"whsec_1"}}}}"#,
            made.len()
        );
        let key = request.headers["idempotency-key"].clone();
        let answer = Reply::new(201, made.entry(key).or_insert(next));
        match index {
            0 => answer.cut_off(),
            1 => Reply::nothing(),
            _ => answer,
        }
    })
    .await;
    let new = NewEndpoint::new("u");
    let endpoint = server.client().v3().create_endpoint(&new).await.unwrap();
    assert_eq!(endpoint.endpoint_id, "ep_0");
    assert_eq!(made.lock().unwrap().len(), 1);
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn error_of_a_lost_creation_has_its_idempotency_key() {
    let server = Server::playing([
        Reply::nothing(),
        Reply::nothing(),
        Reply::nothing(),
        Op::Create.success(),
    ])
    .await;
    let client = server.client();
    let new = NewEndpoint::new("u");
    let error = client.v3().create_endpoint(&new).await.unwrap_err();
    assert!(error.outcome_unknown());
    let key: IdempotencyKey = error.idempotency_key().unwrap().clone();
    client
        .v3()
        .create_endpoint_with_key(&new, &key)
        .await
        .unwrap();
    for seen in server.seen() {
        assert_eq!(seen.headers["idempotency-key"], key.as_str());
    }
}

#[tokio::test]
async fn later_refusal_does_not_settle_an_attempt_with_lost_answer() {
    for (first, outcome_unknown) in [(Reply::nothing(), true), (Reply::new(429, ""), false)] {
        for op in Op::ALL.into_iter().filter(|op| op.is_safe()) {
            let server = Server::playing([first.clone(), Reply::new(401, "")]).await;
            let error = op.run(&server.client()).await.unwrap_err();
            assert_eq!(error.kind(), ApiErrorKind::Authentication);
            assert_eq!(error.outcome_unknown(), outcome_unknown, "{op:?}");
        }
    }
}

#[tokio::test]
async fn deletion_by_an_attempt_with_lost_answer_is_a_success() {
    let v3 = r#"{"error":{"code":"webhook_not_found","message":"no"}}"#;
    for (op, gone) in [
        (Op::Delete, v3),
        (Op::Delete, "{}"),
        (Op::V1Delete, V1_GONE),
    ] {
        let gone = || Reply::new(404, gone);
        for lost in [
            Reply::nothing(),
            op.success().cut_off(),
            Reply::new(502, ""),
        ] {
            let server = Server::playing([lost, gone()]).await;
            op.run(&server.client()).await.unwrap();
            assert_eq!(server.seen().len(), 2, "{op:?}");
        }
        // Nothing was done by these, so the endpoint was never there.
        for refused in [None, Some(Reply::new(429, ""))] {
            let replies: Vec<_> = refused.into_iter().chain([gone()]).collect();
            let server = Server::playing(replies).await;
            let error = op.run(&server.client()).await.unwrap_err();
            assert_eq!(error.kind(), ApiErrorKind::NotFound, "{op:?}");
        }
    }
    // Without v1's own code “not found” may also mean that v1 is gone.
    for gone in [
        v3,
        "",
        "{}",
        r#"{"code":400101,"message":"User not found"}"#,
    ] {
        let server = Server::playing([Reply::nothing(), Reply::new(404, gone)]).await;
        let error = Op::V1Delete.run(&server.client()).await.unwrap_err();
        assert_eq!(error.kind(), ApiErrorKind::NotFound, "{gone}");
    }
    // Another operation is not done because its endpoint is gone.
    let server = Server::playing([Reply::nothing(), Reply::new(404, V1_GONE)]).await;
    let error = Op::V1Update.run(&server.client()).await.unwrap_err();
    assert_eq!(error.kind(), ApiErrorKind::NotFound);
}

/// A policy whose own waits would outlast any test.
fn slow() -> RetryPolicy {
    let hour = Duration::from_secs(60 * 60);
    RetryPolicy::default()
        .with_initial_delay(hour)
        .with_max_delay(hour)
}

#[tokio::test]
async fn retry_after_replaces_the_backoff() {
    for headers in [
        "retry-after: 0\r\n",
        "retry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
        "date: Sun, 06 Nov 1994 08:49:37 GMT\r\nretry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
    ] {
        for status in [429, 503] {
            let failure = Reply::with_headers(status, headers, "");
            let server = Server::playing([failure, Op::Read.success()]).await;
            let client = server.builder().retry(slow()).build().unwrap();
            Op::Read.run(&client).await.unwrap();
        }
    }
}

#[tokio::test]
async fn retry_waits_for_retry_after() {
    let failure = Reply::with_headers(429, "retry-after: 1\r\n", "");
    let server = Server::playing([failure, Op::V1Add.success()]).await;
    let started = Instant::now();
    Op::V1Add.run(&server.client()).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn max_delay_limits_the_wait_and_not_the_error() {
    for (headers, told) in [
        ("retry-after: 86400\r\n", 86_400),
        (
            "date: Sun, 06 Nov 1994 08:49:37 GMT\r\nretry-after: Sun, 06 Nov 1994 08:50:37 GMT\r\n",
            60,
        ),
    ] {
        let server = Server::playing([Reply::with_headers(429, headers, "")]).await;
        let policy = RetryPolicy::default().with_max_delay(Duration::ZERO);
        let client = server.builder().retry(policy).build().unwrap();
        let error = Op::Create.run(&client).await.unwrap_err();
        assert_eq!(error.kind(), ApiErrorKind::RateLimited);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(told)));
        assert_eq!(error.attempts(), 3);
    }
}

#[tokio::test]
async fn retry_waits_for_the_backoff() {
    let server = Server::playing([Reply::new(503, "")]).await;
    let policy = RetryPolicy::default().with_initial_delay(Duration::from_millis(40));
    let client = server.builder().retry(policy).build().unwrap();
    let started = Instant::now();
    assert!(Op::Read.run(&client).await.is_err());
    // 40 and 80 ms, each times 0.75 at least.
    assert!(started.elapsed() >= Duration::from_millis(90));
}
