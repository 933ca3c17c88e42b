//! One application that accepts and never answers, beside another that is well.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use xtask_harness::event::{Events, subject};
use xtask_harness::listener::{Answer, Listener};
use xtask_harness::load::deliver_all;
use xtask_harness::report::Report;

use crate::{Ground, Row};

pub(super) const WHAT: &str = "events for an application that accepts them and never answers, far more than may be in its hands, and \
then events for another: each of these is delivered within a second, and when the first application answers, it gets all of its own";

pub(super) fn run(ground: &Ground) -> Result<Row> {
    let (hanging, live) = (ground.size(2000, 200), ground.size(100, 20));
    let home = ground.home("hanging")?;
    let events = Events::new(format!("hanging-{}", ground.seed))?;
    let is_well = Arc::new(AtomicBool::new(false));
    let arrived = Arc::<Mutex<BTreeMap<String, Instant>>>::default();
    let application = |may_hang: bool| {
        let (is_well, arrived) = (Arc::clone(&is_well), Arc::clone(&arrived));
        Listener::start(move |request| {
            while may_hang && !is_well.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(20));
            }
            let mut arrived = arrived.lock().unwrap_or_else(PoisonError::into_inner);
            let subject = subject(&request.body);
            arrived.entry(subject).or_insert_with(Instant::now);
            Answer::Taken
        })
    };
    let (hangs, answers) = (application(true)?, application(false)?);
    // Of four events one is a failure: those hang.
    let failures = format!("*.fail=forward:http://{}/", hangs.address());
    let others = format!("*=forward:http://{}/", answers.address());
    let server = home.serve(&["--on", &failures, "--on", &others])?;
    let send = |numbers: &mut dyn Iterator<Item = u64>| {
        deliver_all(server.address, numbers, |number| events.request(number))
    };
    let mut ledger = send(&mut (0..hanging).map(|number| 4 * number + 3));
    let (mut latest, mut late) = (Duration::ZERO, 0);
    for number in (0..live).map(|number| 4 * number) {
        let sent_at = Instant::now();
        ledger.add(send(&mut [number].into_iter()));
        let subject = format!("hanging-{}-{number}", ground.seed);
        let took = wait_for(&arrived, &subject).map(|at| at.duration_since(sent_at));
        latest = latest.max(took.unwrap_or(LONGEST_WAIT));
        late += u32::from(took.is_none_or(|took| took > Duration::from_secs(1)));
    }
    is_well.store(true, Ordering::Relaxed);
    let mut report = Report::default();
    report.note(format!(
        "{hanging} events for the application that hangs; {live} for the other, each delivered after at most {} ms",
        latest.as_millis()
    ));
    report.wrong_if(late, "were delivered after more than 1 s");
    let reached = || {
        arrived
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .keys()
            .cloned()
            .collect()
    };
    let audit = home.settle(server, &mut ledger, &events, reached, &mut report)?;
    Ok(Row {
        kills: 0,
        audit,
        report,
    })
}

/// When it arrived; `None` when that takes too long.
fn wait_for(arrived: &Mutex<BTreeMap<String, Instant>>, subject: &str) -> Option<Instant> {
    let started = Instant::now();
    while started.elapsed() < LONGEST_WAIT {
        let arrived = arrived.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = arrived.get(subject) {
            return Some(*at);
        }
        drop(arrived);
        thread::sleep(Duration::from_millis(2));
    }
    None
}

const LONGEST_WAIT: Duration = Duration::from_secs(10);
