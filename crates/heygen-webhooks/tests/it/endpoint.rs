//! An endpoint of another application: twenty lines in any language would do the same.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use serde_json::Value;

/// A request, as far as an endpoint of few lines looks at it.
pub(crate) struct Request {
    pub(crate) method: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Answers every request on a free port with the status that `answer` says, until the tests end.
pub(crate) fn start(answer: impl Fn(&Request) -> u16 + Send + Sync + 'static) -> String {
    answering(move |request| {
        let status = answer(request);
        format!(
            "HTTP/1.1 {status} <Answer>\r\nContent-Length: 8\r\nLocation: /elsewhere\r\nConnection: close\r\n\r\n<\x1b[31m&\""
        )
    })
}

/// As [`start`], with the whole answer.
pub(crate) fn answering(answer: impl Fn(&Request) -> String + Send + Sync + 'static) -> String {
    let answer = Arc::new(answer);
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let url = format!(
        "http://{}/webhook",
        listener.local_addr().expect("an address")
    );
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = Arc::clone(&answer);
            thread::spawn(move || serve(&stream, &*answer));
        }
    });
    url
}

/// What a first version looks like: no `OPTIONS`, no signature, and a `KeyError` for whatever is not as expected.
pub(crate) fn naive(request: &Request) -> u16 {
    if request.method != "POST" {
        return 405;
    }
    let Ok(event) = serde_json::from_slice::<Value>(&request.body) else {
        return 400;
    };
    let data = &event["event_data"];
    match event["event_type"].as_str() {
        Some("avatar_video.success") => match data["url"].as_str() {
            Some(url) if url.starts_with("https://") => 200,
            _ => 500,
        },
        Some("avatar_video.fail") => 200,
        _ => 400,
    }
}

fn serve(mut stream: &TcpStream, answer: &dyn Fn(&Request) -> String) {
    if let Some(request) = read(stream) {
        // The client may have gone.
        let _ = stream.write_all(answer(&request).as_bytes());
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut length = 0;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
        if name == "content-length" {
            length = value.parse().ok()?;
        }
        headers.push((name, value));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        method: first.split(' ').next()?.to_owned(),
        headers,
        body,
    })
}
