//! A receiver on loopback that answers as the test says and remembers what it got.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::watch};

/// What arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// How to answer the n-th request, counted from 0; `None` never answers.
type Answers = dyn Fn(usize, &Seen) -> Option<Response<Full<Bytes>>> + Send + Sync;

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) url: String,
    seen: watch::Sender<Vec<Seen>>,
    /// While it says so, answers wait.
    held: watch::Sender<bool>,
}

impl Server {
    pub(crate) async fn start(
        answers: impl Fn(usize) -> Option<Response<Full<Bytes>>> + Send + Sync + 'static,
    ) -> Self {
        Self::with_answers(Arc::new(move |index, _: &Seen| answers(index))).await
    }

    /// Answers with the status that it decides on for each request.
    #[cfg(feature = "drill")]
    pub(crate) async fn deciding(decide: impl Fn(&Seen) -> u16 + Send + Sync + 'static) -> Self {
        Self::with_answers(Arc::new(move |_, seen: &Seen| {
            let response = Response::builder().status(decide(seen));
            Some(response.body(Full::default()).unwrap())
        }))
        .await
    }

    async fn with_answers(answers: Arc<Answers>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let server = Self {
            url: format!("http://{}/webhooks/heygen", listener.local_addr().unwrap()),
            seen: watch::Sender::default(),
            held: watch::Sender::default(),
        };
        tokio::spawn(server.clone().accept(listener, answers));
        server
    }

    /// Answers with one status after the other, and with the last one from then on.
    pub(crate) async fn with_statuses(statuses: &'static [u16]) -> Self {
        Self::start(move |index| {
            let status = statuses[index.min(statuses.len() - 1)];
            Some(
                Response::builder()
                    .status(status)
                    .body(Full::from(format!("answer {index}")))
                    .unwrap(),
            )
        })
        .await
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    /// Waits for so many requests, answered or not.
    #[cfg(feature = "sandbox")]
    pub(crate) async fn until_seen(&self, count: usize) -> Vec<Seen> {
        let mut seen = self.seen.subscribe();
        let seen = seen.wait_for(|seen| seen.len() >= count).await;
        seen.unwrap().clone()
    }

    /// Keeps every answer back until [`release`](Self::release).
    #[cfg(feature = "sandbox")]
    pub(crate) fn hold(&self) {
        self.held.send_replace(true);
    }

    #[cfg(feature = "sandbox")]
    pub(crate) fn release(&self) {
        self.held.send_replace(false);
    }

    async fn accept(self, listener: TcpListener, answers: Arc<Answers>) {
        while let Ok((stream, _)) = listener.accept().await {
            let (server, answers) = (self.clone(), answers.clone());
            let service =
                service_fn(move |request| server.clone().answer(request, answers.clone()));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    }

    async fn answer(
        self,
        request: Request<Incoming>,
        answers: Arc<Answers>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let Ok(body) = body.collect().await else {
            // The other side has gone.
            return std::future::pending().await;
        };
        let seen = Seen {
            method: head.method,
            path: head.uri.path().to_owned(),
            headers: head.headers,
            body: body.to_bytes(),
        };
        let mut index = 0;
        self.seen.send_modify(|all| {
            index = all.len();
            all.push(seen.clone());
        });
        let mut held = self.held.subscribe();
        drop(held.wait_for(|held| !held).await.unwrap());
        match answers(index, &seen) {
            Some(response) => Ok(response),
            None => std::future::pending().await,
        }
    }
}
