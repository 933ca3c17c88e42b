//! [`Listener`]: as much of an HTTP server as takes what is forwarded.

use std::io::{self, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};

/// Listens on loopback until it is dropped.
#[derive(Debug)]
pub(super) struct Listener {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

/// One request, as far as it matters here.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) path: String,
    /// Of the delivery: what an application drops duplicates by.
    pub(super) id: String,
    pub(super) body: Vec<u8>,
}

/// What is said to a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Answer {
    Taken,
    ComeAgain,
    /// Too many requests: not before a second has passed.
    TooMany,
    /// The connection is closed.
    Nothing,
}

impl Listener {
    /// Answers every request as `answer` says, each connection in a thread of its own.
    pub(super) fn start(
        answer: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen on loopback")?;
        let address = listener.local_addr().context("the address to listen on")?;
        let stop = Arc::new(AtomicBool::new(false));
        let (stopping, answer) = (stop.clone(), Arc::new(answer));
        let acceptor = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stopping.load(Ordering::Relaxed) {
                    return;
                }
                let answer = answer.clone();
                // It ends with the connection, which ends with the process that made it.
                thread::spawn(move || converse(stream, &*answer));
            }
        });
        Ok(Self {
            address,
            stop,
            acceptor: Some(acceptor),
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the acceptor, which then sees that it is to stop.
        if TcpStream::connect(self.address).is_ok()
            && let Some(acceptor) = self.acceptor.take()
        {
            let _ = acceptor.join();
        }
    }
}

/// Answers until the peer has gone.
fn converse(stream: TcpStream, answer: &impl Fn(&Request) -> Answer) {
    let mut stream = BufReader::new(stream);
    while let Ok(request) = read_request(&mut stream) {
        let status = match answer(&request) {
            Answer::Taken => "200 OK",
            Answer::ComeAgain => "503 Service Unavailable",
            Answer::TooMany => "429 Too Many Requests\r\nRetry-After: 1",
            Answer::Nothing => return,
        };
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        if stream.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn read_request(stream: &mut impl io::BufRead) -> io::Result<Request> {
    let mut request = Request::default();
    let line = read_line(stream)?;
    request.path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        let line = read_line(stream)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => {
                length = value
                    .trim()
                    .parse()
                    .map_err(|_| io::ErrorKind::InvalidData)?;
            }
            "heygen-webhooks-id" => request.id = value.trim().to_owned(),
            _ => {}
        }
    }
    request.body = vec![0; length];
    stream.read_exact(&mut request.body)?;
    Ok(request)
}

/// A line without its end.
fn read_line(stream: &mut impl io::BufRead) -> io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    line.truncate(line.trim_end().len());
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_one_after_the_other() {
        let bytes = b"POST /0 HTTP/1.1\r\nheygen-webhooks-id: 7-a\r\ncontent-length: 2\r\n\r\n{}\
            POST /1 HTTP/1.1\r\nContent-Length: 0\r\n\r\n";
        let mut bytes = &bytes[..];
        let first = read_request(&mut bytes).unwrap();
        assert_eq!(
            (&*first.path, &*first.id, &*first.body),
            ("/0", "7-a", &b"{}"[..])
        );
        let second = read_request(&mut bytes).unwrap();
        assert_eq!(
            (&*second.path, &*second.id, &*second.body),
            ("/1", "", &b""[..])
        );
        assert!(read_request(&mut bytes).is_err());
    }
}
