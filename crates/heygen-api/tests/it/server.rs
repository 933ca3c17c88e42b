//! A server on loopback that plays a script and remembers what it was asked.
//!
//! It is written on bare TCP, because half of the script is what no HTTP library sends: answers
//! that break off.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use heygen_api::{Client, ClientBuilder, Credentials, RetryPolicy};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Long enough for a busy machine; nothing waits for it.
pub(crate) const AMPLE: Duration = Duration::from_secs(60);

pub(crate) const KEY: &str = "key-visible";

/// What arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    /// By name in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// What is sent back before the connection is closed.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Bytes(Vec<u8>),
    Silence,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl AsRef<str>) -> Self {
        Self::with_headers(status, "", body)
    }

    /// `headers` are whole lines.
    pub(crate) fn with_headers(status: u16, headers: &str, body: impl AsRef<str>) -> Self {
        let body = body.as_ref();
        let length = body.len();
        Self::Bytes(
            format!("HTTP/1.1 {status} \r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
                .into(),
        )
    }

    pub(crate) fn ok(body: impl AsRef<str>) -> Self {
        Self::new(200, body)
    }

    /// Closes without a word.
    pub(crate) fn nothing() -> Self {
        Self::Bytes(Vec::new())
    }

    /// The answer without its last bytes.
    pub(crate) fn cut_off(self) -> Self {
        match self {
            Self::Bytes(mut bytes) => {
                bytes.truncate(bytes.len() - 5);
                Self::Bytes(bytes)
            }
            Self::Silence => Self::Silence,
        }
    }

    /// The answer without its length, so that only its JSON tells where it ends.
    pub(crate) fn without_length(self) -> Self {
        match self {
            Self::Bytes(bytes) => {
                let text = String::from_utf8(bytes).unwrap();
                let lines = text
                    .split_inclusive("\r\n")
                    .filter(|line| !line.starts_with("content-length"));
                Self::Bytes(lines.collect::<String>().into())
            }
            Self::Silence => Self::Silence,
        }
    }
}

/// What to answer to the n-th request, counted from 0.
type Script = dyn Fn(&Seen, usize) -> Reply + Send + Sync;

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub(crate) async fn start(
        script: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let server = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            seen: Arc::default(),
        };
        tokio::spawn(server.clone().accept(listener, Arc::new(script)));
        server
    }

    /// Plays the replies one after the other, and the last one from then on.
    pub(crate) async fn playing(replies: impl Into<Vec<Reply>>) -> Self {
        let replies = replies.into();
        Self::start(move |_, index| replies[index.min(replies.len() - 1)].clone()).await
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The one request that arrived.
    #[track_caller]
    pub(crate) fn only(&self) -> Seen {
        let mut seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.remove(0)
    }

    /// A client that waits for nothing between its attempts.
    pub(crate) fn client(&self) -> Client {
        self.builder().build().unwrap()
    }

    pub(crate) fn builder(&self) -> ClientBuilder {
        Client::builder(Credentials::api_key(KEY))
            .base_url(&self.url)
            .timeout(AMPLE)
            .retry(RetryPolicy::default().with_initial_delay(Duration::ZERO))
    }

    async fn accept(self, listener: TcpListener, script: Arc<Script>) {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(self.clone().serve(stream, script.clone()));
        }
    }

    async fn serve(self, stream: TcpStream, script: Arc<Script>) {
        let mut stream = BufReader::new(stream);
        let Some(request) = read(&mut stream).await else {
            return;
        };
        let reply = {
            let mut seen = self.seen.lock().unwrap();
            let reply = script(&request, seen.len());
            seen.push(request);
            reply
        };
        match reply {
            Reply::Bytes(bytes) => {
                let _gone = stream.write_all(&bytes).await;
                let _gone = stream.shutdown().await;
            }
            // Until the client has lost its patience.
            Reply::Silence => {
                let _gone = stream.read_u8().await;
            }
        }
    }
}

/// `None` when the client went away before its request was whole.
async fn read(stream: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        stream
            .read_line(&mut line)
            .await
            .ok()
            .filter(|read| *read > 0)?;
        match line.trim_end() {
            "" => break,
            text => lines.push(text.to_owned()),
        }
    }
    let mut words = lines.first()?.split(' ').map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let headers: BTreeMap<_, _> = lines
        .iter()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Seen {
        method,
        target,
        headers,
        body: String::from_utf8(body).unwrap(),
    })
}
