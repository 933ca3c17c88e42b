//! [`Client`]: one connection of HTTP/1.1, on std alone.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Sends requests one after the other, over a connection that is made again when the last one ended.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    /// No connection is made yet.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            stream: None,
        }
    }

    /// Sends `request` and waits for its status.
    ///
    /// An error says nothing about whether the request was taken.
    pub fn exchange(&mut self, request: &[u8]) -> io::Result<u16> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => BufReader::new(connect(self.address)?),
        };
        stream.get_mut().write_all(request)?;
        let (status, goes_on) = read_answer(&mut stream)?;
        self.stream = goes_on.then_some(stream);
        Ok(status)
    }

    /// HeyGen's probe.
    pub fn probe(&mut self) -> io::Result<u16> {
        self.exchange(format!("OPTIONS {PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())
    }
}

/// A connection on which nothing waits for ever.
pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Reads one answer whole: its status, and whether the connection goes on.
pub fn read_answer(stream: &mut BufReader<TcpStream>) -> io::Result<(u16, bool)> {
    let line = read_line(stream)?;
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .ok_or(io::ErrorKind::InvalidData)?;
    let mut length = 0;
    let mut goes_on = true;
    loop {
        let line = read_line(stream)?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value
                .trim()
                .parse()
                .map_err(|_| io::ErrorKind::InvalidData)?;
        }
        if let Some(value) = line.strip_prefix("connection:") {
            goes_on = value.trim() != "close";
        }
    }
    io::copy(&mut stream.take(length), &mut io::sink())?;
    Ok((status, goes_on))
}

/// A line without its end. No line at all is an error: the peer has gone.
fn read_line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    line.truncate(line.trim_end().len());
    Ok(line)
}

/// Where deliveries go.
pub const PATH: &str = "/webhooks/heygen";

/// Longer than the receiver takes for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);
