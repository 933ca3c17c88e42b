//! One request at a time, as HeyGen or a browser would send it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use heygen_signature::Secret;
use serde_json::Value;

use crate::support::{SECRET, Serve};

/// An answer, read to the end of its connection.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// One request on a connection of its own.
pub(crate) fn ask(url: &str, method: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let rest = url.strip_prefix("http://").expect("an address");
    let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
    let fields = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    let length = match method {
        "POST" => format!("Content-Length: {}\r\n", body.len()),
        _ => String::new(),
    };
    let head = format!(
        "{method} /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{}{length}\r\n",
        fields.collect::<String>()
    );
    let mut stream = TcpStream::connect(address).expect("a connection");
    let patience = Some(Duration::from_secs(60));
    stream.set_read_timeout(patience).expect("a socket");
    let request = [head.as_bytes(), body].concat();
    stream.write_all(&request).expect("it is taken");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let answer = String::from_utf8(answer).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a header");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Answer {
        status: status.expect("a status"),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

pub(crate) fn get(url: &str) -> Answer {
    ask(url, "GET", &[], b"")
}

pub(crate) fn sign(body: impl AsRef<[u8]>) -> String {
    let secret = Secret::new(SECRET).expect("a secret");
    secret.sign(body.as_ref()).to_string()
}

/// Posts a signed body; it is taken.
#[track_caller]
pub(crate) fn post(serve: &Serve, body: impl AsRef<[u8]>) -> Value {
    post_to(&serve.url, body)
}

#[track_caller]
pub(crate) fn post_to(url: &str, body: impl AsRef<[u8]>) -> Value {
    let answer = ask_signed(url, body);
    assert_eq!(answer.status, 200, "{}", answer.body);
    serde_json::from_str(&answer.body).expect("JSON")
}

/// Posts a signed body, which may be rejected.
pub(crate) fn ask_signed(url: &str, body: impl AsRef<[u8]>) -> Answer {
    let body = body.as_ref();
    ask(url, "POST", &[("Signature", &sign(body))], body)
}
