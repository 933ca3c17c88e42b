//! An application that takes so many requests a second, and says `Retry-After` to the others.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::event::{Events, subject};
use super::ground::Ground;
use super::listener::{Answer, Listener};
use super::load::deliver_all;
use super::table::Row;

pub(super) const WHAT: &str = "1,500 events for an application that answers 429 with `Retry-After: 1` beyond 20 requests in a second: \
with the default options every event is acknowledged, none is dead-lettered, and few requests are refused";

pub(super) fn run(ground: &Ground) -> Result<Row> {
    let count = ground.size(1500, 300);
    let home = ground.home("retry-after")?;
    let events = Events::new(format!("retry-after-{}", ground.seed()))?;
    let limiter = Arc::new(Mutex::new(Limiter::new()));
    let application = Listener::start({
        let limiter = limiter.clone();
        move |request| {
            let mut limiter = limiter.lock().unwrap_or_else(PoisonError::into_inner);
            limiter.answer(&subject(&request.body))
        }
    })?;
    let target = format!("http://{}/", application.address());
    let server = home.serve(&["--forward", &target])?;
    let numbers: Vec<u64> = (0..count).collect();
    let started = Instant::now();
    let ledger = deliver_all(server.address, &numbers, |number| events.request(number));
    let left = home.left_to_hand_out()?;
    let took = started.elapsed().as_secs();
    let states = home.listed("state")?;
    server.stop()?;

    let mut row = Row::new("retry-after", 0, home.audit(&ledger, &events)?);
    let dead = states.iter().filter(|state| is_dead(state)).count();
    let limiter = limiter.lock().unwrap_or_else(PoisonError::into_inner);
    let taken = limiter
        .taken
        .iter()
        .filter_map(|subject| events.number(subject))
        .collect::<BTreeSet<u64>>();
    row.note(format!(
        "{} requests taken, {} refused with 429; all acknowledged after {took} s",
        limiter.accepted, limiter.refused
    ));
    let missing = ledger.answered.difference(&taken).count();
    if left + missing + dead > 0 {
        row.wrong(format!(
            "{left} still wait, {missing} never reached the application, {dead} are dead-lettered"
        ));
    }
    if limiter.refused == 0 {
        row.wrong("nothing was refused");
    }
    if limiter.refused * 5 > limiter.accepted {
        row.wrong("more than a fifth as many requests were refused as were taken");
    }
    home.flaws()?.into_iter().for_each(|flaws| row.wrong(flaws));
    Ok(row)
}

fn is_dead(state: &str) -> bool {
    matches!(state, "dead" | "dead_lettered")
}

/// So many in each second.
struct Limiter {
    since: Instant,
    in_this_second: u32,
    accepted: u64,
    refused: u64,
    taken: BTreeSet<String>,
}

impl Limiter {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            in_this_second: 0,
            accepted: 0,
            refused: 0,
            taken: BTreeSet::new(),
        }
    }

    fn answer(&mut self, subject: &str) -> Answer {
        if self.since.elapsed() >= Duration::from_secs(1) {
            (self.since, self.in_this_second) = (Instant::now(), 0);
        }
        self.in_this_second += 1;
        if self.in_this_second > A_SECOND {
            self.refused += 1;
            return Answer::TooMany;
        }
        self.accepted += 1;
        self.taken.insert(subject.to_owned());
        Answer::Taken
    }
}

const A_SECOND: u32 = 20;
