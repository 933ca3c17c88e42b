//! An application that takes so many requests a second, and says `Retry-After` to the others.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use xtask_harness::event::{Events, subject};
use xtask_harness::listener::{Answer, Listener};
use xtask_harness::load::deliver_all;
use xtask_harness::report::Report;

use crate::{Ground, Row};

pub(super) const WHAT: &str = "1,500 events for an application that answers 429 with `Retry-After: 1` beyond 20 requests in a second: \
with the default options every event is acknowledged, none is dead-lettered, and few requests are refused";

pub(super) fn run(ground: &Ground) -> Result<Row> {
    let count = ground.size(1500, 300);
    let home = ground.home("retry-after")?;
    let events = Events::new(format!("retry-after-{}", ground.seed))?;
    let limiter = Arc::<Mutex<Limiter>>::default();
    let answering = Arc::clone(&limiter);
    let application = Listener::start(move |request| {
        let mut limiter = answering.lock().unwrap_or_else(PoisonError::into_inner);
        limiter.answer(subject(&request.body))
    })?;
    let server = home.serve(&["--forward", &format!("http://{}/", application.address())])?;
    let started = Instant::now();
    let request = |number| events.request(number);
    let mut ledger = deliver_all(server.address, 0..count, request);
    let mut report = Report::default();
    let mut took = Duration::ZERO;
    let limiter = || limiter.lock().unwrap_or_else(PoisonError::into_inner);
    let reached = || {
        took = started.elapsed();
        limiter().taken.iter().cloned().collect()
    };
    let audit = home.settle(server, &mut ledger, &events, reached, &mut report)?;
    let is_dead = |state: Option<&str>| matches!(state, Some("dead_lettered"));
    let records = home.records()?;
    let dead = records
        .iter()
        .filter(|record| is_dead(record["state"].as_str()));
    report.wrong_if(dead.count(), "are dead-lettered");
    let Limiter {
        accepted, refused, ..
    } = &*limiter();
    report.note(format!(
        "{accepted} requests taken, {refused} refused with 429; all acknowledged after {} s",
        took.as_secs()
    ));
    if *refused == 0 {
        report.wrong("nothing was refused");
    }
    if refused * 5 > *accepted {
        report.wrong("more than a fifth as many requests were refused as were taken");
    }
    Ok(Row {
        kills: 0,
        audit,
        report,
    })
}

/// So many in each second.
#[derive(Debug, Default)]
struct Limiter {
    since: Option<Instant>,
    in_this_second: u32,
    accepted: u64,
    refused: u64,
    taken: BTreeSet<String>,
}

impl Limiter {
    fn answer(&mut self, subject: String) -> Answer {
        if self
            .since
            .is_none_or(|since| since.elapsed() >= Duration::from_secs(1))
        {
            (self.since, self.in_this_second) = (Some(Instant::now()), 0);
        }
        self.in_this_second += 1;
        if self.in_this_second > A_SECOND {
            self.refused += 1;
            return Answer::TooMany;
        }
        self.accepted += 1;
        self.taken.insert(subject);
        Answer::Taken
    }
}

const A_SECOND: u32 = 20;
