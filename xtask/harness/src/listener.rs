//! [`Listener`]: an application that takes what is forwarded.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use tokio::runtime::{Builder, Runtime};

/// Listens on loopback until it is dropped.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    runtime: Option<Runtime>,
}

/// One request, as far as it matters here.
#[derive(Debug, Default)]
pub struct Request {
    /// With its slash.
    pub path: String,
    /// Of the delivery: what an application drops duplicates by.
    pub id: String,
    /// As it came.
    pub body: Vec<u8>,
}

/// What is said to a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// 200
    Taken,
    /// 503
    ComeAgain,
    /// 429: not before a second has passed.
    TooMany,
}

impl Listener {
    /// Answers every request as `answer` says, which may block.
    pub fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(MOST_AT_A_TIME)
            .enable_all()
            .build()
            .context("start a runtime")?;
        let listening = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = runtime.block_on(listening).context("listen on loopback")?;
        let address = listener.local_addr().context("the address to listen on")?;
        let answer = Arc::new(answer);
        let router = Router::new().fallback(move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let id = headers.get("heygen-webhooks-id");
            let request = Request {
                path: uri.path().to_owned(),
                id: id
                    .and_then(|id| id.to_str().ok())
                    .unwrap_or_default()
                    .to_owned(),
                body: body.into(),
            };
            let answer = Arc::clone(&answer);
            let answered = tokio::task::spawn_blocking(move || answer(&request));
            async move {
                match answered.await {
                    Ok(Answer::Taken) => Ok(StatusCode::OK),
                    Ok(Answer::TooMany) => {
                        Err((StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")]))
                    }
                    Ok(Answer::ComeAgain) | Err(_) => Ok(StatusCode::SERVICE_UNAVAILABLE),
                }
            }
        });
        runtime.spawn(async move { axum::serve(listener, router).await });
        Ok(Self {
            address,
            runtime: Some(runtime),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// More than any receiver has under way.
const MOST_AT_A_TIME: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;

    #[test]
    fn requests_are_read_and_answered() {
        let listener =
            Listener::start(
                |request| match (&*request.path, &*request.id, &*request.body) {
                    ("/0", "7-a", b"{}") => Answer::Taken,
                    ("/1", "", b"") => Answer::TooMany,
                    _ => Answer::ComeAgain,
                },
            );
        let listener = listener.unwrap();
        let mut client = Client::new(listener.address());
        let first = b"POST /0 HTTP/1.1\r\nHost: a\r\nheygen-webhooks-id: 7-a\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(client.exchange(first).unwrap(), 200);
        let second = b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(client.exchange(second).unwrap(), 429);
        let third = b"POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(client.exchange(third).unwrap(), 503);
    }
}
