//! [`Sink`]: an application that takes what is forwarded to it, or puts it off.

use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::Result;
use xtask_harness::event::subject;
use xtask_harness::listener::{Answer, Listener, Request};
use xtask_harness::server::Server;
use xtask_harness::testbed::Home;

/// Listens until it is dropped.
#[derive(Debug)]
pub(super) struct Sink {
    listener: Listener,
    seen: Arc<Mutex<Seen>>,
}

/// What came to it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// In that order, and as often as it was taken.
    pub(super) taken: Vec<Taken>,
    /// How often it said to come again.
    pub(super) refused: u64,
}

/// A delivery that it took.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) path: String,
    pub(super) id: String,
    pub(super) subject: String,
    pub(super) at: Instant,
}

impl Sink {
    /// One that answers so, which may take its time.
    pub(super) fn start(
        answer: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Result<Self> {
        let seen = Arc::<Mutex<Seen>>::default();
        let noting = Arc::clone(&seen);
        let listener = Listener::start(move |request| {
            let answer = answer(request);
            let mut seen = lock(&noting);
            match answer {
                Answer::Taken => seen.taken.push(Taken {
                    path: request.path.clone(),
                    id: request.id.clone(),
                    subject: subject(&request.body),
                    at: Instant::now(),
                }),
                _ => seen.refused += 1,
            }
            answer
        })?;
        Ok(Self { listener, seen })
    }

    /// One that puts off every second request.
    pub(super) fn of_halves() -> Result<Self> {
        let requests = AtomicU64::new(0);
        Self::start(
            move |_| match requests.fetch_add(1, Ordering::Relaxed) % 2 {
                0 => Answer::Taken,
                _ => Answer::ComeAgain,
            },
        )
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.listener.address())
    }

    /// Starts a receiver whose failures are forwarded here, and soon once more where that is asked for; the rest it prints.
    pub(super) fn serve(&self, home: &Home, command: Command) -> Result<Server> {
        let rule = format!("*.fail=forward:{}", self.url());
        let on = ["--on", &rule, "--on", "*=print"];
        let retry = "--retry-max-attempts 10000 --retry-initial-delay 0.05 --retry-max-delay 0.2";
        let retry: Vec<&str> = retry.split(' ').collect();
        home.serve_with(command, &[&on[..], &retry].concat())
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }

    /// Of what it took.
    pub(super) fn subjects(&self) -> Vec<String> {
        let seen = self.seen();
        let subjects = seen.taken.iter().map(|taken| taken.subject.clone());
        subjects.collect()
    }
}

/// Nothing is left half done by a thread that panics.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
