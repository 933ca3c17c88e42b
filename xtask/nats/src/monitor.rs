//! The monitoring port of a server: JSON over HTTP.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A paused server takes connections and answers none.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The answer to `GET path`, when its status is 200.
pub(crate) fn get(address: SocketAddr, path: &str) -> Result<Value> {
    let answer = exchange(address, path).map_err(anyhow::Error::from);
    answer
        .and_then(|answer| read(&answer))
        .with_context(|| format!("ask http://{address}{path}"))
}

fn read(answer: &str) -> Result<Value> {
    let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP")?;
    match head.split_whitespace().nth(1) {
        Some("200") => serde_json::from_str(body).context("read the JSON"),
        status => bail!("status {}: {}", status.unwrap_or_default(), body.trim()),
    }
}

fn exchange(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // To HTTP/1.0 nothing comes in chunks, and the end of the connection is the end of the body.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(answer: &str, expected: &str) {
        let found = read(answer).map_or_else(|error| error.to_string(), |value| value.to_string());
        assert_eq!(found, expected);
    }

    #[test]
    fn only_json_with_status_200_is_an_answer() {
        check("HTTP/1.0 200 OK\r\n\r\n{\"a\": 1}", "{\"a\":1}");
        check(
            "HTTP/1.0 503 Service Unavailable\r\nA: b\r\n\r\n{\"status\":\"unavailable\"}\n",
            "status 503: {\"status\":\"unavailable\"}",
        );
        check("HTTP/1.0 200 OK\r\n\r\nhello", "read the JSON");
        check("hello", "no HTTP");
    }
}
