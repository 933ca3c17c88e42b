//! The wall clock jumps by hours, forwards and backwards, while deliveries are kept, dispatched, put off and pruned.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::Duration;

use anyhow::Result;

use xtask_harness::event::Events;
use xtask_harness::ground::{Home, told};
use xtask_harness::load::Load;
use xtask_harness::probes::{Connection, Prober};
use xtask_harness::report::Report;

use crate::shim::Shim;
use crate::sink::Sink;
use crate::{Ground, Row};

pub(super) const WHAT: &str = "the wall clock jumps by hours, forwards and backwards, while 16 connections deliver, handlers say done \
or retry, and old deliveries are pruned: no post fails by it, ids are unique, everything is dispatched until done";

pub(super) fn run(ground: &Ground) -> Result<Row> {
    let jumps = ground.size(30, 5);
    let mut random = ground.random("clock");
    let (home, tools) = (ground.home("clock")?, ground.home("clock-shim")?);
    let shim = Shim::of(tools, home.inbox())?;
    shim.set_clock(0)?;
    let events = Events::new(format!("clock-{}", ground.seed))?;
    // Deliveries of long ago, all of them done.
    let old = OLD.map(|number| events.line(number, "acknowledged"));
    home.import(&old.collect::<String>())?;
    let sink = Sink::start()?;
    let server = sink.serve(&home, shim.command(&home))?;
    let prober = Prober::start(server.address, Connection::New);
    let next = Arc::new(AtomicU64::new(0));
    let load = Load::start(server.address, CONNECTIONS, &events, &next, Vec::new());
    let mut report = Report::default();
    let mut pruned = 0;
    for jump in 0..jumps {
        thread::sleep(BETWEEN);
        shim.set_clock(random.i64(-MOST_HOURS..=MOST_HOURS) * 3600)?;
        if jump % 3 == 2 {
            // By a clock that jumps as well. Nothing that was posted is that old.
            let words = ["inbox", "prune", "--older-than", "30d", "--yes"];
            let output = home.run_with(shim.command(&home), &words)?;
            match output.status.success() {
                true => pruned += 1,
                false => report.wrong(format!("prune failed: {}", told(&output))),
            }
        }
    }
    let probes = prober.stop()?;
    let mut ledger = load.stop()?;
    report.wrong_if(ledger.failed(), "posts failed");
    report.wrong.extend(probes.wrong());
    shim.set_clock(0)?;
    let reached = || sink.taken().into_iter().collect();
    home.settle(server, &mut ledger, &events, reached, &mut report)?;
    // They were never posted, and none of them may be left.
    ledger.sent.extend(OLD);
    report.note(format!(
        "{jumps} jumps to within {MOST_HOURS} hours of the true time, {pruned} times pruned meanwhile; handlers put off {} \
         deliveries; {}",
        sink.put_off(),
        probes.told()
    ));
    look_at_records(&home, &events, &mut report)?;
    Ok(Row {
        kills: 0,
        audit: home.audit(&ledger, &events)?,
        report,
    })
}

/// Every record has an id of its own, the clock was indeed elsewhere now and then, and what is old is gone.
fn look_at_records(home: &Home, events: &Events, report: &mut Report) -> Result<()> {
    let records = home.records()?;
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
        .filter_map(|subject| events.number(subject))
        .filter(|number| OLD.contains(number))
        .count();
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
