//! HTTP/1.1 by hand: what is sent is what the test wrote, to the byte.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{PATH, secret, within_patience};

/// One connection.
pub(crate) struct Client<S = TcpStream> {
    pub(crate) stream: S,
    unread: Vec<u8>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        let value = found.next()?.1.as_str();
        assert!(found.next().is_none(), "{name} comes twice");
        Some(value)
    }

    /// What stands under `status` of a 200.
    pub(crate) fn verdict(&self) -> &str {
        assert_eq!(self.status, 200, "{self:?}");
        match self
            .body
            .strip_prefix(r#"{"status":""#)
            .and_then(|rest| rest.split_once('"'))
        {
            Some((verdict, _)) => verdict,
            None => panic!("not an answer to a delivery: {}", self.body),
        }
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over(within_patience(TcpStream::connect(address)).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) fn over(stream: S) -> Self {
        let unread = Vec::new();
        Self { stream, unread }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        within_patience(async {
            self.stream.write_all(bytes.as_ref()).await?;
            self.stream.flush().await
        })
        .await
        .unwrap();
    }

    /// The next answer; that to a `HEAD` has no body.
    pub(crate) async fn answer_to(&mut self, method: &str) -> Answer {
        let end = loop {
            if let Some(end) = self
                .unread
                .windows(4)
                .position(|bytes| bytes == b"\r\n\r\n")
            {
                break end;
            }
            assert!(
                self.read_more().await,
                "closed before an answer: {:?}",
                self.unread
            );
        };
        let head: Vec<u8> = self.unread.drain(..end + 4).collect();
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().lines();
        let status = lines
            .next()
            .unwrap()
            .split(' ')
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        let headers: Vec<_> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let mut answer = Answer {
            status,
            headers,
            body: String::new(),
        };
        let len = match (method, status) {
            ("HEAD", _) | (_, 204) => 0,
            _ => answer.header("content-length").unwrap().parse().unwrap(),
        };
        while self.unread.len() < len {
            assert!(self.read_more().await, "closed within a body");
        }
        answer.body = String::from_utf8(self.unread.drain(..len).collect()).unwrap();
        answer
    }

    pub(crate) async fn answer(&mut self) -> Answer {
        self.answer_to("POST").await
    }

    /// Sends one request and reads its answer.
    pub(crate) async fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        let request = request.as_ref();
        self.send(request).await;
        self.answer_to(if request.starts_with(b"HEAD") {
            "HEAD"
        } else {
            "POST"
        })
        .await
    }

    /// Returns when the other side has closed, and says what still came.
    pub(crate) async fn rest(mut self) -> Vec<u8> {
        while self.read_more().await {}
        self.unread
    }

    /// Whether that is how the next answer begins; the end is another way.
    pub(crate) async fn rest_starts_with(mut self, expected: &[u8]) -> bool {
        while self.unread.len() < expected.len() && self.read_more().await {}
        self.unread.starts_with(expected)
    }

    /// Whether anything came before the end.
    async fn read_more(&mut self) -> bool {
        // An end by reset is an end too.
        let read = within_patience(self.stream.read_buf(&mut self.unread)).await;
        read.is_ok_and(|len| len > 0)
    }
}

/// Asks on a connection of its own.
pub(crate) async fn ask(address: SocketAddr, request: impl AsRef<[u8]>) -> Answer {
    Client::connect(address).await.ask(request).await
}

/// A request of that method and path, with further header lines and no body.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    request_of_host("test", method, path, headers)
}

pub(crate) fn request_of_host(
    host: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Vec<u8> {
    let lines = headers
        .iter()
        .flat_map(|(name, value)| [name, ": ", value, "\r\n"]);
    let lines: String = lines.collect();
    format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n").into_bytes()
}

pub(crate) fn probe() -> Vec<u8> {
    request("OPTIONS", PATH, &[])
}

/// A delivery with the headers given and no others.
pub(crate) fn post(body: impl AsRef<[u8]>, headers: &[(&str, &str)]) -> Vec<u8> {
    let body = body.as_ref();
    let len = body.len().to_string();
    let headers = [headers, &[("Content-Length", &len)]].concat();
    [&request("POST", PATH, &headers), body].concat()
}

/// A delivery with its signature.
pub(crate) fn signed(body: impl AsRef<[u8]>) -> Vec<u8> {
    let signature = sign(body.as_ref());
    post(
        body,
        &[
            ("Signature", &signature),
            ("Content-Type", "application/json"),
        ],
    )
}

/// The same in chunks of that many bytes.
pub(crate) fn signed_in_chunks(body: &str, chunk_len: usize) -> Vec<u8> {
    let headers = [
        ("Signature", sign(body.as_bytes())),
        ("Transfer-Encoding", "chunked".to_owned()),
    ];
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let mut bytes = request("POST", PATH, &headers);
    for chunk in body.as_bytes().chunks(chunk_len) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

pub(crate) fn sign(body: &[u8]) -> String {
    secret().sign(body).to_string()
}
