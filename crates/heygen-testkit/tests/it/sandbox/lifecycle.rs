//! Start, stop and drop.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use heygen_testkit::{
    EventBuilder,
    sandbox::{Delivery, DeliveryState, Misbehaviour, Sandbox},
};
use serde_json::json;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::{AMPLE, Heygen, answered, client, patient, posts, register};
use crate::server::Server;

fn address(sandbox: &Sandbox) -> SocketAddr {
    sandbox
        .url()
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap()
}

#[tokio::test]
async fn sandbox_listens_on_loopback_or_a_given_address() {
    let sandbox = Sandbox::start().await.unwrap();
    assert_eq!(address(&sandbox).ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    let taken = address(&sandbox);
    assert!(Sandbox::builder().listen(taken).start().await.is_err());
    sandbox.stop().await;
    let again = Sandbox::builder().listen(taken).start().await.unwrap();
    assert_eq!(address(&again), taken);
}

/// A page that is open on this machine neither reads secrets nor registers endpoints.
#[tokio::test]
async fn web_pages_are_rejected() {
    let heygen = Heygen::with(Sandbox::builder().probe(false).host("heygen.test")).await;
    let own = heygen.url().trim_start_matches("http://").to_owned();
    let check = async |headers: &[(&str, &str)], status: u16| {
        for operation in ["POST /sandbox/endpoints", "GET /sandbox/state"] {
            let mut request = heygen.keyless(operation);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let request = request.body(r#"{"url":"http://127.0.0.1:1/"}"#);
            let answer = answered(request).await;
            let is_rejected = matches!(answer.status.as_u16(), 403 | 421);
            match status {
                200 => assert!(!is_rejected, "{headers:?}: {answer:?}"),
                _ => assert_eq!(answer.status, status, "{headers:?}: {}", answer.body),
            }
        }
    };
    check(&[("host", "page.example")], 421).await;
    check(&[("host", "page.example:80")], 421).await;
    check(&[("host", "127.0.0.1.page.example")], 421).await;
    check(&[("host", "a@localhost")], 421).await;
    for origin in ["https://page.example", "null", "http://127.0.0.1:1", ""] {
        check(&[("origin", origin)], 403).await;
    }
    assert!(heygen.endpoints().is_empty());
    for host in [
        "localhost",
        "LOCALHOST:8090",
        "[::1]:80",
        "10.0.0.1",
        "heygen.test:1",
    ] {
        check(&[("host", host)], 200).await;
    }
    check(&[("origin", &format!("http://{own}"))], 200).await;
}

#[tokio::test]
async fn drop_closes_everything() {
    let heygen = Heygen::with(Sandbox::builder().retry(patient())).await;
    let (server, _) = register(&heygen, &[500]).await;
    heygen.send(EventBuilder::new("batch.finished"));
    server.until_seen(2).await;
    let taken = address(&heygen);
    drop(heygen);
    // The port is free once the server's task is gone.
    loop {
        match TcpListener::bind(taken).await {
            Ok(_) => break,
            Err(_) => tokio::task::yield_now().await,
        }
    }
    assert!(TcpStream::connect(taken).await.is_err());
}

#[tokio::test]
async fn stop_answers_pending_requests_and_cancels_the_rest() {
    // The longest time limit there is.
    let builder = Sandbox::builder().probe_timeout(Duration::MAX);
    let heygen = Heygen {
        sandbox: builder.start().await.unwrap(),
        client: client(),
    };
    let (server, _) = register(&heygen, &[500]).await;
    // The next attempt would come in five seconds, and the one after that in ten.
    heygen.send(EventBuilder::new("batch.finished"));
    heygen.until(|all| !all[0].attempts.is_empty()).await;

    // Asked at a second address, which does not answer before the stop has begun.
    let other = Server::with_statuses(&[204]).await;
    other.hold();
    let create = heygen.request("POST /v3/webhooks/endpoints");
    let create = create.body(json!({"url": other.url}).to_string());
    let asked = tokio::spawn(answered(create));
    other.until_seen(1).await;
    let Heygen { sandbox, client: _ } = heygen;
    let url = sandbox.url().to_owned();
    let stopping = tokio::spawn(sandbox.stop());
    while TcpStream::connect(url.strip_prefix("http://").unwrap())
        .await
        .is_ok()
    {
        tokio::task::yield_now().await;
    }
    other.release();
    assert_eq!(asked.await.unwrap().status, 200);
    stopping.await.unwrap();
    assert_eq!(posts(&server).len(), 1);
}

#[tokio::test]
async fn debug_shows_no_secret() {
    let builder = Sandbox::builder().api_key("sesame").probe(false);
    assert!(!format!("{builder:?}").contains("sesame"));
    let sandbox = builder.start().await.unwrap();
    let endpoint = sandbox.register("https://example.com").await.unwrap();
    let text = format!("{sandbox:?} {endpoint:?}");
    assert!(!text.contains("sesame") && !text.contains(endpoint.secret.expose()));
}

#[tokio::test]
async fn misbehaviour_of_the_builder_applies_after_a_reset() {
    let misbehaviour = Misbehaviour::default().duplicates(1);
    let heygen = Heygen::with(Sandbox::builder().misbehaviour(misbehaviour)).await;
    for _ in 0..2 {
        let (server, _) = register(&heygen, &[200]).await;
        heygen.send(EventBuilder::new("batch.finished"));
        heygen.settled().await;
        assert_eq!(posts(&server).len(), 2);
        heygen.reset();
    }
}

#[tokio::test]
async fn probe_timeout_is_one_second_by_default() {
    let sandbox = Sandbox::start().await.unwrap();
    let silent = Server::start(|_| None).await;
    let begun = Instant::now();
    sandbox.register(&silent.url).await.unwrap_err();
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn stop_does_not_wait_for_an_incomplete_body() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let mut half = TcpStream::connect(address(&sandbox)).await.unwrap();
    let head = "POST /sandbox/events HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{";
    half.write_all(head.as_bytes()).await.unwrap();
    // Connections are accepted in turn: once this one is answered, the other one is there.
    let state = format!("{}/sandbox/state", sandbox.url());
    assert!(
        client()
            .get(state)
            .send()
            .await
            .unwrap()
            .status()
            .is_success()
    );
    timeout(AMPLE, sandbox.stop()).await.unwrap();
}

#[tokio::test]
async fn until_closure_may_call_the_sandbox() {
    let heygen = Heygen::start().await;
    let mut is_sent = false;
    heygen
        .until(|seen| {
            assert_eq!(seen.len(), heygen.deliveries().len());
            if !is_sent {
                is_sent = true;
                heygen.send(EventBuilder::new("batch.finished"));
            }
            heygen.endpoints().is_empty()
        })
        .await;
}

#[tokio::test]
async fn held_events_are_released_during_a_wait() {
    let heygen = Heygen::start().await;
    let (_server, _) = register(&heygen, &[200]).await;
    heygen.misbehave(Misbehaviour::default().reorder(2));
    heygen.send(EventBuilder::new("batch.finished"));
    let settled = timeout(AMPLE, heygen.settled());
    let (settled, _id) = tokio::join!(settled, async {
        heygen.send(EventBuilder::new("batch.finished"))
    });
    settled.unwrap();
    assert_eq!(heygen.deliveries().len(), 2);
}

#[tokio::test]
async fn listener_that_panics_holds_up_no_one_who_waits_for_the_end() {
    let listener = |_: &Delivery| panic!("on purpose");
    let heygen = Heygen::with(Sandbox::builder().on_attempt(listener)).await;
    let (_server, _) = register(&heygen, &[200]).await;
    heygen.send(EventBuilder::new("batch.finished"));
    timeout(AMPLE, heygen.settled()).await.unwrap();
    let deliveries = heygen.deliveries();
    assert_eq!(deliveries[0].state, DeliveryState::Cancelled);
    assert_eq!(deliveries[0].statuses(), [Some(200)]);
}
