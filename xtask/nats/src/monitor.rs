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
    let answer = exchange(address, path).with_context(|| format!("ask http://{address}{path}"))?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .with_context(|| format!("http://{address}{path} did not answer in HTTP"))?;
    let status = head.split_whitespace().nth(1);
    if status != Some("200") {
        bail!(
            "http://{address}{path} answered {}: {}",
            status.unwrap_or("nothing"),
            body.trim()
        );
    }
    serde_json::from_str(body).with_context(|| format!("read the JSON of http://{address}{path}"))
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
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[track_caller]
    fn check(answer: &'static str, expected: &str) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).unwrap();
            assert!(request[..read].starts_with(b"GET /x?a=b HTTP/1.0\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let told = match get(address, "/x?a=b") {
            Ok(value) => value.to_string(),
            Err(error) => format!("{error:#}"),
        };
        server.join().unwrap();
        assert!(told.contains(expected), "{told}");
    }

    #[test]
    fn only_json_with_status_200_is_an_answer() {
        check("HTTP/1.0 200 OK\r\n\r\n{\"a\": 1}", "{\"a\":1}");
        check(
            "HTTP/1.0 503 Service Unavailable\r\nA: b\r\n\r\n{\"status\":\"unavailable\"}\n",
            "answered 503: {\"status\":\"unavailable\"}",
        );
        check("HTTP/1.0 200 OK\r\n\r\nhello", "read the JSON");
        check("hello", "did not answer in HTTP");
    }
}
