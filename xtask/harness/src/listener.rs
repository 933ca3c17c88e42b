//! [`Listener`]: an application that takes what is forwarded to it, or puts it off, and knows what it took.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::AppendHeaders;
use tokio::runtime::{Builder, Runtime};

use crate::event::subject;
use crate::server::Server;
use crate::testbed::Home;

/// Listens on loopback until it is dropped.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    runtime: Option<Runtime>,
}

/// What came to it.
#[derive(Debug, Default)]
pub struct Seen {
    /// In that order, and as often as it was taken.
    pub taken: Vec<Taken>,
    /// How often it said to come again.
    pub refused: u64,
}

/// A delivery that it took.
#[derive(Clone, Debug)]
pub struct Taken {
    /// With its slash.
    pub path: String,
    /// What an application drops duplicates by.
    pub id: String,
    /// What its body is about.
    pub subject: String,
    /// When it was answered.
    pub at: Instant,
}

/// One request, as far as its answer may depend on it.
#[derive(Debug, Default)]
pub struct Request {
    /// With its slash.
    pub path: String,
    /// As it came.
    pub body: Vec<u8>,
}

impl Listener {
    /// Answers every request with the status that `answer` says, which may block. 429 says to wait for a second.
    pub fn start(answer: impl Fn(&Request) -> u16 + Send + Sync + 'static) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(MOST_AT_A_TIME)
            .enable_all()
            .build()
            .context("start a runtime")?;
        let listening = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = runtime.block_on(listening).context("listen on loopback")?;
        let address = listener.local_addr().context("the address to listen on")?;
        let seen = Arc::<Mutex<Seen>>::default();
        let (answer, noting) = (Arc::new(answer), Arc::clone(&seen));
        let router = Router::new().fallback(move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let id = headers.get("heygen-webhooks-id");
            let id = id.and_then(|id| id.to_str().ok()).map(str::to_owned);
            let request = Request {
                path: uri.path().to_owned(),
                body: body.into(),
            };
            let (answer, noting) = (Arc::clone(&answer), Arc::clone(&noting));
            let answered = tokio::task::spawn_blocking(move || {
                let status = answer(&request);
                lock(&noting).note(status, request, id.unwrap_or_default());
                StatusCode::from_u16(status)
            });
            async move {
                let status = answered.await.ok().and_then(Result::ok);
                let status = status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
                let is_late = status == StatusCode::TOO_MANY_REQUESTS;
                (
                    status,
                    AppendHeaders(is_late.then_some(("retry-after", "1"))),
                )
            }
        });
        runtime.spawn(async move { axum::serve(listener, router).await });
        Ok(Self {
            address,
            seen,
            runtime: Some(runtime),
        })
    }

    /// One that puts off every second request.
    pub fn of_halves() -> Result<Self> {
        let requests = AtomicUsize::new(0);
        Self::start(move |_| [200, 503][requests.fetch_add(1, Ordering::Relaxed) % 2])
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same, to forward to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Starts a receiver whose failures are forwarded here, and soon once more where that is asked for; the rest it prints.
    pub fn serve(&self, home: &Home, command: Command) -> Result<Server> {
        let rule = format!("*.fail=forward:{}", self.url());
        let on = ["--on", &rule, "--on", "*=print"];
        let retry = "--retry-max-attempts 10000 --retry-initial-delay 0.05 --retry-max-delay 0.2";
        let retry: Vec<&str> = retry.split(' ').collect();
        home.serve_with(command, &[&on[..], &retry].concat())
    }

    /// What came so far.
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }

    /// Of what it took.
    pub fn subjects(&self) -> Vec<String> {
        let seen = self.seen();
        let subjects = seen.taken.iter().map(|taken| taken.subject.clone());
        subjects.collect()
    }
}

impl Seen {
    fn note(&mut self, status: u16, request: Request, id: String) {
        if status != 200 {
            self.refused += 1;
            return;
        }
        self.taken.push(Taken {
            subject: subject(&request.body),
            path: request.path,
            id,
            at: Instant::now(),
        });
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Nothing is left half done by a thread that panics.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// More than any receiver has under way.
const MOST_AT_A_TIME: usize = 1024;
