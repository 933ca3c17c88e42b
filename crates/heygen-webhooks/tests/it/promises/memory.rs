//! Memory stays bounded whatever headers come: measured at the process itself.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::{ask, event, post};
use crate::identity::Identity;
use crate::support::{Serve, Workdir};

const CONNECTIONS: usize = 100;
const STREAMS: u32 = 128;
const MOST_MIB: u64 = 160;

/// Resident memory of the process, in MiB.
fn resident(serve: &Serve) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", serve.process_id()));
    let status = status.expect("it lives");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.expect("a number") / 1024
}

/// Looks for a while, longer than anything needs to be read that was sent.
#[track_caller]
fn stays_bounded(serve: &Serve) {
    let began = Instant::now();
    let mut most = 0;
    while began.elapsed() < Duration::from_secs(3) {
        most = most.max(resident(serve));
        assert!(most < MOST_MIB, "{most} MiB");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn address(serve: &Serve) -> &str {
    let rest = serve.url.split_once("://").map_or("", |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame");
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// An HTTP/2 connection with many requests whose bodies never come, each with so many headers: one is told once, and every
/// other is a byte that refers to it.
fn references(headers: usize) -> Vec<u8> {
    // POST, http, :path, :authority, and an empty header `a` into the dynamic table.
    let first = [
        b"\x83\x86\x44\x10/webhooks/heygen\x41\x01x\x40\x01a\x00".as_slice(),
        &vec![0xbe; headers - 1],
    ]
    .concat();
    let rest = [b"\x83\x86\xc0\xbf".as_slice(), &vec![0xbe; headers]].concat();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, b""));
    for number in 0..STREAMS {
        let block = if number == 0 { &first } else { &rest };
        bytes.extend(frame(1, 4, 1 + 2 * number, block));
    }
    bytes
}

/// Sends it, and waits for the first frame of the answer: the server has read the beginning.
fn attack<S: Read + Write>(mut stream: S, bytes: &[u8]) -> S {
    stream.write_all(bytes).expect("it is read");
    stream.flush().expect("it is read");
    let mut head = [0; 9];
    stream.read_exact(&mut head).expect("settings");
    assert_eq!(head[3], 4, "a SETTINGS frame");
    stream
}

fn connect(serve: &Serve) -> TcpStream {
    let stream = TcpStream::connect(address(serve)).expect("a connection");
    let patience = Some(Duration::from_secs(60));
    stream.set_read_timeout(patience).expect("a socket");
    stream
}

#[test]
fn references_to_headers_over_http2_stay_bounded() {
    // As many as the list of headers may hold and more than are counted; and as many as each request may have.
    for headers in [970, 400, 90] {
        let workdir = Workdir::new();
        let serve = workdir.serve(&[]);
        let bytes = references(headers);
        let held: Vec<_> = (0..CONNECTIONS)
            .map(|_| attack(connect(&serve), &bytes))
            .collect();
        stays_bounded(&serve);
        assert_eq!(ask(&serve.url, "OPTIONS", &[], b"").status, 204);
        post(&serve, event("order.new", "a"));
        drop(held);
    }
}

#[test]
fn references_to_headers_under_tls_stay_bounded() {
    let (workdir, me) = (Workdir::new(), Identity::new());
    workdir.file("chain.pem", &me.certificate);
    workdir.file("key.pem", &me.key);
    let serve = workdir.serve(&["--tls-cert", "chain.pem", "--tls-key", "key.pem"]);
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(me.certificate.as_bytes());
    roots.add(certificate.expect("PEM")).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let config = Arc::new(config);
    let bytes = references(90);
    let held: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let name = ServerName::try_from("localhost").expect("a name");
            let client = ClientConnection::new(Arc::clone(&config), name).expect("a client");
            attack(StreamOwned::new(client, connect(&serve)), &bytes)
        })
        .collect();
    stays_bounded(&serve);
    drop(held);
}

#[test]
fn large_headers_over_http1_stay_bounded() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&[]);
    let lines = (0..90).map(|number| format!("x-{number}: {}\r\n", "y".repeat(150)));
    let head = format!(
        "POST /webhooks/heygen HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n{}\r\n",
        lines.collect::<String>()
    );
    assert!(head.len() < 16 * 1024);
    let held: Vec<_> = (0..900)
        .map(|number| {
            let mut stream = connect(&serve);
            // Of some not even the header comes to its end.
            let len = head.len() - if number % 2 == 0 { 0 } else { 2 };
            stream
                .write_all(&head.as_bytes()[..len])
                .expect("it is read");
            stream
        })
        .collect();
    stays_bounded(&serve);
    post(&serve, event("order.new", "a"));
    drop(held);
}

#[test]
fn small_deliveries_get_through_while_others_hold_a_megabyte_each() {
    let workdir = Workdir::new();
    let serve = workdir.serve(&["--body-timeout", "3600"]);
    let head = "POST /webhooks/heygen HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n";
    let most = [head.as_bytes(), &vec![b'x'; 1_048_575]].concat();
    let greedy: Vec<_> = (0..64)
        .map(|_| {
            let mut stream = connect(&serve);
            stream.write_all(&most).expect("it is read");
            stream
        })
        .collect();
    for number in 0..244 {
        let filling = "y".repeat(640);
        post(&serve, event("order.new", &format!("{number}{filling}")));
    }
    assert!(resident(&serve) < MOST_MIB);
    drop(greedy);
}
