//! [`Sink`]: an application that takes what is forwarded to it, and puts off half of it.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use xtask_harness::event::subject;
use xtask_harness::ground::Home;
use xtask_harness::listener::{Answer, Listener};
use xtask_harness::server::Server;

/// Listens until it is dropped.
#[derive(Debug)]
pub(super) struct Sink {
    listener: Listener,
    put_off: Arc<AtomicU64>,
    taken: Arc<Mutex<BTreeSet<String>>>,
}

impl Sink {
    pub(super) fn start() -> Result<Self> {
        let (put_off, taken) = <(Arc<AtomicU64>, Arc<Mutex<BTreeSet<String>>>)>::default();
        let requests = AtomicU64::new(0);
        let answering = (Arc::clone(&put_off), Arc::clone(&taken));
        let listener = Listener::start(move |request| {
            let (put_off, taken) = &answering;
            if requests.fetch_add(1, Ordering::Relaxed) % 2 == 1 {
                put_off.fetch_add(1, Ordering::Relaxed);
                return Answer::ComeAgain;
            }
            let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.insert(subject(&request.body));
            Answer::Taken
        })?;
        Ok(Self {
            listener,
            put_off,
            taken,
        })
    }

    /// Starts a receiver whose failures are forwarded here, and soon once more where that is asked for; the rest it prints.
    pub(super) fn serve(&self, home: &Home, command: Command) -> Result<Server> {
        let rule = format!("*.fail=forward:http://{}/", self.listener.address());
        let on = [
            "--on",
            &rule,
            "--on",
            "*=print",
            "--retry-max-attempts",
            "10000",
        ];
        let retry = ["--retry-initial-delay", "0.05", "--retry-max-delay", "0.2"];
        home.serve_with(command, &[&on[..], &retry].concat())
    }

    /// How often it said to come again.
    pub(super) fn put_off(&self) -> u64 {
        self.put_off.load(Ordering::Relaxed)
    }

    /// The subjects of what it took.
    pub(super) fn taken(&self) -> BTreeSet<String> {
        let taken = self.taken.lock();
        taken.unwrap_or_else(PoisonError::into_inner).clone()
    }
}
