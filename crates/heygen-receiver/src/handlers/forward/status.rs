//! [`StatusLine`]: the status that a response begins with, read independently of the client, which
//! may fail to read the rest.

use std::sync::Mutex;

use http::StatusCode;

use crate::panics::locked;

/// The status of the response on a connection.
#[derive(Debug, Default)]
pub(super) struct StatusLine {
    /// Each byte changes it completely or not at all.
    reading: Mutex<Reading>,
}

#[derive(Debug)]
enum Reading {
    /// The beginning of the status line.
    Line(Vec<u8>),
    /// The rest of an interim response (1xx).
    Interim { is_line_empty: bool },
    /// The status that the response began with; `None` when it was not a status.
    Read(Option<StatusCode>),
}

impl StatusLine {
    /// The status, if the response has begun with one.
    pub(super) fn get(&self) -> Option<StatusCode> {
        match &*locked(&self.reading) {
            Reading::Line(_) | Reading::Interim { .. } => None,
            Reading::Read(status) => *status,
        }
    }

    /// The response was read: there is no status until the next request is written, also for a
    /// request that finds the connection closed.
    pub(super) fn taken(&self) {
        *locked(&self.reading) = Reading::Read(None);
    }

    /// Bytes of requests.
    pub(super) fn sent(&self, bytes: &[u8]) {
        // Every request is a POST, and its head is written before its body.
        if bytes.starts_with(b"POST ") {
            *locked(&self.reading) = Reading::default();
        }
    }

    /// Bytes of responses.
    pub(super) fn received(&self, bytes: &[u8]) {
        let mut reading = locked(&self.reading);
        for byte in bytes {
            if let Reading::Read(_) = *reading {
                return;
            }
            reading.receive(*byte);
        }
    }
}

impl Reading {
    fn receive(&mut self, byte: u8) {
        match self {
            Self::Line(line) if line.len() < STATUS_BYTES => {
                // Some servers send an empty line first.
                if !(line.is_empty() && matches!(byte, b'\r' | b'\n')) {
                    line.push(byte);
                }
            }
            Self::Line(line) => {
                let status = status(line).filter(|_| matches!(byte, b' ' | b'\r' | b'\n'));
                let is_interim = status.is_some_and(|status| {
                    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
                });
                *self = match is_interim {
                    true => Self::Interim {
                        is_line_empty: byte == b'\n',
                    },
                    false => Self::Read(status),
                };
            }
            Self::Interim { is_line_empty } => match (byte, *is_line_empty) {
                (b'\n', true) => *self = Self::default(),
                (b'\n', false) => *is_line_empty = true,
                (b'\r', _) => {}
                (_, _) => *is_line_empty = false,
            },
            Self::Read(_) => {}
        }
    }
}

impl Default for Reading {
    fn default() -> Self {
        Self::Line(Vec::with_capacity(STATUS_BYTES))
    }
}

/// Parses exactly `HTTP/1.1 200`.
fn status(line: &[u8]) -> Option<StatusCode> {
    let code = line
        .strip_prefix(b"HTTP/1.0 ")
        .or_else(|| line.strip_prefix(b"HTTP/1.1 "))?;
    StatusCode::from_bytes(code).ok()
}

const STATUS_BYTES: usize = b"HTTP/1.1 200".len();

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(received: &str, expected: Option<u16>) {
        let whole = StatusLine::default();
        whole.received(received.as_bytes());
        let found = whole.get().map(|status| status.as_u16());
        assert_eq!(found, expected, "{received:?}");
        let bytewise = StatusLine::default();
        for byte in received.bytes() {
            bytewise.received(&[byte]);
        }
        let found = bytewise.get().map(|status| status.as_u16());
        assert_eq!(found, expected, "{received:?}");
    }

    #[test]
    fn status_belongs_to_the_request_that_was_written() {
        let line = StatusLine::default();
        line.sent(b"POST /a HTTP/1.1\r\n");
        line.received(b"HTTP/1.1 200 OK\r\n\r\n");
        assert_eq!(line.get(), Some(StatusCode::OK));
        line.taken();
        assert_eq!(line.get(), None, "nothing was written since");
        line.sent(b"POST /b HTTP/1.1\r\n");
        assert_eq!(line.get(), None);
        line.received(b"HTTP/1.1 410 Gone\r\n");
        assert_eq!(line.get(), Some(StatusCode::GONE));
    }

    #[test]
    fn status_line_is_parsed() {
        check("", None);
        check("HTTP/1.1 20", None);
        check("HTTP/1.1 200", None);
        check("HTTP/1.1 200\r", Some(200));
        check("HTTP/1.0 204 No Content\nA", Some(204));
        check("\r\nHTTP/1.1 500 No\r\n\r\n", Some(500));
        check("HTTP/1.1 2000 OK", None);
        check("HTTP/2.0 200 OK", None);
        check("SSH-2.0-OpenSSH_9.2p1", None);
        let interim = "HTTP/1.1 103 Early Hints\r\nLink: </HTTP/1.1 200>\r\n\r\n";
        check(interim, None);
        check(
            &format!("{interim}{interim}HTTP/1.1 201 Yes\r\n"),
            Some(201),
        );
        check("HTTP/1.1 100\n\nHTTP/1.1 202\n", Some(202));
        check("HTTP/1.1 100 Continue\r\nHTTP/1.1 200 OK\r\n", None);
    }

    #[test]
    fn new_request_has_no_status_yet() {
        let status = StatusLine::default();
        status.sent(b"POST / HTTP/1.1\r\n");
        status.received(b"HTTP/1.1 200 OK\r\n");
        status.sent(b"the rest of the body");
        assert_eq!(status.get(), Some(StatusCode::OK));
        status.sent(b"POST / HTTP/1.1\r\n");
        assert_eq!(status.get(), None);
    }
}
