//! The server speaks TLS itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use heygen_inbox::{InboxAdmin, MemoryInbox};
use heygen_receiver::{Limits, Receiver, ReceiverOptions, Server, ServerTls};
use heygen_testkit::signed_request;
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use self::identity::Identity;
use crate::client::{Client, probe, signed};
use crate::support::{PATH, Running, body, body_of_len, count, secret, within_patience};

mod files;
pub(crate) mod identity;

/// A server that shows this, with limits that `set` changes.
async fn start(tls: &ServerTls, inbox: impl InboxAdmin, set: impl FnOnce(&mut Limits)) -> Running {
    let mut options = ReceiverOptions::default();
    set(&mut options.limits);
    let receiver = Receiver::with(secret(), inbox, options);
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    Running::start_on(server.tls(tls.clone()), receiver)
}

/// A handshake that trusts this certificate and no other.
async fn try_connect(
    address: SocketAddr,
    trusted: &Identity,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    within_patience(TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

async fn connect(address: SocketAddr, trusted: &Identity) -> Client<TlsStream<TcpStream>> {
    let stream = try_connect(address, trusted, &["http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    Client::over(stream)
}

#[tokio::test]
async fn delivery_over_tls_is_stored_and_answered() {
    let (me, inbox) = (Identity::new(), MemoryInbox::new());
    let server = start(&me.tls(), inbox.clone(), |limits| {
        limits.max_body_bytes = 100_000;
    })
    .await;
    let mut client = connect(server.address, &me).await;
    assert_eq!(client.ask(probe()).await.status, 204);
    assert_eq!(client.ask(signed(body("a"))).await.verdict(), "accepted");
    assert_eq!(
        client.ask(signed(body_of_len(100_000))).await.verdict(),
        "accepted"
    );
    // Answered before it was read whole: the answer arrives all the same, and then the end.
    assert_eq!(client.ask(signed(body_of_len(100_001))).await.status, 413);
    assert_eq!(client.rest().await, b"");
    assert_eq!(count(&inbox).await, 2);
}

#[tokio::test]
async fn http_2_is_agreed_on() {
    let (me, inbox) = (Identity::new(), MemoryInbox::new());
    let server = start(&me.tls(), inbox.clone(), |_| {}).await;
    let stream = try_connect(server.address, &me, &["h2", "http/1.1"])
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    let url = format!("https://localhost{PATH}");
    let request: http::Request<Full<Bytes>> = signed_request(&url, body("a"), &secret());
    let response = within_patience(sender.send_request(request)).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(count(&inbox).await, 1);
    connection.abort();
}

#[tokio::test]
async fn renewed_certificate_is_used_by_the_next_handshake() {
    let (old, new) = (Identity::new(), Identity::new());
    let tls = old.tls();
    let server = start(&tls, MemoryInbox::new(), |_| {}).await;
    let mut open = connect(server.address, &old).await;
    assert_eq!(open.ask(probe()).await.status, 204);

    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = new.files(folder.path());
    tls.replace_with_pem_files(certificate, key).unwrap();
    assert_eq!(tls.certificate(), new.der.to_vec());
    assert_eq!(open.ask(probe()).await.status, 204);
    let mut next = connect(server.address, &new).await;
    assert_eq!(next.ask(probe()).await.status, 204);
    assert!(try_connect(server.address, &old, &[]).await.is_err());

    // What cannot be used changes nothing.
    let nowhere = folder.path().join("none");
    tls.replace_with_pem_files(&nowhere, &nowhere).unwrap_err();
    assert_eq!(
        connect(server.address, &new)
            .await
            .ask(probe())
            .await
            .status,
        204
    );
}

#[tokio::test]
async fn plain_http_is_closed_without_an_answer() {
    let me = Identity::new();
    let server = start(&me.tls(), MemoryInbox::new(), |limits| {
        limits.header_timeout = LONG;
    })
    .await;
    let mut plain = Client::connect(server.address).await;
    plain.send(probe()).await;
    let said = plain.rest().await;
    assert!(!said.windows(4).any(|bytes| bytes == b"HTTP"), "{said:?}");
    assert_eq!(
        connect(server.address, &me).await.ask(probe()).await.status,
        204
    );
}

#[tokio::test]
async fn endless_handshakes_block_no_one() {
    let me = Identity::new();
    let server = start(&me.tls(), MemoryInbox::new(), |limits| {
        limits.header_timeout = LONG;
    })
    .await;
    let mut slow = Vec::new();
    for number in 0..200 {
        let mut client = Client::connect(server.address).await;
        // The first byte of a handshake, or of nothing.
        client.send([if number % 2 == 0 { 22 } else { 128 }]).await;
        slow.push(client);
    }
    let mut good = connect(server.address, &me).await;
    assert_eq!(good.ask(signed(body("a"))).await.verdict(), "accepted");
    drop(slow);
}

#[tokio::test]
async fn a_handshake_has_to_end_in_time() {
    let me = Identity::new();
    let server = start(&me.tls(), MemoryInbox::new(), |limits| {
        limits.header_timeout = SHORT;
        limits.keep_alive = LONG;
    })
    .await;
    for beginning in [&b""[..], &[22], &HELLO_OF_16_KIB] {
        let mut client = Client::connect(server.address).await;
        client.send(beginning).await;
        client.rest().await;
    }
    // Bytes that trickle gain no time: those announced would take far longer than anybody's
    // patience.
    let mut client = Client::connect(server.address).await;
    client.send(HELLO_OF_16_KIB).await;
    within_patience(async {
        while client.stream.write_all(&[0]).await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_header_has_to_come_in_time_after_a_handshake() {
    let me = Identity::new();
    let server = start(&me.tls(), MemoryInbox::new(), |limits| {
        limits.header_timeout = ENOUGH;
        limits.keep_alive = LONG;
    })
    .await;
    let mut client = connect(server.address, &me).await;
    client.send(&probe()[..7]).await;
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn handshake_in_progress_counts_as_a_connection() {
    let me = Identity::new();
    let server = start(&me.tls(), MemoryInbox::new(), |limits| {
        limits.header_timeout = LONG;
        limits.max_connections = 1;
    })
    .await;
    let silent = Client::connect(server.address).await;
    let mut beyond = connect(server.address, &me).await;
    assert_eq!(beyond.ask(probe()).await.status, 204);
    assert_eq!(beyond.ask(signed(body("a"))).await.status, 503);
    drop(silent);
}

#[tokio::test]
async fn handshake_in_progress_does_not_delay_shutdown() {
    let me = Identity::new();
    let mut server = start(&me.tls(), MemoryInbox::new(), |limits| {
        limits.header_timeout = LONG;
        limits.shutdown_timeout = LONG;
    })
    .await;
    let mut silent = Client::connect(server.address).await;
    silent.send([22]).await;
    let mut idle = connect(server.address, &me).await;
    assert_eq!(idle.ask(probe()).await.status, 204);
    server.ask_to_stop();
    server.ended().await;
    assert_eq!(idle.rest().await, b"");
    let mut byte = [0];
    assert!(matches!(
        silent.stream.read(&mut byte).await,
        Ok(0) | Err(_)
    ));
}

const SHORT: Duration = Duration::from_millis(40);
/// For a handshake and a request that are sent at once, also on a busy machine.
const ENOUGH: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(3600);

/// A record of a handshake that says it goes on for 16 KiB.
const HELLO_OF_16_KIB: [u8; 5] = [22, 3, 1, 0x40, 0];
