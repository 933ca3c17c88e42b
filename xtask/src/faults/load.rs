//! [`Load`]: many connections that deliver until they are stopped, and [`Ledger`]: what they were answered.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, anyhow};

use super::event::Events;
use crate::client::Client;

/// What was sent, and what came of it. Events go by their numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    /// POSTs sent, those that were sent again included.
    pub(super) requests: u64,
    /// Every event that was ever sent.
    pub(super) sent: BTreeSet<u64>,
    /// Every event that was answered 2xx.
    pub(super) answered: BTreeSet<u64>,
    /// How often which other status came.
    pub(super) refused: BTreeMap<u16, u64>,
    /// POSTs without an answer: the connection broke.
    pub(super) broken: u64,
}

impl Ledger {
    /// Notes what came of one POST.
    pub(super) fn note(&mut self, number: u64, status: &io::Result<u16>) {
        self.requests += 1;
        self.sent.insert(number);
        match status {
            Ok(200..=299) => {
                self.answered.insert(number);
            }
            Ok(status) => *self.refused.entry(*status).or_default() += 1,
            Err(_) => self.broken += 1,
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.sent.extend(other.sent);
        self.answered.extend(other.answered);
        self.broken += other.broken;
        for (status, count) in other.refused {
            *self.refused.entry(status).or_default() += count;
        }
    }

    /// What HeyGen would send again.
    pub(super) fn unanswered(&self) -> Vec<u64> {
        self.sent.difference(&self.answered).copied().collect()
    }

    /// Statuses other than 2xx and 503, told as something that is wrong.
    pub(super) fn unexpected(&self) -> Option<String> {
        let other: Vec<String> = self
            .refused
            .iter()
            .filter(|(status, _)| **status != 503)
            .map(|(status, count)| format!("{count} answers {status}"))
            .collect();
        (!other.is_empty()).then(|| other.join(", "))
    }
}

/// Connections that deliver.
#[derive(Debug)]
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Ledger>>,
}

impl Load {
    /// Starts `connections` that deliver first what is in `again`, then new events numbered by `next`.
    pub(super) fn start(
        address: SocketAddr,
        connections: usize,
        events: &Events,
        next: &Arc<AtomicU64>,
        again: Vec<u64>,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let again = Arc::new(Mutex::new(again));
        let clients = (0..connections)
            .map(|_| {
                let (stop, next, again) = (stop.clone(), next.clone(), again.clone());
                let events = events.clone();
                thread::spawn(move || {
                    let take = || {
                        let again = again.lock().unwrap_or_else(PoisonError::into_inner).pop();
                        again.unwrap_or_else(|| next.fetch_add(1, Ordering::Relaxed))
                    };
                    deliver(address, &events, &stop, take)
                })
            })
            .collect();
        Self { stop, clients }
    }

    /// Lets every connection finish the request it is at.
    pub(super) fn stop(self) -> Result<Ledger> {
        self.stop.store(true, Ordering::Relaxed);
        let mut ledger = Ledger::default();
        for client in self.clients {
            ledger.add(client.join().map_err(|_| anyhow!("a client panicked"))?);
        }
        Ok(ledger)
    }
}

fn deliver(
    address: SocketAddr,
    events: &Events,
    stop: &AtomicBool,
    take: impl Fn() -> u64,
) -> Ledger {
    let mut client = Client::new(address);
    let mut ledger = Ledger::default();
    while !stop.load(Ordering::Relaxed) {
        let number = take();
        let status = client.exchange(&events.request(number));
        let is_taken = status.as_ref().is_ok_and(|status| *status < 300);
        ledger.note(number, &status);
        if !is_taken {
            // Whoever is turned away, or finds nobody, does not hammer.
            thread::sleep(Duration::from_millis(2));
        }
    }
    ledger
}

/// Delivers these, made by `request`, and nothing else, over one connection, until each was answered 2xx; gives up after some time.
pub(super) fn deliver_all(
    address: SocketAddr,
    numbers: &[u64],
    request: impl Fn(u64) -> Vec<u8>,
) -> Ledger {
    let mut client = Client::new(address);
    let mut ledger = Ledger::default();
    for &number in numbers {
        for _ in 0..TRIES {
            ledger.note(number, &client.exchange(&request(number)));
            if ledger.answered.contains(&number) {
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
    ledger
}

const TRIES: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_tells_what_heygen_would_send_again() {
        let mut ledger = Ledger::default();
        ledger.note(1, &Ok(200));
        ledger.note(2, &Ok(503));
        ledger.note(3, &Err(io::ErrorKind::ConnectionReset.into()));
        assert_eq!(ledger.unanswered(), [2, 3]);
        assert_eq!(ledger.unexpected(), None);

        let mut more = Ledger::default();
        more.note(2, &Ok(200));
        more.note(4, &Ok(500));
        ledger.add(more);
        assert_eq!(ledger.unanswered(), [3, 4]);
        assert_eq!(ledger.requests, 5);
        assert_eq!(ledger.unexpected().as_deref(), Some("1 answers 500"));
    }
}
