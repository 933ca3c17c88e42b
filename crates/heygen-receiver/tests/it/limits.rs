//! How much is taken of a body, and for how long.

use std::time::Duration;

use heygen_inbox::MemoryInbox;
use tokio::io::AsyncWriteExt as _;

use crate::client::{Client, ask, post, probe, request, sign, signed};
use crate::support::{
    Fault, PATH, Tampered, body, body_of_len, count, start, until, within_patience,
};

/// Short enough to wait for.
const SHORT: Duration = Duration::from_millis(40);

#[tokio::test]
async fn a_declared_length_is_refused_before_a_byte_is_sent() {
    let server = start(MemoryInbox::new(), |limits| limits.max_body_bytes = 1000).await;
    for len in ["1001", "9223372036854775807"] {
        let mut client = Client::connect(server.address).await;
        let headers = [("Content-Length", len), ("Expect", "100-continue")];
        let answer = client.ask(request("POST", PATH, &headers)).await;
        assert_eq!(answer.status, 413);
        assert_eq!(answer.header("connection"), Some("close"));
        // Our side is shut; the other may still send for a while, and is not reset.
        drop(client);
    }
}

#[tokio::test]
async fn body_that_the_inbox_cannot_hold_is_rejected_for_its_length() {
    let server = start(Tampered::new(Fault::TakesUpTo(1000)), |_| {}).await;
    let mut client = Client::connect(server.address).await;
    let answer = client.ask(signed(body_of_len(1000))).await;
    assert_eq!(answer.verdict(), "accepted");
    assert_eq!(client.ask(signed(body_of_len(1001))).await.status, 413);
}

#[tokio::test]
async fn client_that_still_sends_can_read_the_response() {
    let server = start(MemoryInbox::new(), |limits| limits.max_body_bytes = 1000).await;
    let large = "x".repeat(5 * 1024 * 1024);
    let elsewhere = [b"POST /x".as_slice(), &post(&large, &[])[5 + PATH.len()..]].concat();
    for (request, status) in [
        (post(&large, &[]), 413),
        (post(&large, &[("Content-Encoding", "gzip")]), 415),
        (elsewhere, 404),
    ] {
        let mut client = Client::connect(server.address).await;
        // All of it, before the answer is looked at.
        client.send(request).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(client.rest().await, b"");
    }
}

#[tokio::test]
async fn expect_continue_is_answered() {
    let server = start(MemoryInbox::new(), |_| {}).await;
    let body = body("a");
    let signature = sign(body.as_bytes());
    let len = body.len().to_string();
    let headers = [
        ("Content-Length", len.as_str()),
        ("Expect", "100-continue"),
        ("Signature", &signature),
    ];
    let mut client = Client::connect(server.address).await;
    client.send(request("POST", PATH, &headers)).await;
    let mut leave = [0; 25];
    within_patience(tokio::io::AsyncReadExt::read_exact(
        &mut client.stream,
        &mut leave,
    ))
    .await
    .unwrap();
    assert_eq!(&leave, b"HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(client.ask(body).await.verdict(), "accepted");
}

#[tokio::test]
async fn a_slow_body_is_given_up() {
    let server = start(MemoryInbox::new(), |limits| limits.body_timeout = SHORT).await;
    let body = body("a");
    let full = post(&body, &[("Signature", &sign(body.as_bytes()))]);
    let mut client = Client::connect(server.address).await;
    client.send(&full[..full.len() - 1]).await;
    let answer = client.answer().await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (408, r#"{"error":"body too slow"}"#)
    );
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(client.rest().await, b"");
    assert_eq!(ask(server.address, probe()).await.status, 204);
}

#[tokio::test]
async fn truncated_body_is_rejected() {
    let inbox = MemoryInbox::new();
    let server = start(inbox.clone(), |_| {}).await;
    let body = body("a");
    // What comes is signed; what was announced is more.
    let headers = [
        ("Content-Length", "1000"),
        ("Signature", &sign(body.as_bytes())),
    ];
    let mut client = Client::connect(server.address).await;
    client
        .send([request("POST", PATH, &headers), body.clone().into_bytes()].concat())
        .await;
    client.stream.shutdown().await.unwrap();
    let rest = client.rest().await;
    assert!(
        !rest.windows(3).any(|bytes| bytes == b"200"),
        "{:?}",
        String::from_utf8_lossy(&rest)
    );
    assert_eq!(ask(server.address, probe()).await.status, 204);
    assert_eq!(count(&inbox).await, 0);
}

#[tokio::test]
async fn bodies_in_memory_have_one_bound() {
    let server = start(MemoryInbox::new(), |limits| {
        limits.max_buffered_bytes = 200_000;
    })
    .await;
    let large = body_of_len(200_000);
    let full = post(&large, &[("Signature", &sign(large.as_bytes()))]);
    let mut slow = Client::connect(server.address).await;
    slow.send(&full[..full.len() - 1]).await;
    // Of another 100,000 bytes there is no room from when those are in.
    let unsigned = post(body_of_len(100_000), &[]);
    until(async || match ask(server.address, &unsigned).await.status {
        401 => false,
        status => {
            assert_eq!(status, 503);
            true
        }
    })
    .await;
    let answer = ask(server.address, &unsigned).await;
    assert_eq!(answer.body, r#"{"error":"too busy"}"#);
    assert_eq!(answer.header("retry-after"), Some("10"));
    let small = body_of_len(16 * 1024);
    assert_eq!(
        ask(server.address, signed(small)).await.verdict(),
        "accepted",
        "for less there is"
    );

    assert_eq!(
        slow.ask(&full[full.len() - 1..]).await.verdict(),
        "accepted"
    );
    assert_eq!(
        ask(server.address, unsigned).await.status,
        401,
        "and now there is room again"
    );
}

#[tokio::test]
async fn small_bodies_pass_while_others_use_the_budget() {
    let server = start(MemoryInbox::new(), |limits| {
        limits.body_timeout = Duration::from_secs(3600);
    })
    .await;
    // One byte is missing of each: 64 of them, and then more, until there is no room for another.
    let full = post(vec![b'x'; 1024 * 1024], &[]);
    let hold = async || {
        let mut client = Client::connect(server.address).await;
        client.send(&full[..full.len() - 1]).await;
        client
    };
    let mut greedy = Vec::new();
    for _ in 0..64 {
        greedy.push(hold().await);
    }
    until(async || {
        greedy.push(hold().await);
        ask(server.address, &full).await.status == 503
    })
    .await;
    let posts: Vec<_> = (0..244)
        .map(|number| {
            let id = format!("{number}{}", "x".repeat(640));
            let request = signed(body(&id));
            let address = server.address;
            tokio::spawn(async move { ask(address, request).await })
        })
        .collect();
    for post in posts {
        assert_eq!(post.await.unwrap().verdict(), "accepted");
    }
}

#[tokio::test]
async fn headers_count_before_the_body_is_waited_for() {
    let server = start(MemoryInbox::new(), |limits| {
        limits.max_connections = 1;
        limits.max_buffered_bytes = 2000;
        limits.body_timeout = Duration::from_secs(3600);
    })
    .await;
    let long = "x".repeat(10_000);
    let lines = [
        [("X", "y"); 95].as_slice(),
        &[("X-Long", &long), ("Content-Length", "2")],
    ];
    // Not a byte of the body is sent.
    let answer = ask(server.address, request("POST", PATH, &lines.concat())).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (503, r#"{"error":"too busy"}"#)
    );
    let few = [("X-Long", long.as_str()), ("Content-Length", "2")];
    let mut client = Client::connect(server.address).await;
    client.send(request("POST", PATH, &few)).await;
    assert_eq!(
        client.ask("{}").await.status,
        401,
        "for these there is room"
    );
}

#[tokio::test]
async fn commit_timeout_is_answered_503() {
    let inbox = Tampered::new(Fault::Hangs);
    let body = body_of_len(150_000);
    let server = start(inbox, |limits| {
        limits.commit_timeout = SHORT;
        limits.max_buffered_bytes = 200_000;
    })
    .await;
    let answer = ask(server.address, signed(&body)).await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("10"))
    );
    assert_eq!(answer.body, r#"{"error":"could not be stored"}"#);
    // The inbox still holds it, so that the bound still counts it.
    let answer = ask(server.address, signed(&body)).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (503, r#"{"error":"too busy"}"#)
    );
}
