//! [`Sink`]: an application that takes what is forwarded to it, and puts off half of it.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use serde_json::Value;

use super::ground::Home;
use super::server::Server;

/// Listens until it is dropped.
#[derive(Debug)]
pub(super) struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    requests: AtomicU64,
    put_off: AtomicU64,
    taken: Mutex<BTreeSet<String>>,
}

impl Sink {
    pub(super) fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen on loopback")?;
        let address = listener.local_addr().context("the address of the sink")?;
        let shared = Arc::new(Shared::default());
        let accepting = shared.clone();
        let acceptor = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if accepting.stop.load(Ordering::Relaxed) {
                    return;
                }
                let shared = accepting.clone();
                // It ends with the connection, which ends with the server that made it.
                thread::spawn(move || answer(stream, &shared));
            }
        });
        Ok(Self {
            address,
            shared,
            acceptor: Some(acceptor),
        })
    }

    /// Starts a receiver whose failures are forwarded here, and soon once more where that is asked for; the rest it prints.
    pub(super) fn serve(&self, home: &Home, command: Command) -> Result<Server> {
        let rule = format!("*.fail=forward:http://{}/", self.address);
        let options = [
            "--on",
            &rule,
            "--on",
            "*=print",
            "--retry-first",
            "0.05",
            "--retry-longest",
            "0.2",
            "--attempts",
            "10000",
        ];
        home.serve_through(command, &options)
    }

    /// How often it said to come again.
    pub(super) fn put_off(&self) -> u64 {
        self.shared.put_off.load(Ordering::Relaxed)
    }

    /// The subjects of what it took.
    pub(super) fn taken(&self) -> BTreeSet<String> {
        self.shared
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Wakes the acceptor, which then sees that it is to stop.
        if TcpStream::connect(self.address).is_ok()
            && let Some(acceptor) = self.acceptor.take()
        {
            let _ = acceptor.join();
        }
    }
}

/// Answers every other request 503, until the peer has gone.
fn answer(stream: TcpStream, shared: &Shared) {
    let mut stream = BufReader::new(stream);
    while let Ok(body) = read_request(&mut stream) {
        let is_put_off = shared.requests.fetch_add(1, Ordering::Relaxed) % 2 == 1;
        let status = if is_put_off {
            shared.put_off.fetch_add(1, Ordering::Relaxed);
            "503 Service Unavailable"
        } else {
            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
            let subject = body["event_data"]["video_id"].as_str().unwrap_or_default();
            let mut taken = shared.taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.insert(subject.to_owned());
            "200 OK"
        };
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        if stream.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn read_request(stream: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value
                .trim()
                .parse()
                .map_err(|_| io::ErrorKind::InvalidData)?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(body)
}
