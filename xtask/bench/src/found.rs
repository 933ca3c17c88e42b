//! [`Found`]: what was measured in each round, by row, and why a row has nothing.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use xtask_harness::report::{Report, cell, median};

/// The figures of every row, in the order of the rounds.
#[derive(Debug, Default)]
pub(super) struct Found {
    figures: BTreeMap<(String, &'static str), Vec<f64>>,
    failed: BTreeMap<String, String>,
}

/// What one measurement brought.
pub(super) type Measured = Result<Vec<(&'static str, f64)>>;

impl Found {
    /// Measures a row, unless that failed before: then it has no figure at all, because a median of the other rounds would hide
    /// what went wrong.
    pub(super) fn measure(&mut self, row: &str, measure: impl FnOnce() -> Measured) {
        if self.failed.contains_key(row) {
            return;
        }
        match measure() {
            Ok(figures) => {
                let told = figures
                    .iter()
                    .map(|(name, figure)| format!("{figure:.1} {name}"));
                eprintln!("{row}: {}", told.collect::<Vec<_>>().join(", "));
                for (name, figure) in figures {
                    let key = (row.to_owned(), name);
                    self.figures.entry(key).or_default().push(figure);
                }
            }
            // It may be missing, or not do what it is asked; the others go on.
            Err(error) => {
                eprintln!("{row}: {error:#}");
                let reason = format!("{error:#}").replace(['\n', '|'], " ");
                self.failed.insert(row.to_owned(), reason);
            }
        }
    }

    /// The median over the rounds.
    pub(super) fn median(&self, row: &str, figure: &'static str) -> Option<f64> {
        median(self.rounds(row, figure).iter().copied())
    }

    /// What the first round brought.
    pub(super) fn first(&self, row: &str, figure: &'static str) -> Option<f64> {
        self.rounds(row, figure).first().copied()
    }

    /// The median as a cell of a table.
    pub(super) fn cell(&self, row: &str, figure: &'static str, digits: usize) -> String {
        cell(self.median(row, figure), digits)
    }

    /// The median, over the rounds, of how much a row reaches of what another does in the same round.
    pub(super) fn ratio(&self, row: &str, other: &str, figure: &'static str) -> Option<f64> {
        let pairs = self
            .rounds(row, figure)
            .iter()
            .zip(self.rounds(other, figure));
        median(pairs.map(|(one, other)| one / other))
    }

    /// The same as a cell of a table.
    pub(super) fn share(&self, row: &str, other: &str, figure: &'static str) -> String {
        cell(self.ratio(row, other, figure), 2)
    }

    /// Says which rows have nothing, each reason once.
    pub(super) fn tell_failures(&self, report: &mut Report) {
        let reasons: BTreeSet<&String> = self.failed.values().collect();
        for reason in reasons {
            let rows = self.failed.iter().filter(|(_, failed)| *failed == reason);
            let rows: Vec<&str> = rows.map(|(row, _)| row.as_str()).collect();
            let text = format!("{}: not measured: {reason}", rows.join("; "));
            match reason.contains(WRONG) {
                true => report.wrong(text),
                false => report.note(text),
            }
        }
    }

    fn rounds(&self, row: &str, figure: &'static str) -> &[f64] {
        match self.failed.contains_key(row) {
            true => &[],
            false => {
                let found = self.figures.get(&(row.to_owned(), figure));
                found.map_or(&[], Vec::as_slice)
            }
        }
    }
}

/// Begins the reason of what is no hindrance but a broken promise.
pub(super) const WRONG: &str = "WRONG";

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn ratios_are_of_the_same_round() {
        let mut found = Found::default();
        for (one, two) in [(100.0, 150.0), (10.0, 20.0), (300.0, 900.0)] {
            found.measure("one", || Ok(vec![("in/s", one)]));
            found.measure("two", || Ok(vec![("in/s", two), ("out/s", 1.0)]));
        }
        assert_eq!(found.cell("one", "in/s", 0), "100");
        assert_eq!(found.share("two", "one", "in/s"), "2.00");
        assert_eq!(found.share("three", "one", "in/s"), "–");
        found.measure("two", || Err(anyhow!("gone")));
        found.measure("two", || Ok(vec![("in/s", 1.0)]));
        assert_eq!(found.median("two", "in/s"), None);
    }

    #[test]
    fn a_broken_promise_fails_the_run_and_a_hindrance_does_not() {
        let mut found = Found::default();
        found.measure("a", || Err(anyhow!("no server")));
        found.measure("b", || Err(anyhow!("no server")));
        let mut report = Report::default();
        found.tell_failures(&mut report);
        assert_eq!(report.notes, ["a; b: not measured: no server"]);
        found.measure("c", || Err(anyhow!("{WRONG}: 1 is lost")));
        found.tell_failures(&mut report);
        assert_eq!(report.wrong.len(), 1);
    }
}
