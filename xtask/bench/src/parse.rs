//! Typed parsing against `serde_json::Value`, of every fixture: time and allocations.

use anyhow::{Context, Result};
use serde_json::Value;
use xtask_harness::report::{Report, Table, cell, median};
use xtask_harness::workspace;

use crate::ground::{Ground, told};

pub(super) const WHAT: &str = "typed events against `serde_json::Value`, from the same bytes, of every fixture: time and allocations";

pub(super) fn run(ground: &Ground) -> Result<Report> {
    let rounds = (ground.options.rounds() * REPEATS).to_string();
    let times = ground.measure(&["parse", &rounds])?;
    let allocations = told(workspace::cargo_command(ALLOCATIONS))?;
    report(&times, &allocations)
}

fn report(times: &Value, allocations: &Value) -> Result<Report> {
    let mut report = Report::default();
    let mut table = Table::new(
        1,
        &[
            "fixture",
            "bytes",
            "typed ns",
            "Value ns",
            "ratio",
            "allocations",
            "of Value's",
            "allocated bytes",
            "of Value's",
        ],
    );
    let (mut ratios, mut counts) = (Vec::new(), Vec::new());
    let mut worst = ("", 0.0);
    let mut worst_unfit: f64 = 0.0;
    for time in times.as_array().context("no list of times")? {
        let name = time["fixture"]
            .as_str()
            .context("a fixture without a name")?;
        let number = |name: &str| time[name].as_f64();
        let ratio = number("typed_ns")
            .zip(number("value_ns"))
            .map(|(typed, value)| typed / value);
        let of = allocations
            .as_array()
            .and_then(|all| all.iter().find(|one| one["fixture"] == name));
        let allocated = |kind: &str, what: &str| of.and_then(|one| one[kind][what].as_f64());
        let share = |what| {
            allocated("typed", what)
                .zip(allocated("value", what))
                .map(|(typed, value)| typed / value)
        };
        counts.extend(share("count"));
        match ratio {
            // What its type does not take is read for that, and then once more to be kept as it is.
            Some(ratio) if name.contains("/unfit-") => worst_unfit = worst_unfit.max(ratio),
            Some(ratio) if ratio > worst.1 => worst = (name, ratio),
            Some(_) | None => {}
        }
        ratios.extend(ratio);
        table.row([
            name.to_owned(),
            cell(number("bytes"), 0),
            cell(number("typed_ns"), 0),
            cell(number("value_ns"), 0),
            cell(ratio, 2),
            cell(allocated("typed", "count"), 0),
            cell(share("count"), 2),
            cell(allocated("typed", "bytes"), 0),
            cell(share("bytes"), 2),
        ]);
    }
    let middle = median(ratios.iter().copied());
    let over = ratios.iter().filter(|&&ratio| ratio > 1.0).count();
    report.note(format!(
        "time of typed parsing by that of `Value`: median {}, worst {:.2} ({}); above 1 for {over} of {} fixtures",
        cell(middle, 2),
        worst.1,
        worst.0,
        ratios.len()
    ));
    if worst_unfit > 0.0 {
        report.note(format!(
            "not counted as worst are fixtures whose data does not fit its type; of these {worst_unfit:.2}"
        ));
    }
    report.note(format!(
        "allocations of typed parsing by those of `Value`: median {}",
        cell(median(counts), 2)
    ));
    let unmeasured = allocations.as_array().map_or(0, Vec::len) - ratios.len();
    if unmeasured > 0 {
        report.note(format!(
            "{unmeasured} fixtures are not compared: no `Value` holds them, or they are no events"
        ));
    }
    report.table(&table);
    report.figure("typed/value", middle);
    report.figure("typed/value worst", (worst.1 > 0.0).then_some(worst.1));
    Ok(report)
}

/// A measurement takes milliseconds, so there is time for more of them than of others.
const REPEATS: u64 = 5;

/// A program of its own counts them.
const ALLOCATIONS: &[&str] = &[
    "run",
    "--quiet",
    "--release",
    "--package",
    "xtask-bench",
    "--bin",
    "xtask-bench-allocations",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_median_and_the_worst_are_told() {
        let time = |name: &str, typed: f64| json!({"fixture": name, "bytes": 100, "typed_ns": typed, "value_ns": 1000.0});
        let counted = |name: &str| json!({"fixture": name, "typed": {"count": 5, "bytes": 50}, "value": {"count": 10, "bytes": 200}});
        let times = json!([
            time("a/x", 900.0),
            time("b/x", 1250.0),
            time("c/x", 800.0),
            time("c/unfit-x", 3000.0),
            time("d/x", 700.0)
        ]);
        let allocations = json!([
            counted("a/x"),
            counted("b/x"),
            counted("c/x"),
            counted("c/unfit-x"),
            counted("d/x"),
            counted("e/x")
        ]);
        let report = report(&times, &allocations).unwrap();
        assert_eq!(report.figures["typed/value"], 0.9);
        assert_eq!(report.figures["typed/value worst"], 1.25);
        let text = report.lines("");
        assert!(
            text.contains("median 0.90, worst 1.25 (b/x); above 1 for 2 of 5 fixtures"),
            "{text}"
        );
        assert!(
            text.contains("does not fit its type; of these 3.00"),
            "{text}"
        );
        assert!(text.contains("by those of `Value`: median 0.50"), "{text}");
        assert!(text.contains("1 fixtures are not compared"), "{text}");
    }
}
