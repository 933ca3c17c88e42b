//! As much of a NATS client as these tests need: one request at a time, in the text that goes over the wire.

use std::io::{BufRead as _, BufReader, Error, Read as _, Result, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use xtask_nats::until;

/// Sends one request to a server and returns the JSON of the answer.
pub(crate) fn request(server: SocketAddr, subject: &str, body: &str) -> Result<Value> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let request = format!(
        "CONNECT {{\"verbose\":false}}\r\nSUB answer 1\r\nPUB {subject} answer {}\r\n{body}\r\n",
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(Error::other("the server closed the connection"));
        }
        if line.starts_with("PING") {
            stream.write_all(b"PONG\r\n")?;
        } else if line.starts_with("MSG ") {
            let length = line.split_whitespace().last().unwrap_or_default();
            let mut answer = vec![0; length.parse().map_err(Error::other)?];
            reader.read_exact(&mut answer)?;
            return serde_json::from_slice(&answer).map_err(Error::from);
        } else if line.starts_with("-ERR") {
            return Err(Error::other(line));
        }
    }
}

/// Asks again until JetStream has answered with something else than an error.
///
/// A leader that was just elected refuses for a moment, or nobody listens yet, and what is sent then is lost.
pub(crate) fn ask(server: SocketAddr, subject: &str, body: &str) -> anyhow::Result<Value> {
    until("an answer of JetStream", || {
        let answer = request(server, subject, body).map_err(|error| error.to_string());
        Ok(answer.and_then(|answer| match &answer["error"] {
            Value::Null => Ok(answer),
            error => Err(error.to_string()),
        }))
    })
}

/// Makes a stream `KEPT` of the subjects `kept.>`, in files.
pub(crate) fn create_stream(server: SocketAddr, replicas: usize) -> anyhow::Result<Value> {
    let config = json!({
        "name": "KEPT",
        "subjects": ["kept.>"],
        "storage": "file",
        "retention": "limits",
        "num_replicas": replicas,
    });
    ask(server, "$JS.API.STREAM.CREATE.KEPT", &config.to_string())
}

/// Has `KEPT` take in a message, and returns its number.
pub(crate) fn publish(server: SocketAddr) -> anyhow::Result<u64> {
    let acknowledged = ask(server, "kept.it", "it")?;
    acknowledged["seq"]
        .as_u64()
        .context("an acknowledgement has no number")
}

/// How many messages `KEPT` has.
pub(crate) fn messages(server: SocketAddr) -> anyhow::Result<Value> {
    let info = ask(server, "$JS.API.STREAM.INFO.KEPT", "")?;
    Ok(info["state"]["messages"].clone())
}
