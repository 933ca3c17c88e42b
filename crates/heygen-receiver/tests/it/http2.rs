//! The same over HTTP/2, by prior knowledge.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use heygen_inbox::MemoryInbox;
use heygen_testkit::signed_request;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::support::{
    Fault, PATH, Tampered, body, body_of_len, count, secret, start, within_patience,
};

/// A connection, and the task that ends when it does.
async fn connect(address: SocketAddr) -> (SendRequest<Full<Bytes>>, JoinHandle<()>) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    let task = tokio::spawn(async move {
        // Its end is of interest, not the reason.
        let _ = connection.await;
    });
    (sender, task)
}

async fn ask(sender: &SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> Response<String> {
    let mut sender = sender.clone();
    within_patience(async move {
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Response::from_parts(head, String::from_utf8(body.to_vec()).unwrap())
    })
    .await
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}{PATH}")
}

fn probe(address: SocketAddr) -> Request<Full<Bytes>> {
    Request::options(url(address))
        .body(Full::default())
        .unwrap()
}

#[tokio::test]
async fn the_table_of_answers_holds() {
    let server = start(MemoryInbox::new(), |limits| limits.max_body_bytes = 100_000).await;
    let (sender, _task) = connect(server.address).await;
    let url = url(server.address);
    let signed = |body: String| signed_request(&url, body, &secret());
    let mut unsigned = signed(body("a"));
    unsigned.headers_mut().remove("signature");
    let mut twice = signed(body("a"));
    let signature = twice.headers()["signature"].clone();
    twice.headers_mut().append("signature", signature);
    let mut undeclared = signed(body_of_len(100_001));
    undeclared.headers_mut().remove("content-length");
    let elsewhere = signed_request(&format!("http://{}/", server.address), body("a"), &secret());
    let cases = [
        (probe(server.address), 204, ""),
        (signed(body("a")), 200, "accepted"),
        (signed(body("a")), 200, "duplicate"),
        (unsigned, 401, "not authorized"),
        (twice, 401, "not authorized"),
        (signed(body_of_len(100_000)), 200, "accepted"),
        (signed(body_of_len(100_001)), 413, "body too large"),
        (undeclared, 413, "body too large"),
        (elsewhere, 404, "not found"),
        (probe(server.address), 204, ""),
    ];
    for (request, status, says) in cases {
        let response = ask(&sender, request).await;
        assert_eq!(response.status().as_u16(), status, "{response:?}");
        assert!(response.body().contains(says), "{response:?}");
        assert!(!response.headers().contains_key("connection"));
    }
}

#[tokio::test]
async fn many_streams_share_a_connection() {
    let inbox = MemoryInbox::new();
    let server = start(inbox.clone(), |_| {}).await;
    let (sender, _task) = connect(server.address).await;
    // From here on the client knows how many there may be at a time, and has the others wait.
    let first = ask(&sender, probe(server.address)).await;
    assert_eq!(first.status(), StatusCode::NO_CONTENT);
    let tasks: Vec<_> = (0..100)
        .map(|number| {
            let sender = sender.clone();
            let request = signed_request(
                &url(server.address),
                body(&(number / 2).to_string()),
                &secret(),
            );
            tokio::spawn(async move { ask(&sender, request).await.status() })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), StatusCode::OK);
    }
    assert_eq!(count(&inbox).await, 50);
}

#[tokio::test]
async fn headers_have_the_bounds_of_http1() {
    let server = start(MemoryInbox::new(), |_| {}).await;
    let (sender, _task) = connect(server.address).await;
    let with = |number: usize, len: usize| {
        let mut request = signed_request(&url(server.address), body("a"), &secret());
        let own = request.headers().len();
        for _ in own..number {
            request
                .headers_mut()
                .append("x", "y".repeat(len).parse().unwrap());
        }
        request
    };
    for (request, status) in [
        // The client adds one of its own.
        (with(99, 1), 200),
        (with(100, 1), 431),
        (with(50, 100), 200),
        (with(50, 400), 431),
    ] {
        let number = request.headers().len();
        let answer = ask(&sender, request).await;
        assert_eq!(answer.status().as_u16(), status, "{number}: {answer:?}");
    }
}

#[tokio::test]
async fn a_connection_without_requests_is_closed() {
    let server = start(MemoryInbox::new(), |limits| {
        limits.keep_alive = Duration::from_millis(40);
        limits.header_timeout = Duration::from_secs(3600);
    })
    .await;
    let (sender, task) = connect(server.address).await;
    assert_eq!(
        ask(&sender, probe(server.address)).await.status(),
        StatusCode::NO_CONTENT
    );
    within_patience(task).await.unwrap();
}

#[tokio::test]
async fn a_connection_whose_bodies_do_not_come_ends() {
    let server = start(MemoryInbox::new(), |limits| {
        limits.body_timeout = Duration::from_millis(40);
        limits.header_timeout = Duration::from_millis(200);
        limits.keep_alive = Duration::from_secs(3600);
    })
    .await;
    // A request without its body, by hand: this client answers nothing either, also not when it is
    // sent a GOAWAY.
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    let block = b"\x83\x86\x44\x10/webhooks/heygen\x41\x01x";
    bytes.extend([0, 0, block.len() as u8, 1, 4, 0, 0, 0, 1]);
    bytes.extend(block);
    stream.write_all(&bytes).await.unwrap();
    let mut answer = Vec::new();
    // Whether it is reset in the end or not.
    let _ = within_patience(stream.read_to_end(&mut answer)).await;
    let text = String::from_utf8_lossy(&answer);
    assert!(text.contains("body too slow"), "{text}");
}

#[tokio::test]
async fn a_hanging_stream_holds_up_no_other() {
    let server = start(Tampered::new(Fault::Hangs), |_| {}).await;
    let (sender, _task) = connect(server.address).await;
    let mut hanging = sender.clone();
    let request = signed_request(&url(server.address), body("a"), &secret());
    let hanging = tokio::spawn(async move { hanging.send_request(request).await });
    for _ in 0..10 {
        assert_eq!(
            ask(&sender, probe(server.address)).await.status(),
            StatusCode::NO_CONTENT
        );
    }
    assert!(!hanging.is_finished());
    hanging.abort();
}

#[tokio::test]
async fn stopping_lets_streams_end() {
    let permits = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let inbox = Tampered::new(Fault::Waits(permits.clone()));
    let mut server = start(inbox, |_| {}).await;
    let (sender, task) = connect(server.address).await;
    let asking = {
        let sender = sender.clone();
        let request = signed_request(&url(server.address), body("a"), &secret());
        tokio::spawn(async move { ask(&sender, request).await })
    };
    // Its answer comes after that of the delivery was asked for.
    assert_eq!(
        ask(&sender, probe(server.address)).await.status(),
        StatusCode::NO_CONTENT
    );
    server.ask_to_stop();
    permits.add_permits(1);
    assert_eq!(asking.await.unwrap().status(), StatusCode::OK);
    server.ended().await;
    within_patience(task).await.unwrap();
}
