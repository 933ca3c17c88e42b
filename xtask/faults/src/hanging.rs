//! One application that accepts and never answers, beside another that is well.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use xtask_harness::listener::Listener;

use crate::trial::wait;
use crate::{Row, Testbed, Trial};

pub(super) const WHAT: &str = "events for an application that accepts them and never answers, far more than may be in its hands, and \
then events for another: each of these is delivered within a second, and when the first application answers, it gets all of its own";

pub(super) fn run(testbed: &Testbed) -> Result<Row> {
    let (hanging, live) = (testbed.size(2000, 200), testbed.size(100, 20));
    let mut trial = Trial::new(testbed, "hanging")?;
    let is_well = Arc::new(AtomicBool::new(false));
    let may_answer = Arc::clone(&is_well);
    let hangs = Listener::start(move |_| {
        while !may_answer.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(20));
        }
        200
    })?;
    let answers = Listener::start(|_| 200)?;
    // Of four events one is a failure: those hang.
    let failures = format!("*.fail=forward:{}", hangs.url());
    let others = format!("*=forward:{}", answers.url());
    let server = trial.home.serve(&["--on", &failures, "--on", &others])?;
    trial.deliver(&server, (0..hanging).map(|number| 4 * number + 3));
    let (mut latest, mut late) = (Duration::ZERO, 0);
    for number in (0..live).map(|number| 4 * number) {
        let sent_at = Instant::now();
        trial.deliver(&server, [number]);
        let mut took = LONGEST_WAIT;
        wait(LONGEST_WAIT, || {
            let seen = answers.seen();
            let is_this = |subject: &str| trial.events.number(subject) == Some(number);
            let mut newest = seen.taken.iter().rev();
            let arrived = newest.find(|taken| is_this(&taken.subject));
            took = arrived.map_or(took, |taken| taken.at.duration_since(sent_at));
            arrived.is_some()
        });
        latest = latest.max(took);
        late += u32::from(took > Duration::from_secs(1));
    }
    is_well.store(true, Ordering::Relaxed);
    trial.report.note(format!(
        "{hanging} events for the application that hangs; {live} for the other, each delivered after at most {} ms",
        latest.as_millis()
    ));
    trial
        .report
        .wrong_if(late, "were delivered after more than 1 s");
    trial.settle(server, || [hangs.subjects(), answers.subjects()].concat())
}

const LONGEST_WAIT: Duration = Duration::from_secs(10);
