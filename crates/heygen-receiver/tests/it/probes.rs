//! HeyGen gives a probe one second, whatever else goes on.

use std::time::{Duration, Instant};

use heygen_inbox::{BoxInbox, MemoryInbox};
use heygen_receiver::{ActiveSecrets, Delivery, Dispatcher};

use crate::client::{Client, ask, probe, request, signed};
use crate::support::{Fault, PATH, Running, Tampered, body, start, start_with, until};

/// Of the second that HeyGen gives.
const WELL_UNDER: Duration = Duration::from_millis(700);

async fn check(server: &Running) {
    for request in [
        probe(),
        request("GET", PATH, &[]),
        request("HEAD", PATH, &[]),
    ] {
        let start = Instant::now();
        let answer = ask(server.address, request).await;
        assert_eq!(answer.status, 204);
        assert!(start.elapsed() < WELL_UNDER, "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn before_there_is_a_secret() {
    let server = start_with(ActiveSecrets::none(), MemoryInbox::new(), |_| {}).await;
    check(&server).await;
}

#[tokio::test]
async fn while_the_inbox_never_answers() {
    let server = start(Tampered::new(Fault::Hangs), |_| {}).await;
    let mut hanging = Vec::new();
    for number in 0..200 {
        let mut client = Client::connect(server.address).await;
        client.send(signed(body(&number.to_string()))).await;
        hanging.push(client);
    }
    check(&server).await;
}

#[tokio::test]
async fn while_the_inbox_is_opened() {
    let (inbox, opener) = BoxInbox::unopened();
    let server = start(inbox, |_| {}).await;
    let mut client = Client::connect(server.address).await;
    client.send(signed(body("a"))).await;
    check(&server).await;
    opener.open(BoxInbox::new(MemoryInbox::new()));
    assert_eq!(client.answer().await.verdict(), "accepted");
}

#[tokio::test]
async fn while_handlers_hang() {
    let inbox = MemoryInbox::new();
    let (calls, mut called) = tokio::sync::mpsc::unbounded_channel();
    let handler = move |_: Delivery| {
        let calls = calls.clone();
        async move {
            calls.send(()).unwrap();
            std::future::pending::<()>().await;
        }
    };
    let dispatching =
        tokio::spawn(Dispatcher::new(inbox.clone(), handler).run(std::future::pending()));
    let server = start(inbox, |_| {}).await;
    let mut client = Client::connect(server.address).await;
    for number in 0..50 {
        let answer = client.ask(signed(body(&number.to_string()))).await;
        assert_eq!(answer.verdict(), "accepted");
    }
    called.recv().await.unwrap();
    check(&server).await;
    dispatching.abort();
}

#[tokio::test]
async fn while_connections_are_at_their_limit() {
    let server = start(MemoryInbox::new(), |limits| limits.max_connections = 3).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut client = Client::connect(server.address).await;
        assert_eq!(client.ask(probe()).await.status, 204);
        held.push(client);
    }
    check(&server).await;
    drop(held);
    until(async || ask(server.address, signed(body("a"))).await.status == 200).await;
}
