//! Servers that answer, half answer or do not answer, and a certificate.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use crate::identity::Identity;
use crate::support::Workdir;

/// An address at which nobody listens.
pub(super) fn closed_address() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

/// A server that answers each request by its head with a status line, or leaves it without an answer.
pub(crate) fn small_server(answer: fn(&str) -> Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || answer_one(stream, answer));
        }
    });
    url
}

fn answer_one(mut stream: TcpStream, answer: fn(&str) -> Option<&'static str>) {
    let mut buffer = [0; 4096];
    let read = stream.read(&mut buffer).unwrap_or(0);
    let head = String::from_utf8_lossy(&buffer[..read]).into_owned();
    match answer(&head) {
        Some(status) => {
            let text =
                format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(text.as_bytes());
        }
        // Until the other side has had enough.
        None => drop(stream.read(&mut buffer)),
    }
}

/// A file with a certificate: a machine may have none, and then there is no https.
pub(super) fn certificates(workdir: &Workdir) -> String {
    let (_, certificate) = tls_server();
    let file = workdir.file("some.pem", certificate);
    file.to_str().expect("UTF-8").to_owned()
}

/// A server that answers 200 to everything behind TLS, and its certificate.
pub(super) fn tls_server() -> (String, String) {
    let me = Identity::new();
    (tls_server_of(&me), me.certificate)
}

/// A server that answers 200 to everything behind this certificate.
pub(super) fn tls_server_of(me: &Identity) -> String {
    let (chain, key) = me.for_rustls();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .expect("versions")
    .with_no_client_auth()
    .with_single_cert(chain, key)
    .expect("a configuration");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let config = config.clone();
            thread::spawn(move || {
                let connection = rustls::ServerConnection::new(config).expect("a connection");
                let mut stream = rustls::StreamOwned::new(connection, stream);
                let mut buffer = [0; 4096];
                if stream.read(&mut buffer).is_ok_and(|read| read > 0) {
                    let _ = stream.write_all(
                        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                    );
                    stream.conn.send_close_notify();
                    let _ = stream.flush();
                }
            });
        }
    });
    format!("https://localhost:{port}/hook")
}
