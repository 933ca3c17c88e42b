//! The sender over a real socket.

use std::time::Duration;

use bytes::Bytes;
use heygen_signature::{HEYGEN_SIGNATURE, Secret, Secrets, verify};
use heygen_testkit::{
    Answer, AttemptErrorKind, EventBuilder, RetryPolicy, SendErrorKind, Sender, signed_request,
};
use http::{Method, Response};
use http_body_util::{BodyExt, Full};
use tokio::net::TcpListener;

use crate::server::{Seen, Server};

/// Long enough for a busy machine; nothing waits for it.
const AMPLE: Duration = Duration::from_secs(60);

fn secret() -> Secret {
    Secret::new("whsec_test").unwrap()
}

fn sender(server: &Server) -> Sender {
    Sender::new(&server.url)
        .secret(secret())
        .timeout(AMPLE)
        .probe_timeout(AMPLE)
}

fn no_waiting(attempts: u32) -> RetryPolicy {
    RetryPolicy::default()
        .with_scale(0.0)
        .with_max_attempts(attempts)
}

fn verifies(seen: &Seen) -> bool {
    let pairs = seen
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    verify(pairs, &seen.body, &Secrets::from(secret())).is_ok()
}

#[tokio::test]
async fn probe_is_an_unsigned_options_request() {
    let server = Server::with_statuses(&[204]).await;
    let report = sender(&server).probe().await.unwrap();
    assert!(report.passed());
    assert_eq!(report.attempt().status().unwrap(), 204);
    let [seen] = &server.seen()[..] else {
        panic!("one request");
    };
    assert_eq!(
        (&seen.method, seen.path.as_str()),
        (&Method::OPTIONS, "/webhooks/heygen")
    );
    assert!(!seen.headers.contains_key("signature"));
    assert!(seen.body.is_empty());
}

#[tokio::test]
async fn probe_passes_with_2xx() {
    for (statuses, passes) in [
        (&[200_u16], true),
        (&[301], false),
        (&[405], false),
        (&[500], false),
    ] {
        let server = Server::with_statuses(statuses).await;
        assert_eq!(
            sender(&server).probe().await.unwrap().passed(),
            passes,
            "{statuses:?}"
        );
        assert_eq!(server.seen().len(), 1, "redirects are not followed");
    }
}

#[tokio::test]
async fn probe_without_an_answer_fails() {
    let server = Server::start(|_| None).await;
    let sender = sender(&server).probe_timeout(Duration::from_millis(20));
    let report = sender.probe().await.unwrap();
    assert!(!report.passed());
    assert!(report.attempt().result.as_ref().unwrap_err().is_timeout());
    assert!(report.attempt().duration >= Duration::from_millis(20));
}

#[test]
fn default_timeouts_are_those_of_heygen() {
    assert_eq!(Sender::PROBE_TIMEOUT, Duration::from_secs(1));
    assert_eq!(Sender::TIMEOUT, Duration::from_secs(10));
}

#[tokio::test]
async fn delivery_is_signed_over_the_sent_bytes() {
    let server = Server::with_statuses(&[200]).await;
    for body in [
        EventBuilder::new("avatar_video.success").body(),
        EventBuilder::new("avatar_video.success").spaced_body(),
        Bytes::new(),
    ] {
        let report = sender(&server).deliver(body.clone()).await.unwrap();
        assert!(report.accepted());
        let seen = server.seen().pop().unwrap();
        assert_eq!(seen.method, Method::POST);
        assert_eq!(seen.headers["content-type"], "application/json");
        assert_eq!(seen.body, body);
        assert!(verifies(&seen));
    }
}

#[tokio::test]
async fn report_has_the_answer() {
    let server = Server::with_statuses(&[401]).await;
    let report = sender(&server).deliver("{}").await.unwrap();
    assert!(!report.accepted());
    assert_eq!(
        report.attempts().len(),
        1,
        "one attempt unless a policy says more"
    );
    let answer = report.answer().unwrap();
    assert_eq!(
        (answer.status.as_u16(), answer.text().as_str()),
        (401, "answer 0")
    );
}

#[tokio::test]
async fn delivery_is_retried_until_accepted() {
    let server = Server::with_statuses(&[503, 500, 202, 200]).await;
    let body = EventBuilder::new("video_agent.fail").body();
    let report = sender(&server)
        .retry(no_waiting(10))
        .deliver(body.clone())
        .await
        .unwrap();
    assert!(report.accepted());
    let statuses: Vec<_> = report
        .attempts()
        .iter()
        .map(|attempt| attempt.status().unwrap().as_u16())
        .collect();
    assert_eq!(statuses, [503, 500, 202]);
    assert_eq!(report.answer().unwrap().text(), "answer 2");
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|seen| verifies(seen) && seen.body == body));
}

#[tokio::test]
async fn delivery_ends_with_its_retry_policy() {
    let server = Server::with_statuses(&[503]).await;
    let report = sender(&server)
        .retry(no_waiting(4))
        .duplicates(3)
        .deliver("{}")
        .await
        .unwrap();
    assert!(!report.accepted());
    assert_eq!(report.attempts().len(), 4);
    assert!(report.duplicates().is_empty(), "no one has it yet");
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn timeout_counts_as_a_failed_attempt() {
    let server = Server::start(|index| (index > 0).then(Response::default)).await;
    let sender = sender(&server)
        .timeout(Duration::from_millis(200))
        .retry(no_waiting(50));
    let report = sender.deliver("{}").await.unwrap();
    assert!(report.accepted());
    assert!(
        report.attempts()[0]
            .result
            .as_ref()
            .unwrap_err()
            .is_timeout()
    );
}

#[tokio::test]
async fn duplicates_have_the_same_bytes() {
    let server = Server::with_statuses(&[500, 200]).await;
    let body = EventBuilder::new("batch.finished").body();
    let report = sender(&server)
        .retry(no_waiting(2))
        .duplicates(2)
        .deliver(body.clone())
        .await
        .unwrap();
    assert_eq!((report.attempts().len(), report.duplicates().len()), (2, 2));
    let seen = server.seen();
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|seen| verifies(seen) && seen.body == body));
}

#[tokio::test]
async fn signature_header_name_can_be_set() {
    let server = Server::with_statuses(&[200]).await;
    sender(&server)
        .header_name("Heygen-Signature")
        .deliver("{}")
        .await
        .unwrap();
    let seen = server.seen().pop().unwrap();
    assert!(verifies(&seen));
    assert!(seen.headers.contains_key(HEYGEN_SIGNATURE) && !seen.headers.contains_key("signature"));

    sender(&server)
        .header_name("X-HeyGen-Signature")
        .deliver("{}")
        .await
        .unwrap();
    let seen = server.seen().pop().unwrap();
    assert!(!verifies(&seen));
    assert!(seen.headers.contains_key("x-heygen-signature"));
}

#[tokio::test]
async fn unsigned_delivery_has_no_signature_header() {
    let server = Server::with_statuses(&[200]).await;
    sender(&server).unsigned().deliver("{}").await.unwrap();
    let seen = server.seen().pop().unwrap();
    assert!(
        seen.headers
            .keys()
            .all(|name| !name.as_str().contains("signature"))
    );
}

#[track_caller]
fn check_tampered(seen: &Seen, body: &str) {
    assert_eq!(seen.body, body);
    assert!(seen.headers.contains_key("signature"));
    assert!(!verifies(seen));
}

#[tokio::test]
async fn tampered_delivery_has_the_signature_of_the_original_body() {
    let server = Server::with_statuses(&[401]).await;
    for (body, altered) in [
        (r#"{"a":1}"#, r#"{"tampered":true,"a":1}"#),
        ("{}", r#"{"tampered":true}"#),
        ("{ }", r#"{"tampered":true }"#),
        ("[]", "[] "),
        ("", " "),
    ] {
        sender(&server).tampered().deliver(body).await.unwrap();
        check_tampered(&server.seen().pop().unwrap(), altered);
    }
}

#[tokio::test]
async fn long_answer_is_truncated() {
    let long = "x".repeat(Answer::MAX_BODY_BYTES + 1);
    let server = Server::start(move |_| Some(Response::new(Full::from(long.clone())))).await;
    let report = sender(&server).deliver("{}").await.unwrap();
    assert!(report.accepted());
    assert_eq!(report.answer().unwrap().body.len(), Answer::MAX_BODY_BYTES);
}

#[tokio::test]
async fn hanging_up_drops_the_answer_and_retries() {
    let server = Server::with_statuses(&[200]).await;
    let sender = sender(&server).retry(no_waiting(3)).hanging_up();
    let report = sender.deliver("{}").await.unwrap();
    assert!(!report.accepted());
    assert_eq!(report.attempts().len(), 3);
    for attempt in report.attempts() {
        let error = attempt.result.as_ref().unwrap_err();
        assert_eq!(error.kind(), AttemptErrorKind::Dropped);
    }
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn header_and_to_change_a_delivery() {
    let server = Server::with_statuses(&[200]).await;
    let other = Server::with_statuses(&[200]).await;
    let sender = sender(&server)
        .header("Heygen-Event-Id", "evt_1")
        .to(&other.url);
    assert!(sender.deliver("{}").await.unwrap().accepted());
    assert!(server.seen().is_empty());
    let seen = other.seen().pop().unwrap();
    assert_eq!(seen.headers["heygen-event-id"], "evt_1");
    assert!(verifies(&seen));
}

#[tokio::test]
async fn refused_connection_is_in_the_report() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/?token=private", listener.local_addr().unwrap());
    drop(listener);
    let report = Sender::new(url).timeout(AMPLE).deliver("{}").await.unwrap();
    let error = report.attempts()[0].result.as_ref().unwrap_err();
    assert_eq!(error.kind(), AttemptErrorKind::Connect);
    assert!(!format!("{error:?}").contains("private"), "{error:?}");
}

#[track_caller]
fn check_kind(result: Result<impl Sized, heygen_testkit::SendError>, expected: SendErrorKind) {
    assert_eq!(result.err().map(|error| error.kind()), Some(expected));
}

#[tokio::test]
async fn misconfigured_sender_is_an_error() {
    check_kind(Sender::new("").deliver("{}").await, SendErrorKind::Url);
    check_kind(
        Sender::new("/webhooks/heygen").probe().await,
        SendErrorKind::Url,
    );
    check_kind(
        Sender::new("ftp://127.0.0.1/").probe().await,
        SendErrorKind::Scheme,
    );
    let sender = Sender::new("http://127.0.0.1/")
        .secret(secret())
        .header_name("a header");
    check_kind(sender.deliver("{}").await, SendErrorKind::HeaderName);
    if !cfg!(feature = "tls") {
        check_kind(
            Sender::new("https://127.0.0.1/").probe().await,
            SendErrorKind::Scheme,
        );
    }
}

/// The listener speaks no TLS, so the attempt fails, but only after the client was set up and had
/// tried.
#[cfg(feature = "tls")]
#[tokio::test]
async fn https_needs_the_feature_tls() {
    let server = Server::with_statuses(&[200]).await;
    let url = server.url.replace("http://", "https://");
    let report = Sender::new(url).timeout(AMPLE).deliver("{}").await.unwrap();
    assert!(!report.accepted());
    assert_eq!(
        report.attempts()[0].result.as_ref().unwrap_err().kind(),
        AttemptErrorKind::Connect
    );
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn signed_request_equals_what_the_sender_sends() {
    let server = Server::with_statuses(&[200]).await;
    let body = EventBuilder::new("personalized_video").body();
    sender(&server).deliver(body.clone()).await.unwrap();
    let sent = server.seen().pop().unwrap();

    let (head, full) = signed_request("/webhooks/heygen", body, &secret()).into_parts();
    assert_eq!(
        (head.method, head.uri.path()),
        (sent.method.clone(), sent.path.as_str())
    );
    for name in ["content-type", "signature"] {
        assert_eq!(head.headers[name], sent.headers[name]);
    }
    assert_eq!(full.collect().await.unwrap().to_bytes(), sent.body);
}
