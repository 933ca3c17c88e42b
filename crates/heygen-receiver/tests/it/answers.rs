//! Every row of the table of answers.

use heygen_inbox::{InboxAdmin as _, InboxErrorKind, MemoryInbox, Query};
use heygen_receiver::{ActiveSecrets, DispatchOptions, Dispatcher};
use heygen_testkit::{Sender, fixtures};

use crate::client::{Client, ask, post, probe, request, sign, signed, signed_in_chunks};
use crate::support::{
    Fault, PATH, Tampered, body, body_of_len, count, secret, start, start_with, until,
};

const ALLOW: &str = "POST, OPTIONS, GET, HEAD";

#[tokio::test]
async fn every_row_of_the_table_of_responses() {
    let server = start(MemoryInbox::new(), |limits| limits.max_body_bytes = 100).await;
    let body = body("a");
    let signature = sign(body.as_bytes());
    let encoded = |encoding| {
        post(
            &body,
            &[("Signature", &signature), ("Content-Encoding", encoding)],
        )
    };
    let of_other_body = sign(b"{}");
    let with_query = format!("{PATH}?token=1");
    let cases = [
        ("probe", probe(), 204, ""),
        ("GET", request("GET", PATH, &[]), 204, ""),
        ("HEAD", request("HEAD", PATH, &[]), 204, ""),
        (
            "with a query",
            request("OPTIONS", &with_query, &[]),
            204,
            "",
        ),
        (
            "as browsers ask",
            request("OPTIONS", PATH, &[("Origin", "https://a.b")]),
            204,
            "",
        ),
        ("new", signed(&body), 200, "accepted"),
        ("seen before", signed(&body), 200, "duplicate"),
        (
            "seen before, in chunks",
            signed_in_chunks(&body, 7),
            200,
            "duplicate",
        ),
        ("not JSON", signed("not json"), 200, "accepted"),
        ("not JSON again", signed("not json"), 200, "duplicate"),
        ("not UTF-8", signed(b"\xff\x00"), 200, "accepted"),
        ("empty", signed(""), 200, "accepted"),
        (
            "unknown event",
            signed(r#"{"event_type":"somebody.new","event_data":7}"#),
            200,
            "accepted",
        ),
        (
            "payload that does not fit",
            signed(r#"{"event_type":"avatar_video.fail","event_data":[]}"#),
            200,
            "accepted",
        ),
        ("no signature", post(&body, &[]), 401, "not authorized"),
        (
            "malformed signature",
            post(&body, &[("Signature", "?")]),
            401,
            "not authorized",
        ),
        (
            "signature of another body",
            post(&body, &[("Signature", &of_other_body)]),
            401,
            "not authorized",
        ),
        ("other path", request("GET", "/", &[]), 404, "not found"),
        (
            "with a final slash",
            request("OPTIONS", "/webhooks/heygen/", &[]),
            204,
            "",
        ),
        (
            "with a final slash and a query, signed",
            signed_to("/webhooks/heygen/?token=1", &body),
            200,
            "duplicate",
        ),
        (
            "longer path",
            request("POST", "/webhooks/heygen/x", &[("Content-Length", "0")]),
            404,
            "not found",
        ),
        (
            "two slashes, signed",
            signed_to("/webhooks//heygen", &body),
            404,
            "not found",
        ),
        (
            "other path, signed",
            signed_to("/x", &body),
            404,
            "not found",
        ),
        (
            "other method",
            request("PUT", PATH, &[]),
            405,
            "method not allowed",
        ),
        (
            "another method",
            request("DELETE", PATH, &[]),
            405,
            "method not allowed",
        ),
        (
            "own method",
            request("BREW", PATH, &[]),
            405,
            "method not allowed",
        ),
        (
            "other path and method",
            request("PUT", "/", &[]),
            404,
            "not found",
        ),
        ("at the limit", signed(body_of_len(100)), 200, "accepted"),
        ("one over", signed(body_of_len(101)), 413, "body too large"),
        (
            "one over, unsigned",
            post(body_of_len(101), &[]),
            413,
            "body too large",
        ),
        (
            "one over, in chunks",
            signed_in_chunks(&body_of_len(101), 40),
            413,
            "body too large",
        ),
        (
            "compressed",
            encoded("gzip"),
            415,
            "encoded bodies are not accepted",
        ),
        (
            "compressed twice",
            encoded("identity, br"),
            415,
            "encoded bodies are not accepted",
        ),
        ("not compressed", encoded("identity"), 200, "duplicate"),
        ("a charset", encoded("UTF-8"), 200, "duplicate"),
        ("another charset", encoded("iso-8859-1"), 200, "duplicate"),
        ("no coding", encoded(""), 200, "duplicate"),
        (
            "an unknown coding",
            encoded("x-pack"),
            415,
            "encoded bodies are not accepted",
        ),
        (
            "many headers",
            post(&body, &[("X", "y"); 98]),
            401,
            "not authorized",
        ),
        (
            "too many headers",
            post(&body, &[("X", "y"); 99]),
            431,
            "too many headers",
        ),
    ];
    for (name, request, status, says) in cases {
        let answer = ask(server.address, &request).await;
        assert_eq!(answer.status, status, "{name}: {answer:?}");
        match status {
            204 => assert_eq!(answer.body, "", "{name}"),
            200 => {
                assert_eq!(answer.verdict(), says, "{name}");
                assert_eq!(
                    answer.header("content-type"),
                    Some("application/json"),
                    "{name}"
                );
            }
            _ => {
                assert_eq!(answer.body, format!(r#"{{"error":"{says}"}}"#), "{name}");
                assert_eq!(
                    answer.header("content-type"),
                    Some("application/json"),
                    "{name}"
                );
            }
        }
        let allow = matches!(status, 204 | 405).then_some(ALLOW);
        assert_eq!(answer.header("allow"), allow, "{name}");
        assert_eq!(answer.header("retry-after"), None, "{name}");
    }
}

/// The same delivery to another address.
fn signed_to(path: &str, body: &str) -> Vec<u8> {
    let signed = signed(body);
    [b"POST ", path.as_bytes(), &signed[5 + PATH.len()..]].concat()
}

#[tokio::test]
async fn receiver_that_cannot_store_answers_retry_after() {
    let check = async |name, secrets: ActiveSecrets, inbox: Tampered, says| {
        let server = start_with(secrets, inbox.clone(), |limits| {
            limits.retry_after = std::time::Duration::from_secs(7);
        })
        .await;
        let answer = ask(server.address, signed(body("a"))).await;
        assert_eq!(answer.status, 503, "{name}");
        assert_eq!(answer.header("retry-after"), Some("7"), "{name}");
        assert_eq!(answer.body, format!(r#"{{"error":"{says}"}}"#), "{name}");
        assert_eq!(ask(server.address, probe()).await.status, 204, "{name}");
        assert_eq!(count(&inbox).await, 0, "{name}");
    };
    let fails = |kind| Tampered::new(Fault::Fails(kind));
    let storage = fails(InboxErrorKind::Storage);
    check(
        "no secret",
        ActiveSecrets::none(),
        storage.clone(),
        "not ready yet",
    )
    .await;
    check("no disk", secret().into(), storage, "could not be stored").await;
    check(
        "closed",
        secret().into(),
        fails(InboxErrorKind::Closed),
        "could not be stored",
    )
    .await;
    check(
        "busy",
        secret().into(),
        fails(InboxErrorKind::Busy),
        "too busy",
    )
    .await;
}

#[tokio::test]
async fn accepted_deliveries_are_stored_as_sent() {
    let inbox = MemoryInbox::new();
    let server = start(inbox.clone(), |_| {}).await;
    let body = body("a");
    let signature = sign(body.as_bytes());
    let request = post(
        &body,
        &[
            ("Signature", &signature),
            ("Authorization", "Bearer hidden"),
            ("Cookie", "hidden"),
            ("Heygen-Event-Id", "evt_1"),
        ],
    );
    let accepted = ask(server.address, &request).await;
    let listed = inbox.list(Query::default()).await.unwrap();
    let id = listed[0].id;
    assert_eq!(
        accepted.body,
        format!(r#"{{"status":"accepted","id":"{id}"}}"#)
    );
    let duplicate = ask(server.address, &request).await;
    assert_eq!(
        duplicate.body,
        format!(r#"{{"status":"duplicate","id":"{id}"}}"#)
    );

    let stored = inbox.get(id).await.unwrap().unwrap();
    assert_eq!(stored.body, body);
    let headers: Vec<_> = stored
        .headers
        .iter()
        .map(|header| (header.name.as_str(), header.value.as_str()))
        .collect();
    assert_eq!(
        headers,
        [
            ("signature", signature.as_str()),
            ("heygen-event-id", "evt_1")
        ]
    );
}

#[tokio::test]
async fn connections_are_reused_and_requests_answered_in_order() {
    let server = start(MemoryInbox::new(), |_| {}).await;
    let mut client = Client::connect(server.address).await;
    for (request, status) in [
        (signed(body("a")), 200),
        (request("HEAD", PATH, &[]), 204),
        (post(body("a"), &[]), 401),
        (request("GET", "/", &[]), 404),
        (signed_in_chunks(&body("b"), 3), 200),
        (probe(), 204),
    ] {
        let answer = client.ask(request).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("connection"), None);
    }
    // All at once, before any answer is read.
    let requests = [
        signed(body("c")),
        probe(),
        signed(body("c")),
        post(body("c"), &[]),
        signed("x"),
    ];
    client.send(requests.concat()).await;
    assert_eq!(client.answer().await.verdict(), "accepted");
    assert_eq!(client.answer().await.status, 204);
    assert_eq!(client.answer().await.verdict(), "duplicate");
    assert_eq!(client.answer().await.status, 401);
    assert_eq!(client.answer().await.verdict(), "accepted");
}

#[tokio::test]
async fn every_sample_is_stored_and_dispatched_once() {
    let inbox = MemoryInbox::new();
    let server = start(inbox.clone(), |_| {}).await;
    let url = format!("http://{}{PATH}", server.address);
    let sender = Sender::new(url).secret(secret()).duplicates(2);
    assert!(sender.probe().await.unwrap().passed());
    let mut bodies = std::collections::HashSet::new();
    for fixture in fixtures::samples() {
        let report = sender.deliver(fixture.body).await.unwrap();
        assert!(report.accepted(), "{}", fixture.event_type);
        for again in report.duplicates() {
            let answer = again.result.as_ref().unwrap();
            assert!(
                answer.text().contains("duplicate"),
                "{}",
                fixture.event_type
            );
        }
        assert!(
            !sender
                .clone()
                .tampered()
                .deliver(fixture.body)
                .await
                .unwrap()
                .accepted()
        );
        bodies.insert(fixture.body);
    }
    assert_eq!(count(&inbox).await, bodies.len());

    let (handled, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let handler = move |delivery: heygen_receiver::Delivery| {
        let handled = handled.clone();
        async move {
            handled
                .send(delivery.body().clone())
                .map_err(|error| error.to_string())
        }
    };
    let dispatcher = Dispatcher::with(inbox.clone(), handler, DispatchOptions::default());
    let dispatching = tokio::spawn(dispatcher.run(std::future::pending()));
    for _ in 0..bodies.len() {
        let body = crate::support::within_patience(seen.recv()).await.unwrap();
        assert!(
            bodies.remove(std::str::from_utf8(&body).unwrap()),
            "dispatched once"
        );
    }
    until(async || {
        let done = Query::default().state(heygen_inbox::State::Acknowledged);
        inbox.list(done).await.unwrap().len() == count(&inbox).await
    })
    .await;
    dispatching.abort();
}
