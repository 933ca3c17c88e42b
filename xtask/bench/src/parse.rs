//! Typed parsing against `serde_json::Value`, from the same bytes, of every fixture.

use std::hint::black_box;
use std::time::Instant;

use anyhow::Result;
use heygen_events::Event;
use heygen_testkit::fixtures;
use serde_json::Value;
use xtask_harness::report::{Report, cell, median};

use crate::testbed::Testbed;

pub(super) const WHAT: &str = "the time of typed events against that of `serde_json::Value`, from the same bytes, of every fixture";

pub(super) fn run(testbed: &Testbed) -> Result<Report> {
    let mut compared = Vec::new();
    let mut others = 0;
    for fixture in fixtures::all() {
        let body = fixture.body.as_bytes();
        // Some are what no `Value` takes, or what is no event: then there is nothing to compare.
        if Event::from_slice(body).is_ok() && serde_json::from_slice::<Value>(body).is_ok() {
            let name = format!("{}/{}", fixture.event_type, fixture.case);
            let ratios = (0..testbed.options.rounds).filter_map(|_| ratio(body));
            let ratio = median(ratios).unwrap_or(f64::NAN);
            compared.push((name, fixture.is_well_formed(), ratio));
        } else {
            others += 1;
        }
    }
    let mut report = Report::default();
    summarize(&mut report, &compared);
    if others > 0 {
        report.note(format!(
            "{others} fixtures are not compared: no `Value` holds them, or they are no events"
        ));
    }
    Ok(report)
}

/// The time of an event by that of a `Value`, measured in turn.
fn ratio(body: &[u8]) -> Option<f64> {
    let times = (0..REPEATS).map(|_| {
        let typed = time(|| Event::from_slice(black_box(body)));
        let value = time(|| serde_json::from_slice::<Value>(black_box(body)));
        (typed, value)
    });
    let (typed, value): (Vec<f64>, Vec<f64>) = times.unzip();
    Some(median(typed)? / median(value)?)
}

/// Nanoseconds that one call takes, and to drop what it returns.
fn time<T>(call: impl Fn() -> T) -> f64 {
    let clock = Instant::now();
    for _ in 0..CALLS {
        drop(black_box(call()));
    }
    clock.elapsed().as_nanos() as f64 / f64::from(CALLS)
}

/// Of each fixture: its name, whether its data fits its type, and the ratio.
fn summarize(report: &mut Report, fixtures: &[(String, bool, f64)]) {
    let worst = |is_well_formed: bool| {
        let fixtures = fixtures.iter().filter(|found| found.1 == is_well_formed);
        fixtures.max_by(|one, other| one.2.total_cmp(&other.2))
    };
    let middle = median(fixtures.iter().map(|found| found.2));
    let over = fixtures.iter().filter(|found| found.2 > 1.0).count();
    if let Some((name, _, ratio)) = worst(true) {
        report.note(format!(
            "time of typed parsing by that of `Value`: median {}, worst {ratio:.2} ({name}); above 1 for {over} of {} fixtures",
            cell(middle, 2),
            fixtures.len()
        ));
        report.figure("typed/value-worst", Some(*ratio));
    }
    // What its type does not take is read for that, and then once more to be kept as it is.
    if let Some((_, _, ratio)) = worst(false) {
        report.note(format!(
            "not counted as worst are fixtures whose data does not fit its type; of these {ratio:.2}"
        ));
    }
    report.figure("typed/value", middle);
}

/// How often a round times a fixture, and of how many calls: a few milliseconds each.
const REPEATS: u32 = 5;
const CALLS: u32 = 2_000;
