//! [`Outages`]: traffic through times in which nothing can be kept, and what must hold during and after them.

use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::event::Events;
use super::ground::Home;
use super::load::{Ledger, Load, deliver_all};
use super::server::Server;
use super::table::Row;
use crate::client::Client;

/// A receiver under load, whose files fail from time to time.
pub(super) struct Outages {
    server: Server,
    events: Events,
    next: Arc<AtomicU64>,
    load: Load,
    ledger: Ledger,
    times: u32,
    late: u32,
}

/// What they came to.
pub(super) struct Stopped {
    events: Events,
    ledger: Ledger,
    times: u32,
    late: u32,
    refused: u64,
    /// How the receiver ended that should not have.
    ended: Option<ExitStatus>,
}

impl Outages {
    pub(super) fn under_load(server: Server, events: Events) -> Self {
        let next = Arc::new(AtomicU64::new(0));
        Self {
            load: Load::start(server.address, CONNECTIONS, &events, &next, Vec::new()),
            server,
            events,
            next,
            ledger: Ledger::default(),
            times: 0,
            late: 0,
        }
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// How long an outage lasts, and how long it is until the next.
    pub(super) fn wait() {
        thread::sleep(BETWEEN);
    }

    /// One outage has ended: deliveries must be taken soon, without a restart.
    pub(super) fn is_over(&mut self) {
        self.times += 1;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if !takes_again(&self.server, &self.events, number, &mut self.ledger) {
            self.late += 1;
        }
    }

    /// Sends again what had no 2xx, and ends the receiver.
    pub(super) fn stop(mut self) -> Result<Stopped> {
        self.ledger.add(self.load.stop()?);
        let refused = self.ledger.refused.get(&503).copied().unwrap_or_default();
        let ended = self.server.ended()?;
        let again = self.ledger.unanswered();
        self.ledger
            .add(deliver_all(self.server.address, &again, |number| {
                self.events.request(number)
            }));
        self.server.stop()?;
        Ok(Stopped {
            events: self.events,
            ledger: self.ledger,
            times: self.times,
            late: self.late,
            refused,
            ended,
        })
    }
}

impl Stopped {
    /// What became of everything, of which the inbox is asked now.
    pub(super) fn row(self, name: &'static str, home: &Home) -> Result<Row> {
        let Self {
            events,
            ledger,
            times,
            late,
            refused,
            ended,
        } = self;
        let mut row = Row::new(name, 0, home.audit(&ledger, &events)?);
        row.note(format!(
            "{times} times, {refused} posts 503, {} without an answer",
            ledger.broken
        ));
        if refused == 0 {
            row.wrong("nothing was refused: no write failed");
        }
        if late > 0 {
            row.wrong(format!(
                "{late} times nothing was taken within {} s after it",
                PATIENCE_TRIES / 20
            ));
        }
        if let Some(status) = ended {
            row.wrong(format!("serve ended ({status})"));
        }
        if let Some(what) = ledger.unexpected() {
            row.wrong(what);
        }
        let unanswered = ledger.unanswered().len();
        if unanswered > 0 {
            row.wrong(format!("{unanswered} events were never taken"));
        }
        if let Some(flaws) = home.flaws()? {
            row.wrong(flaws);
        }
        Ok(row)
    }
}

/// Whether this event is taken within a few seconds; what came of each try is noted.
fn takes_again(server: &Server, events: &Events, number: u64, ledger: &mut Ledger) -> bool {
    let mut client = Client::new(server.address);
    for _ in 0..PATIENCE_TRIES {
        ledger.note(number, &client.exchange(&events.request(number)));
        if ledger.answered.contains(&number) {
            return true;
        }
        thread::sleep(Duration::from_millis(50));
    }
    false
}

const CONNECTIONS: usize = 16;
const BETWEEN: Duration = Duration::from_millis(300);

/// Of 50 ms.
const PATIENCE_TRIES: u32 = 200;
