//! The wall clock jumps by hours, forwards and backwards, while deliveries are kept, dispatched, put off and pruned.

use std::collections::BTreeSet;
use std::ops::Range;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use xtask_harness::listener::Listener;
use xtask_harness::probes::Prober;
use xtask_harness::testbed::output_text;

use crate::shim::Shim;
use crate::{Row, Testbed, Trial, random};

pub(super) const WHAT: &str = "the wall clock jumps by hours, forwards and backwards, while 16 connections deliver, handlers say done \
or retry, and old deliveries are pruned: no post fails by it, ids are unique, everything is dispatched until done";

pub(super) fn run(testbed: &Testbed) -> Result<Row> {
    let jumps = testbed.size(30, 5);
    let mut random = random(testbed, "clock");
    let mut trial = Trial::new(testbed, "clock")?;
    let shim = Shim::new(trial.home.inbox())?;
    // Deliveries of long ago, all of them done.
    let old = OLD.map(|number| trial.events.line(number, "acknowledged"));
    trial.home.import(&old.collect::<String>())?;
    let sink = Listener::of_halves()?;
    let server = sink.serve(&trial.home, shim.command(&trial.home))?;
    let prober = Prober::start(server.address);
    let load = trial.load(&server, CONNECTIONS);
    let mut pruned = 0;
    for jump in 0..jumps {
        thread::sleep(BETWEEN);
        shim.set_clock(random.i64(-MOST_HOURS..=MOST_HOURS) * 3600)?;
        if jump % 3 == 2 {
            // By a clock that jumps as well. Nothing that was posted is that old.
            let words = ["inbox", "prune", "--older-than", "30d", "--yes"];
            let output = trial.home.run_with(shim.command(&trial.home), &words)?;
            match output.status.success() {
                true => pruned += 1,
                false => trial
                    .report
                    .wrong(format!("prune failed: {}", output_text(&output))),
            }
        }
    }
    let probes = prober.stop()?;
    trial.ledger = load.stop()?;
    let failed = trial.ledger.failed();
    trial.report.wrong_if(failed, "posts failed");
    trial.report.wrong.extend(probes.wrong());
    shim.set_clock(0)?;
    look_at_records(&mut trial)?;
    let mut row = trial.settle(server, || sink.subjects())?;
    row.report.note(format!(
        "{jumps} jumps to within {MOST_HOURS} hours of the true time, {pruned} times pruned meanwhile; handlers put off {} \
         deliveries; {}",
        sink.seen().refused,
        probes.summary()
    ));
    Ok(row)
}

/// Every record has an id of its own, the clock was indeed elsewhere now and then, and what is old is gone.
fn look_at_records(trial: &mut Trial) -> Result<()> {
    let records = trial.home.records()?;
    let texts = |name: &'static str| {
        records
            .iter()
            .filter_map(move |record| record[name].as_str())
    };
    let ids: BTreeSet<&str> = texts("id").collect();
    // `2026-01-01T12` of a time.
    let hours: BTreeSet<&str> = texts("received_at")
        .filter_map(|time| time.get(..13))
        .collect();
    let old = texts("subject_id")
        .filter_map(|subject| trial.events.number(subject))
        .filter(|number| OLD.contains(number))
        .count();
    let report = &mut trial.report;
    report.wrong_if(
        records.len() - ids.len(),
        "records share an id with another",
    );
    if hours.len() < 3 {
        report.wrong("the clock did not jump");
    }
    report.wrong_if(old, "old deliveries were not pruned");
    Ok(())
}

/// Numbers that no post has.
const OLD: Range<u64> = 1_000_000_000..1_000_000_400;

const CONNECTIONS: usize = 16;
const BETWEEN: Duration = Duration::from_millis(400);
const MOST_HOURS: i64 = 12;
