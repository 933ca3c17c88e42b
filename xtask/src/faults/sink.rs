//! [`Sink`]: an application that takes what is forwarded to it, and puts off half of it.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;

use super::event::subject;
use super::ground::Home;
use super::listener::{Answer, Listener, Request};
use super::server::Server;

/// Listens until it is dropped.
#[derive(Debug)]
pub(super) struct Sink {
    listener: Listener,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    requests: AtomicU64,
    put_off: AtomicU64,
    taken: Mutex<BTreeSet<String>>,
}

impl Sink {
    pub(super) fn start() -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let answering = shared.clone();
        let listener = Listener::start(move |request| answering.answer(request))?;
        Ok(Self { listener, shared })
    }

    /// Starts a receiver whose failures are forwarded here, and soon once more where that is asked for; the rest it prints.
    pub(super) fn serve(&self, home: &Home, command: Command) -> Result<Server> {
        let rule = format!("*.fail=forward:http://{}/", self.listener.address());
        let options = [
            "--on",
            &rule,
            "--on",
            "*=print",
            "--retry-first",
            "0.05",
            "--retry-longest",
            "0.2",
            "--attempts",
            "10000",
        ];
        home.serve_through(command, &options)
    }

    /// How often it said to come again.
    pub(super) fn put_off(&self) -> u64 {
        self.shared.put_off.load(Ordering::Relaxed)
    }

    /// The subjects of what it took.
    pub(super) fn taken(&self) -> BTreeSet<String> {
        self.shared
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Shared {
    /// Every other request is to come again.
    fn answer(&self, request: &Request) -> Answer {
        if self.requests.fetch_add(1, Ordering::Relaxed) % 2 == 1 {
            self.put_off.fetch_add(1, Ordering::Relaxed);
            return Answer::ComeAgain;
        }
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.insert(subject(&request.body));
        Answer::Taken
    }
}
