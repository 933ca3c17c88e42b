//! Connections that take their time, and too many of them.

use std::time::Duration;

use heygen_inbox::MemoryInbox;

use crate::client::{Client, ask, probe, request, signed};
use crate::support::{PATH, body, start, until, within_patience};

const SHORT: Duration = Duration::from_millis(40);
/// For a request that is sent at once, also on a busy machine.
const ENOUGH: Duration = Duration::from_millis(500);
const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_header_has_to_come_in_time() {
    let server = start(MemoryInbox::new(), |limits| {
        limits.header_timeout = SHORT;
        limits.keep_alive = LONG;
    })
    .await;
    let whole = probe();
    let beginnings: &[&[u8]] = &[
        b"",
        b"P",
        b"PRI * HT",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\r\n",
        &whole[..whole.len() - 1],
    ];
    for beginning in beginnings {
        let mut client = Client::connect(server.address).await;
        client.send(beginning).await;
        client.rest().await;
    }
    // The same after a request that was answered, however patient the connection is between
    // requests.
    let server = start(MemoryInbox::new(), |limits| {
        limits.header_timeout = ENOUGH;
        limits.keep_alive = LONG;
    })
    .await;
    for beginning in &beginnings[4..] {
        let mut client = Client::connect(server.address).await;
        assert_eq!(client.ask(&whole).await.status, 204);
        client.send(beginning).await;
        assert_eq!(client.rest().await, b"");
    }
}

#[tokio::test]
async fn trickling_headers_do_not_extend_the_timeout() {
    let server = start(MemoryInbox::new(), |limits| limits.header_timeout = SHORT).await;
    let mut client = Client::connect(server.address).await;
    client
        .send(request("OPTIONS", PATH, &[]).strip_suffix(b"\r\n").unwrap())
        .await;
    within_patience(async {
        loop {
            let write = tokio::io::AsyncWriteExt::write_all(&mut client.stream, b"a: b\r\n");
            if write.await.is_err() {
                return;
            }
            tokio::time::sleep(SHORT / 10).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_connection_without_requests_is_closed() {
    let server = start(MemoryInbox::new(), |limits| {
        limits.header_timeout = LONG;
        limits.keep_alive = SHORT;
    })
    .await;
    let mut client = Client::connect(server.address).await;
    assert_eq!(client.ask(signed(body("a"))).await.verdict(), "accepted");
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn client_that_has_closed_its_side_gets_its_answer() {
    let server = start(MemoryInbox::new(), |_| {}).await;
    for (request, status) in [(signed(body("a")), 200), (probe(), 204)] {
        let mut client = Client::connect(server.address).await;
        client.send(request).await;
        tokio::io::AsyncWriteExt::shutdown(&mut client.stream)
            .await
            .unwrap();
        assert_eq!(client.answer().await.status, status);
        assert_eq!(client.rest().await, b"", "then it is closed");
    }
    let mut client = Client::connect(server.address).await;
    let whole = signed(body("b"));
    client.send(&whole[..whole.len() - 1]).await;
    tokio::io::AsyncWriteExt::shutdown(&mut client.stream)
        .await
        .unwrap();
    assert_eq!(client.answer().await.status, 400, "half a body is none");
}

#[tokio::test]
async fn a_header_that_is_too_long_is_refused() {
    let server = start(MemoryInbox::new(), |_| {}).await;
    let long = "x".repeat(64 * 1024);
    assert_eq!(
        ask(server.address, request("OPTIONS", PATH, &[("X", &long)]))
            .await
            .status,
        431
    );
    // One more than there may be, and more than are counted.
    for many in [100, 200, 500] {
        let many = vec![("X", "y"); many];
        assert_eq!(
            ask(server.address, request("OPTIONS", PATH, &many))
                .await
                .status,
            431
        );
    }
    let many = vec![("X", "y"); 99];
    let answer = ask(server.address, request("OPTIONS", PATH, &many)).await;
    assert_eq!(answer.status, 204);
}

#[tokio::test]
async fn maximal_timeouts_do_not_overflow() {
    let server = start(MemoryInbox::new(), |limits| {
        limits.header_timeout = Duration::MAX;
        limits.body_timeout = Duration::MAX;
        limits.commit_timeout = Duration::MAX;
        limits.keep_alive = Duration::MAX;
        limits.shutdown_timeout = Duration::MAX;
    })
    .await;
    let mut client = Client::connect(server.address).await;
    for number in 0..3 {
        let request = signed(body(&number.to_string()));
        assert_eq!(client.ask(request).await.verdict(), "accepted");
    }
    let mut server = server;
    server.ask_to_stop();
    server.ended().await;
}

#[tokio::test]
async fn slow_connections_are_closed_for_new_requests() {
    let server = start(MemoryInbox::new(), |limits| {
        limits.max_connections = 20;
        limits.header_timeout = LONG;
        limits.keep_alive = LONG;
    })
    .await;
    let beginning = request("POST", PATH, &[("Content-Length", "2")]);
    let mut slow = Vec::new();
    for number in 0..200 {
        let mut client = Client::connect(server.address).await;
        // Some say nothing at all.
        let len = if number % 3 == 0 {
            0
        } else {
            beginning.len() - 2
        };
        client.send(&beginning[..len]).await;
        slow.push(client);
        if number % 10 == 0 {
            assert_eq!(ask(server.address, probe()).await.status, 204);
            let request = signed(body(&number.to_string()));
            let status = ask(server.address, request).await.status;
            // On a connection of the reserve it is sent away, for a while.
            assert!([200, 503].contains(&status), "{status}");
        }
    }
    // What was closed is really closed.
    let first = slow.swap_remove(0);
    assert_eq!(first.rest().await, b"");
}

#[tokio::test]
async fn bytes_that_are_not_http_do_no_harm() {
    let server = start(MemoryInbox::new(), |_| {}).await;
    let junk: &[&[u8]] = &[
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"\0\0\0\0\r\n\r\n",
        b"GET\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\njunkjunkjunkjunk",
    ];
    for junk in junk {
        let mut client = Client::connect(server.address).await;
        client.send(junk).await;
        tokio::io::AsyncWriteExt::shutdown(&mut client.stream)
            .await
            .unwrap();
        client.rest().await;
    }
    assert_eq!(ask(server.address, probe()).await.status, 204);
}

#[tokio::test]
async fn over_the_limit_probes_pass_and_deliveries_get_503() {
    const FULL: usize = 2;
    const RESERVE: usize = 16;
    let server = start(MemoryInbox::new(), |limits| limits.max_connections = FULL).await;
    let mut held = Vec::new();
    for _ in 0..FULL + RESERVE {
        let mut client = Client::connect(server.address).await;
        assert_eq!(client.ask(probe()).await.status, 204);
        held.push(client);
    }
    // Beyond the reserve each takes the place of one that has its answer.
    for _ in 0..2 * RESERVE {
        let mut client = Client::connect(server.address).await;
        assert_eq!(client.ask(probe()).await.status, 204);
        held.push(client);
    }
    held.drain(FULL..held.len() - RESERVE);

    for (number, mut client) in held.into_iter().enumerate() {
        let answer = client.ask(signed(body(&number.to_string()))).await;
        if number < FULL {
            assert_eq!(answer.verdict(), "accepted");
            continue;
        }
        assert_eq!(answer.status, 503);
        assert_eq!(answer.header("retry-after"), Some("10"));
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(client.rest().await, b"");
    }
    // All are gone, and there is room.
    until(async || {
        let mut client = Client::connect(server.address).await;
        let sent =
            tokio::io::AsyncWriteExt::write_all(&mut client.stream, &signed(body("late"))).await;
        sent.is_ok() && client.rest_starts_with(b"HTTP/1.1 200").await
    })
    .await;
}
