//! An application over HTTP/1.1, by hand: what it answers is what the test wrote, to the byte.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What it was sent.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Counts connections from 0.
    pub(crate) connection: usize,
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn all(&self, name: &str) -> Vec<&[u8]> {
        let found = self.headers.iter().filter(|(known, _)| known == name);
        found.map(|(_, value)| value.as_slice()).collect()
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        match self.all(name).as_slice() {
            [value] => str::from_utf8(value).unwrap(),
            values => panic!("{name} comes {} times", values.len()),
        }
    }
}

/// Answers until it is dropped.
pub(crate) struct Application {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    _serving: JoinSet<()>,
}

impl Application {
    /// It answers with what `answer` makes of the number of the request, from 0. `None` is no
    /// answer at all.
    pub(crate) async fn start(
        answer: impl Fn(usize) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let received = Arc::clone(&requests);
        let answer = Arc::new(answer);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = connections.len();
                let (received, answer) = (Arc::clone(&received), Arc::clone(&answer));
                connections.spawn(serve(stream, number, received, answer));
            }
        });
        Self {
            url,
            requests,
            _serving: serving,
        }
    }

    pub(crate) async fn always(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |_| Some(answer.clone())).await
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    received: Arc<Mutex<Vec<Request>>>,
    answer: Arc<impl Fn(usize) -> Option<Vec<u8>>>,
) {
    let mut unread = Vec::new();
    while let Some(request) = next(&mut stream, &mut unread, connection).await {
        let number = {
            let mut received = received.lock().unwrap();
            received.push(request);
            received.len() - 1
        };
        match answer(number) {
            // A client that reads no further misses the rest.
            Some(bytes) => drop(stream.write_all(&bytes).await),
            None => std::future::pending().await,
        }
    }
}

async fn next(stream: &mut TcpStream, unread: &mut Vec<u8>, connection: usize) -> Option<Request> {
    let head_end = loop {
        if let Some(at) = unread.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        read_more(stream, unread).await?;
    };
    let head: Vec<u8> = unread.drain(..head_end).collect();
    let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let line = String::from_utf8(lines.next()?.to_vec()).unwrap();
    let headers: Vec<_> = lines
        .filter(|line| !line.is_empty())
        .map(|line| {
            let colon = line.iter().position(|byte| *byte == b':').unwrap();
            let name = String::from_utf8(line[..colon].to_vec()).unwrap();
            let value = line[colon + 1..].trim_ascii().to_vec();
            (name.to_ascii_lowercase(), value)
        })
        .collect();
    let mut request = Request {
        connection,
        line,
        headers,
        body: Vec::new(),
    };
    let length: usize = request.header("content-length").parse().unwrap();
    while unread.len() < length {
        read_more(stream, unread).await?;
    }
    request.body = unread.drain(..length).collect();
    Some(request)
}

async fn read_more(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<()> {
    match stream.read_buf(unread).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(()),
    }
}

/// A whole answer.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n{body}").into_bytes()
}
