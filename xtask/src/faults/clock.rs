//! The wall clock jumps by hours, forwards and backwards, while deliveries are kept, handed out, put off and pruned.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::event::Events;
use super::ground::{Ground, Home, told};
use super::load::{Load, deliver_all};
use super::shim::Shim;
use super::sink::Sink;
use super::table::Row;
use crate::probes::{Connection, Prober};

pub(super) const WHAT: &str = "the wall clock jumps by hours, forwards and backwards, while 16 connections deliver, handlers say done \
or retry, and old deliveries are pruned: no post fails by it, ids are unique, everything is handed out until done";

pub(super) fn run(ground: &Ground) -> Result<Row> {
    let jumps = ground.size(30, 5);
    let mut random = ground.random("clock");
    let (home, tools) = (ground.home("clock")?, ground.home("clock-shim")?);
    let shim = Shim::build(tools.folder(), home.inbox())?;
    shim.set_clock(0)?;
    let events = Events::new(format!("clock-{}", ground.seed()))?;
    import_old(&home, &events)?;
    let sink = Sink::start()?;
    let mut command = home.command();
    shim.load_into(&mut command);
    let server = sink.serve(&home, command)?;
    let prober = Prober::start(server.address, Connection::New);
    let next = Arc::new(AtomicU64::new(0));
    let load = Load::start(server.address, CONNECTIONS, &events, &next, Vec::new());
    let mut pruned = 0;
    let mut wrong = Vec::new();
    for jump in 0..jumps {
        thread::sleep(BETWEEN);
        let hours = i64::try_from(random.below(2 * MOST_HOURS + 1)).unwrap_or_default();
        let seconds = (hours - i64::try_from(MOST_HOURS)?) * 3600;
        shim.set_clock(seconds)?;
        if jump % 3 == 2 {
            // By a clock that jumps as well. Nothing that was posted is that old.
            let words = ["inbox", "prune", "--older-than", "30d", "--yes"];
            let output = home.run_under(&shim, &words)?;
            match output.status.success() {
                true => pruned += 1,
                false => wrong.push(format!("prune failed: {}", told(&output))),
            }
        }
    }
    let probes = prober.stop()?;
    let mut ledger = load.stop()?;
    let (refused, broken) = (ledger.refused.clone(), ledger.broken);
    shim.set_clock(0)?;
    ledger.add(deliver_all(
        server.address,
        &ledger.unanswered(),
        |number| events.request(number),
    ));
    let left = home.left_to_hand_out()?;
    let mut handed_out = server.stop()?;
    handed_out.extend(sink.taken());

    // They were never posted, and none of them may be left.
    ledger.sent.extend(OLD);
    let mut row = Row::new("clock", 0, home.audit(&ledger, &events)?);
    row.note(format!(
        "{jumps} jumps to within {MOST_HOURS} hours of the true time, {pruned} times pruned meanwhile; handlers put off {} \
         deliveries; {}",
        sink.put_off(),
        probes.told()
    ));
    if broken > 0 || !refused.is_empty() {
        row.wrong(format!(
            "{broken} posts had no answer, and these were refused: {refused:?}"
        ));
    }
    wrong.extend(probes.wrong());
    let handed_out: BTreeSet<u64> = handed_out
        .iter()
        .filter_map(|subject| events.number(subject))
        .collect();
    let missing = ledger.answered.difference(&handed_out).count();
    if left + missing > 0 {
        wrong.push(format!(
            "{left} were not handed out until done, {missing} reached no handler"
        ));
    }
    wrong.extend(look_at_records(&home, &events)?);
    wrong.extend(home.flaws_but_of_time()?);
    wrong.into_iter().for_each(|wrong| row.wrong(wrong));
    Ok(row)
}

/// Deliveries of long ago, all of them done.
fn import_old(home: &Home, events: &Events) -> Result<()> {
    let lines: String = OLD.map(|number| events.line(number, "done")).collect();
    fs::write(home.folder().join("old.jsonl"), lines).context("write old.jsonl")?;
    let output = home.run(&["inbox", "import", "old.jsonl", "--strict"])?;
    if !output.status.success() {
        bail!("nothing to prune: {}", told(&output));
    }
    Ok(())
}

/// Every record has an id of its own, the clock was indeed elsewhere now and then, and what is old is gone.
fn look_at_records(home: &Home, events: &Events) -> Result<Vec<String>> {
    let output = home.run(&["inbox", "list", "--json", "--limit", "0"])?;
    let records: Vec<Value> =
        serde_json::from_slice(&output.stdout).context("read what inbox list printed")?;
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
    let mut wrong = Vec::new();
    if ids.len() < records.len() {
        let missing = records.len() - ids.len();
        wrong.push(format!("{missing} records share an id with another"));
    }
    if hours.len() < 3 {
        wrong.push("the clock did not jump".to_owned());
    }
    if old > 0 {
        wrong.push(format!("{old} old deliveries were not pruned"));
    }
    Ok(wrong)
}

/// Numbers that no post has.
const OLD: Range<u64> = 1_000_000_000..1_000_000_400;

const CONNECTIONS: usize = 16;
const BETWEEN: Duration = Duration::from_millis(400);
const MOST_HOURS: u64 = 12;
