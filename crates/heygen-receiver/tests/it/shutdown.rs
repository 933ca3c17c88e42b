//! Shutdown of a server: nothing new is accepted, nothing is lost.

use std::sync::Arc;
use std::time::Duration;

use heygen_inbox::{InboxAdmin as _, MemoryInbox};
use heygen_receiver::{Delivery, Secret, Server, serve};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::client::{Client, ask, probe, signed};
use crate::support::{Fault, Tampered, body, count, secret, start, until, within_patience};

#[tokio::test]
async fn connections_without_a_request_are_closed_and_new_ones_refused() {
    let mut server = start(MemoryInbox::new(), |limits| {
        limits.header_timeout = Duration::from_millis(500);
    })
    .await;
    let address = server.address;
    let mut idle = Client::connect(address).await;
    assert_eq!(idle.ask(probe()).await.status, 204);
    let silent = Client::connect(address).await;
    let mut slow = Client::connect(address).await;
    slow.send(&probe()[..7]).await;
    server.ask_to_stop();
    for client in [idle, silent, slow] {
        assert_eq!(client.rest().await, b"");
    }
    until(async || TcpStream::connect(address).await.is_err()).await;
    server.ended().await;
}

#[tokio::test]
async fn a_request_under_way_gets_its_answer_after_the_stop() {
    let permits = Arc::new(Semaphore::new(0));
    let inbox = Tampered::new(Fault::Waits(permits.clone()));
    let mut server = start(inbox.clone(), |limits| {
        limits.max_buffered_bytes = 100_000;
    })
    .await;
    let address = server.address;
    let mut busy = Client::connect(address).await;
    let delivery = signed(crate::support::body_of_len(100_000));
    busy.send(&delivery).await;
    // All room for bodies is taken once its body was read.
    let other = crate::client::post("x".repeat(50_000), &[]);
    until(async || crate::client::ask(address, &other).await.status == 503).await;

    server.ask_to_stop();
    until(async || TcpStream::connect(address).await.is_err()).await;
    permits.add_permits(1);
    let answer = busy.answer().await;
    assert_eq!(answer.verdict(), "accepted");
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(busy.rest().await, b"");
    server.ended().await;
    assert_eq!(count(&inbox).await, 1);
}

#[tokio::test]
async fn connections_that_do_not_end_are_closed() {
    let mut server = start(Tampered::new(Fault::Hangs), |limits| {
        limits.shutdown_timeout = Duration::from_millis(40);
    })
    .await;
    let mut busy = Client::connect(server.address).await;
    assert_eq!(busy.ask(probe()).await.status, 204);
    busy.send(signed(body("a"))).await;
    server.ask_to_stop();
    server.ended().await;
    busy.rest().await;
}

#[tokio::test]
async fn idle_server_ends_at_once() {
    let mut server = start(MemoryInbox::new(), |limits| {
        limits.shutdown_timeout = Duration::from_secs(3600);
    })
    .await;
    server.ask_to_stop();
    server.ended().await;
}

#[tokio::test]
async fn an_address_in_use_is_an_error() {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    assert!(Server::bind(address).await.is_err());
    let secret = Secret::new("whsec_test").unwrap();
    let handler = async |_: Delivery| {};
    assert!(
        serve(address, secret, MemoryInbox::new(), handler)
            .await
            .is_err()
    );
}

/// A request that was answered 200 is handled before `serve_until` returns.
#[tokio::test]
async fn serve_until_finishes_handlers_and_closes_the_inbox() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let inbox = MemoryInbox::new();
    let (called, mut calls) = tokio::sync::mpsc::unbounded_channel();
    let permits = Arc::new(Semaphore::new(0));
    let handler = {
        let permits = Arc::clone(&permits);
        move |delivery: Delivery| {
            let (called, permits) = (called.clone(), Arc::clone(&permits));
            async move {
                called.send(delivery.id()).unwrap();
                permits.acquire().await.unwrap().forget();
            }
        }
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async {
        let _ = stopped.await;
    };
    let serving = tokio::spawn(heygen_receiver::serve_until(
        address,
        secret(),
        inbox.clone(),
        handler,
        shutdown,
    ));
    until(async || TcpStream::connect(address).await.is_ok()).await;
    assert_eq!(ask(address, signed(body("a"))).await.status, 200);
    let id = within_patience(calls.recv()).await.unwrap();
    stop.send(()).unwrap();
    // The server goes first: new connections are refused while the handler still runs.
    until(async || TcpStream::connect(address).await.is_err()).await;
    assert!(!serving.is_finished());
    permits.add_permits(1);
    within_patience(serving).await.unwrap().unwrap();
    let stored = inbox.get(id).await.unwrap().unwrap();
    assert_eq!(stored.attempts.len(), 1);
}
