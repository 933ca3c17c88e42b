//! An application that takes so many requests a second, and says `Retry-After` to the others.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::Result;
use xtask_harness::listener::{Listener, lock};

use crate::{Row, Testbed, Trial};

pub(super) const WHAT: &str = "1,500 events for an application that answers 429 with `Retry-After: 1` beyond 20 requests in a second: \
with the default options every event is acknowledged, none is dead-lettered, and few requests are refused";

pub(super) fn run(testbed: &Testbed) -> Result<Row> {
    let events = testbed.size(1500, 300);
    let mut trial = Trial::new(testbed, "retry-after")?;
    // When this second began, and how many requests came in it.
    let second = Mutex::new((Instant::now(), 0));
    let sink = Listener::start(move |_| {
        let mut second = lock(&second);
        if second.0.elapsed() >= Duration::from_secs(1) {
            *second = (Instant::now(), 0);
        }
        second.1 += 1;
        match second.1 {
            ..=A_SECOND => 200,
            _ => 429,
        }
    })?;
    let server = trial.home.serve(&["--forward", &sink.url()])?;
    let started = Instant::now();
    trial.deliver(&server, 0..events);
    let mut took = Duration::ZERO;
    let mut row = trial.settle(server, || {
        took = started.elapsed();
        sink.subjects()
    })?;
    let dead = trial.home.kept(trial.home.inbox(), &["dead_lettered"])?;
    let report = &mut row.report;
    report.wrong_if(dead, "are dead-lettered");
    let seen = sink.seen();
    let (taken, refused) = (seen.taken.len() as u64, seen.refused);
    report.note(format!(
        "{taken} requests taken, {refused} refused with 429; all acknowledged after {} s",
        took.as_secs()
    ));
    if refused == 0 {
        report.wrong("nothing was refused");
    }
    if refused * 5 > taken {
        report.wrong("more than a fifth as many requests were refused as were taken");
    }
    Ok(row)
}

const A_SECOND: u32 = 20;
