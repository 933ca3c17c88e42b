//! One application that accepts and never answers, beside another that is well.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::event::{Events, subject};
use super::ground::Ground;
use super::listener::{Answer, Listener};
use super::load::{Ledger, deliver_all};
use super::table::Row;

pub(super) const WHAT: &str = "events for an application that accepts them and never answers, far more than may be in its hands, and \
then events for another: each of these is delivered within a second, and when the first application answers, it gets all of its own";

pub(super) fn run(ground: &Ground) -> Result<Row> {
    let hanging = ground.size(2000, 200);
    let live = ground.size(100, 20);
    let home = ground.home("hanging")?;
    let events = Events::new(format!("hanging-{}", ground.seed()))?;
    let is_well = Arc::new(AtomicBool::new(false));
    let hangs = Listener::start({
        let is_well = is_well.clone();
        move |_| {
            while !is_well.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(20));
            }
            Answer::Taken
        }
    })?;
    let arrived = Arc::new(Mutex::new(BTreeMap::new()));
    let answers = Listener::start({
        let arrived = arrived.clone();
        move |request| {
            let mut arrived = arrived.lock().unwrap_or_else(PoisonError::into_inner);
            arrived
                .entry(subject(&request.body))
                .or_insert_with(Instant::now);
            Answer::Taken
        }
    })?;
    // Of four events one is a failure: those hang.
    let rules = [
        format!("*.fail=forward:http://{}/", hangs.address()),
        format!("*=forward:http://{}/", answers.address()),
    ];
    let server = home.serve(&["--on", &rules[0], "--on", &rules[1]])?;
    let mut ledger = Ledger::default();
    let send =
        |number: u64| deliver_all(server.address, &[number], |number| events.request(number));
    for number in 0..hanging {
        ledger.add(send(4 * number + 3));
    }
    let mut latest = Duration::ZERO;
    let mut late = 0;
    for number in 0..live {
        let number = 4 * number;
        let sent_at = Instant::now();
        ledger.add(send(number));
        let wanted = format!("hanging-{}-{number}", ground.seed());
        let took = wait_for(&arrived, &wanted).map(|at| at.duration_since(sent_at));
        latest = latest.max(took.unwrap_or(LONGEST_WAIT));
        late += u32::from(took.is_none_or(|took| took > Duration::from_secs(1)));
    }
    is_well.store(true, Ordering::Relaxed);
    let left = home.left_to_hand_out()?;
    server.stop()?;

    let mut row = Row::new("hanging", 0, home.audit(&ledger, &events)?);
    row.note(format!(
        "{hanging} events for the application that hangs; {live} for the other, each delivered after at most {} ms",
        latest.as_millis()
    ));
    if late > 0 {
        row.wrong(format!(
            "{late} of {live} were delivered after more than 1 s"
        ));
    }
    if left > 0 {
        row.wrong(format!("{left} still wait"));
    }
    home.flaws()?.into_iter().for_each(|flaws| row.wrong(flaws));
    Ok(row)
}

/// When it arrived; `None` when that takes too long.
fn wait_for(arrived: &Mutex<BTreeMap<String, Instant>>, subject: &str) -> Option<Instant> {
    let started = Instant::now();
    while started.elapsed() < LONGEST_WAIT {
        let found = arrived
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(subject)
            .copied();
        if found.is_some() {
            return found;
        }
        thread::sleep(Duration::from_millis(2));
    }
    None
}

const LONGEST_WAIT: Duration = Duration::from_secs(10);
