//! [`Load`]: many connections that deliver until they are stopped.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::audit::Ledger;
use crate::client::Client;
use crate::event::Events;

/// Connections that deliver.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Ledger>>,
}

impl Load {
    /// Starts `connections` that deliver first what is in `again`, then new events numbered by `next`.
    #[must_use]
    pub fn start(
        address: SocketAddr,
        connections: usize,
        events: &Events,
        next: &Arc<AtomicU64>,
        again: Vec<u64>,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let again = Arc::new(Mutex::new(again));
        let connect = |_| {
            let (stop, next, again) = (stop.clone(), next.clone(), again.clone());
            let events = events.clone();
            thread::spawn(move || {
                let mut client = Client::new(address);
                let mut ledger = Ledger::default();
                while !stop.load(Ordering::Relaxed) {
                    let again = again.lock().unwrap_or_else(PoisonError::into_inner).pop();
                    let number = again.unwrap_or_else(|| next.fetch_add(1, Ordering::Relaxed));
                    let status = client.exchange(&events.request(number));
                    ledger.note(number, &status);
                    if !matches!(status, Ok(200..=299)) {
                        // Who is rejected, or finds no one, does not hammer.
                        thread::sleep(Duration::from_millis(2));
                    }
                }
                ledger
            })
        };
        let clients = (0..connections).map(connect).collect();
        Self { stop, clients }
    }

    /// Lets every connection finish the request it is at.
    pub fn stop(self) -> Result<Ledger> {
        self.stop.store(true, Ordering::Relaxed);
        let mut ledger = Ledger::default();
        for client in self.clients {
            ledger.add(client.join().map_err(|_| anyhow!("a client panicked"))?);
        }
        Ok(ledger)
    }
}

/// Delivers these, made by `request`, over one connection, until each was answered 2xx; gives up after some time.
pub fn deliver_all(
    address: SocketAddr,
    numbers: impl IntoIterator<Item = u64>,
    request: impl Fn(u64) -> Vec<u8>,
) -> Ledger {
    let mut client = Client::new(address);
    let mut ledger = Ledger::default();
    for number in numbers {
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
