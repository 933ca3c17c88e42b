//! How an application is reached: the certificates that are trusted, and the proxy between.

use std::net::SocketAddr;
use std::sync::Arc;

use heygen_inbox::{AttemptOutcome, InboxAdmin as _, MemoryInbox};
use heygen_receiver::handlers::{Forward, ForwardErrorKind, ForwardOptions, ForwardProxy};
use heygen_receiver::{Receiver, Server};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use crate::application::{Application, answer};
use crate::handler_run::HandlerRun;
use crate::support::{PATH, Running, body, secret};
use crate::tls::identity::Identity;

/// An application of https, and what it has stored.
async fn application(identity: &Identity) -> (Running, MemoryInbox) {
    let inbox = MemoryInbox::new();
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let receiver = Receiver::new(secret(), inbox.clone());
    let running = Running::start_on(server.tls(identity.tls()), receiver);
    (running, inbox)
}

fn trusting(identity: &Identity) -> ForwardOptions {
    let pem = identity.certificate.clone().into();
    ForwardOptions::default().with_certificate_authorities(Some(pem))
}

/// A proxy that opens every tunnel to this address, or answers with this status. It tells the head of
/// each request.
async fn proxy(to: Result<SocketAddr, &'static str>) -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = listener.local_addr().unwrap().to_string();
    let (head_sender, heads) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let head_sender = head_sender.clone();
            tokio::spawn(async move {
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    head.push(client.read_u8().await.unwrap().into());
                }
                let _ = head_sender.send(head);
                match to {
                    Ok(address) => {
                        let established = b"HTTP/1.1 200 Connection established\r\n\r\n";
                        client.write_all(established).await.unwrap();
                        let mut server = TcpStream::connect(address).await.unwrap();
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                    Err(status) => {
                        let refused = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                        client.write_all(refused.as_bytes()).await.unwrap();
                    }
                }
            });
        }
    });
    (url, heads)
}

#[tokio::test]
async fn application_with_a_certificate_of_a_private_authority_is_trusted_where_that_is_named() {
    let identity = Identity::new();
    let (running, inbox) = application(&identity).await;
    let url = format!("https://localhost:{}{PATH}", running.address.port());
    let run = HandlerRun::start(Forward::with(&url, secret(), trusting(&identity)).unwrap());
    let (result, reason) = run.ends(body("a").as_bytes()).await;
    assert_eq!(result, AttemptOutcome::Acknowledged, "{reason}");
    assert_eq!(inbox.counts().await.unwrap().pending, 1);
    let other = trusting(&Identity::new());
    let run = HandlerRun::start(Forward::with(&url, secret(), other).unwrap());
    let (result, reason) = run.ends(body("b").as_bytes()).await;
    assert_eq!(result, AttemptOutcome::Retry);
    assert!(reason.contains("certificate"), "{reason}");
    assert_eq!(inbox.counts().await.unwrap().pending, 1);
}

/// As many do: a connection that ends so is closed as idle too.
#[tokio::test]
async fn connection_closed_as_idle_without_close_notify_costs_no_attempt() {
    let identity = Identity::new();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![identity.der.clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "https://localhost:{}/",
        listener.local_addr().unwrap().port()
    );
    let serving = tokio::spawn(async move {
        let mut half_open = Vec::new();
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let mut stream = acceptor.accept(tcp).await.unwrap();
            read_json(&mut stream).await;
            stream.write_all(&answer("200 OK", "", "")).await.unwrap();
            // Without an answer to the next, nor a word of TLS.
            read_json(&mut stream).await;
            let (mut tcp, _) = stream.into_inner();
            tcp.shutdown().await.unwrap();
            half_open.push(tcp);
        }
    });
    let run = HandlerRun::start(Forward::with(&url, secret(), trusting(&identity)).unwrap());
    for number in 0..3 {
        let (result, reason) = run.ends(body(&number.to_string()).as_bytes()).await;
        assert_eq!(result, AttemptOutcome::Acknowledged, "{reason}");
    }
    serving.abort();
}

/// Reads a request whose body is an object, to its end: what is left unread would reset the
/// connection.
async fn read_json(stream: &mut (impl AsyncRead + Unpin)) {
    let mut read = Vec::new();
    while !read.ends_with(b"}") {
        assert!(stream.read_buf(&mut read).await.unwrap() > 0);
    }
}

#[tokio::test]
async fn scheme_that_the_application_does_not_speak_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let bad_request = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        stream.write_all(bad_request).await.unwrap();
        // Until the client has read it.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let run = HandlerRun::start(Forward::new(&url, secret()).unwrap());
    let (result, reason) = run.ends(b"{}").await;
    assert_eq!(result, AttemptOutcome::Retry);
    assert!(reason.ends_with("use http://"), "{reason}");
}

/// As `openssl req -x509` makes it.
#[tokio::test]
async fn certificate_of_an_authority_shown_by_a_server_is_named() {
    let identity = Identity::of_authority();
    let (running, _inbox) = application(&identity).await;
    let url = format!("https://localhost:{}{PATH}", running.address.port());
    let run = HandlerRun::start(Forward::with(&url, secret(), trusting(&identity)).unwrap());
    let (result, reason) = run.ends(body("a").as_bytes()).await;
    assert_eq!(result, AttemptOutcome::Retry);
    assert!(
        reason.ends_with("an authority's (CA:TRUE), not a server's (CA:FALSE)"),
        "{reason}"
    );
}

#[test]
fn authorities_that_are_none_are_refused() {
    for pem in [
        "",
        "no certificate",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let options = ForwardOptions::default().with_certificate_authorities(Some(pem.into()));
        let error = Forward::with("https://localhost/", secret(), options).unwrap_err();
        assert_eq!(error.kind(), ForwardErrorKind::Certificates, "{pem}");
    }
    let error = ForwardProxy::new("socks5://proxy").unwrap_err();
    assert_eq!(error.kind(), ForwardErrorKind::Proxy);
}

#[tokio::test]
async fn https_goes_through_a_tunnel_that_the_proxy_cannot_read() {
    let identity = Identity::for_name("app.example");
    let (running, inbox) = application(&identity).await;
    let (address, mut heads) = proxy(Ok(running.address)).await;
    let proxy = ForwardProxy::new(&format!("http://me:p%40ss@{address}")).unwrap();
    let options = trusting(&identity).with_proxy(Some(proxy));
    let url = format!("https://app.example{PATH}");
    let run = HandlerRun::start(Forward::with(&url, secret(), options).unwrap());
    let (result, reason) = run.ends(body("a").as_bytes()).await;
    assert_eq!(result, AttemptOutcome::Acknowledged, "{reason}");
    assert_eq!(inbox.counts().await.unwrap().pending, 1);
    let head = heads.recv().await.unwrap();
    assert!(
        head.starts_with("CONNECT app.example:443 HTTP/1.1\r\n"),
        "{head}"
    );
    // me:p@ss
    assert!(
        head.contains("Proxy-Authorization: Basic bWU6cEBzcw==\r\n"),
        "{head}"
    );
    assert!(!head.to_lowercase().contains("signature"), "{head}");
}

#[tokio::test]
async fn http_is_sent_to_the_proxy_with_the_whole_address() {
    let proxy = Application::always(answer("200 OK", "", "")).await;
    let address = proxy.url.trim_start_matches("http://");
    let through = ForwardProxy::new(&format!("http://me:hush@{address}")).unwrap();
    let options = ForwardOptions::default().with_proxy(Some(through));
    let url = "http://app.example:3000/hook?a=b";
    let run = HandlerRun::start(Forward::with(url, secret(), options).unwrap());
    let (result, reason) = run.ends(body("a").as_bytes()).await;
    assert_eq!(result, AttemptOutcome::Acknowledged, "{reason}");
    let [request] = proxy.requests().try_into().unwrap();
    assert_eq!(request.line, format!("POST {url} HTTP/1.1"));
    assert_eq!(request.header("host"), "app.example:3000");
    assert_eq!(request.header("proxy-authorization"), "Basic bWU6aHVzaA==");
}

#[tokio::test]
async fn this_machine_is_reached_without_the_proxy() {
    let application = Application::always(answer("200 OK", "", "")).await;
    let unreachable = ForwardProxy::new("http://me:hush@192.0.2.1:9").unwrap();
    let options = ForwardOptions::default().with_proxy(Some(unreachable));
    let forward = Forward::with(&application.url, secret(), options).unwrap();
    let run = HandlerRun::start(forward);
    let (result, reason) = run.ends(body("a").as_bytes()).await;
    assert_eq!(result, AttemptOutcome::Acknowledged, "{reason}");
    let [request] = application.requests().try_into().unwrap();
    assert_eq!(request.line, "POST /hook HTTP/1.1");
    assert!(request.all("proxy-authorization").is_empty());
}

#[tokio::test]
async fn proxy_that_refuses_is_named_without_its_password() {
    for (status, expected) in [
        (
            "407 Proxy Authentication Required",
            "authorization required",
        ),
        ("403 Forbidden", "unsuccessful"),
    ] {
        let (address, _told) = proxy(Err(status)).await;
        let through = ForwardProxy::new(&format!("http://me:hush@{address}")).unwrap();
        let options = ForwardOptions::default().with_proxy(Some(through));
        let forward = Forward::with("https://app.example/x", secret(), options).unwrap();
        let run = HandlerRun::start(forward);
        let (result, reason) = run.ends(body("a").as_bytes()).await;
        assert_eq!(result, AttemptOutcome::Retry);
        let named = format!("https://app.example/x could not be reached through http://{address}");
        assert!(reason.starts_with(&named), "{reason}");
        assert!(
            reason.contains(expected) && !reason.contains("hush"),
            "{reason}"
        );
    }
}
