//! [`Trial`]: an inbox, the events that are sent to it, and what came of them; [`Row`]: what a fault did.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use xtask_harness::audit::{Audit, Ledger};
use xtask_harness::event::Events;
use xtask_harness::load::{Load, deliver_all};
use xtask_harness::report::Report;
use xtask_harness::server::Server;
use xtask_harness::testbed::Home;

use crate::Testbed;

pub(super) struct Trial {
    pub(super) home: Home,
    pub(super) events: Events,
    pub(super) ledger: Ledger,
    pub(super) report: Report,
    /// The number of the next new event of a load.
    pub(super) next: Arc<AtomicU64>,
    /// Makes the POST of an event, where it is not one of a load.
    pub(super) request: fn(&Events, u64) -> Vec<u8>,
}

impl Trial {
    pub(super) fn new(testbed: &Testbed, name: &str) -> Result<Self> {
        Self::of(testbed, name, format!("{name}-{}", testbed.options.seed))
    }

    /// In a folder of this name, with events of this prefix.
    pub(super) fn of(testbed: &Testbed, name: &str, prefix: impl Into<String>) -> Result<Self> {
        Ok(Self {
            home: testbed.home(name)?,
            events: Events::new(prefix)?,
            ledger: Ledger::default(),
            report: Report::default(),
            next: Arc::default(),
            request: Events::request,
        })
    }

    /// Connections that deliver: first what had no 2xx, then new events.
    pub(super) fn load(&self, server: &Server, connections: usize) -> Load {
        let again = self.ledger.unanswered();
        Load::start(server.address, connections, &self.events, &self.next, again)
    }

    /// Delivers these, each until it gets a 2xx.
    pub(super) fn deliver(&mut self, server: &Server, numbers: impl IntoIterator<Item = u64>) {
        let request = |number| (self.request)(&self.events, number);
        let delivered = deliver_all(server.address, numbers, request);
        self.ledger.add(delivered);
    }

    /// Delivers what had no 2xx.
    pub(super) fn deliver_again(&mut self, server: &Server) {
        self.deliver(server, self.ledger.unanswered());
    }

    /// The end of a fault: delivers what had no 2xx, stops the server, and looks.
    pub(super) fn end(&mut self, server: Server) -> Result<Row> {
        self.deliver_again(&server);
        server.stop()?;
        self.look()
    }

    /// The same, and waits meanwhile until all is dispatched; `reached` are the subjects that handlers got, beside what the server
    /// printed.
    pub(super) fn settle(
        &mut self,
        server: Server,
        reached: impl FnOnce() -> Vec<String>,
    ) -> Result<Row> {
        self.deliver_again(&server);
        let left = self.home.left()?;
        let mut handled = server.stop()?;
        handled.extend(reached());
        let handled = handled
            .iter()
            .filter_map(|subject| self.events.number(subject));
        let missing = self.ledger.answered.difference(&handled.collect()).count();
        self.report.wrong_if(left, "were not dispatched until done");
        self.report.wrong_if(missing, "events reached no handler");
        self.report.wrong.extend(self.ledger.unexpected());
        self.look()
    }

    /// Lists the inbox, compares it with what was answered, and checks the file.
    pub(super) fn look(&mut self) -> Result<Row> {
        let audit = self.audit()?;
        let unanswered = self.ledger.unanswered().len();
        self.report.wrong_if(unanswered, "events were never taken");
        self.report.wrong.extend(self.home.flaws()?);
        Ok(Row {
            audit,
            report: mem::take(&mut self.report),
            ..Row::default()
        })
    }

    pub(super) fn audit(&self) -> Result<Audit> {
        self.home.audit(&self.ledger, &self.events)
    }
}

/// What a fault did. There is no row without an audit.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) kills: u64,
    pub(super) audit: Audit,
    pub(super) report: Report,
}

impl Row {
    pub(super) fn is_sound(&self) -> bool {
        self.audit.is_sound() && self.report.wrong.is_empty()
    }

    /// Adds what came of another inbox.
    pub(super) fn add(&mut self, other: Self) {
        self.kills += other.kills;
        self.audit.add(&other.audit);
        self.report.add(other.report);
    }

    /// Says of everything that is wrong when it was.
    pub(super) fn at(mut self, when: &str) -> Self {
        if !self.audit.is_sound() {
            self.report.wrong(format!("{:?}", self.audit));
        }
        for wrong in &mut self.report.wrong {
            *wrong = format!("{when}: {wrong}");
        }
        self
    }
}

/// Waits until it is so; `false` when that takes longer than `longest`.
pub(super) fn wait(longest: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while !is_so() {
        if started.elapsed() > longest {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
    true
}
