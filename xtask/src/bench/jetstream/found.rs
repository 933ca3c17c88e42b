//! [`Found`]: what was measured in each round, by row, and why a row has nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::bench::figures::WRONG;
use crate::bench::median::median;
use crate::bench::report::{Report, cell};

/// The figures of every row, in the order of the rounds.
#[derive(Debug, Default)]
pub(super) struct Found {
    figures: BTreeMap<(String, &'static str), Vec<f64>>,
    failed: BTreeMap<String, String>,
}

impl Found {
    /// Takes what one measurement brought: so much for each figure, or an error, after which the row has no figure at all.
    pub(super) fn take<const N: usize>(
        &mut self,
        row: &str,
        measured: anyhow::Result<[(&'static str, f64); N]>,
    ) {
        match measured {
            Ok(figures) => {
                let told = figures.map(|(name, figure)| format!("{figure:.0} {name}"));
                eprintln!("{row}: {}", told.join(", "));
                for (name, figure) in figures {
                    let key = (row.to_owned(), name);
                    self.figures.entry(key).or_default().push(figure);
                }
            }
            Err(error) => {
                eprintln!("{row}: {error:#}");
                self.failed.insert(row.to_owned(), format!("{error:#}"));
            }
        }
    }

    pub(super) fn has_failed(&self, row: &str) -> bool {
        self.failed.contains_key(row)
    }

    /// The median over the rounds, as a cell of a table.
    pub(super) fn median(&self, row: &str, figure: &'static str, digits: usize) -> String {
        cell(median(self.rounds(row, figure).iter().copied()), digits)
    }

    /// The median, over the rounds, of how much a row reaches of what another does in the same round, as a cell of a table.
    pub(super) fn ratio(
        &self,
        (row, figure): (&str, &'static str),
        (other, other_figure): (&str, &'static str),
    ) -> String {
        let pairs = self
            .rounds(row, figure)
            .iter()
            .zip(self.rounds(other, other_figure));
        cell(median(pairs.map(|(one, other)| one / other)), 2)
    }

    /// Says which rows have nothing, and why.
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
        match self.has_failed(row) {
            true => &[],
            false => {
                let found = self.figures.get(&(row.to_owned(), figure));
                found.map_or(&[], Vec::as_slice)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn ratios_are_of_the_same_round() {
        let mut found = Found::default();
        for (one, two) in [(100.0, 150.0), (10.0, 20.0), (300.0, 900.0)] {
            found.take("one", Ok([("in/s", one)]));
            found.take("two", Ok([("in/s", two), ("out/s", 1.0)]));
        }
        assert_eq!(found.median("one", "in/s", 0), "100");
        assert_eq!(found.ratio(("two", "in/s"), ("one", "in/s")), "2.00");
        assert_eq!(found.ratio(("two", "out/s"), ("two", "out/s")), "1.00");
        assert_eq!(found.ratio(("three", "in/s"), ("one", "in/s")), "–");
        found.take::<1>("two", Err(anyhow!("gone")));
        assert_eq!(found.median("two", "in/s", 0), "–");
    }

    #[test]
    fn a_broken_promise_fails_the_run_and_a_hindrance_does_not() {
        let mut found = Found::default();
        found.take::<1>("a", Err(anyhow!("no server")));
        found.take::<1>("b", Err(anyhow!("no server")));
        let mut report = Report::new("A part");
        found.tell_failures(&mut report);
        assert!(report.is_sound());
        assert!(
            report
                .render()
                .contains("- a; b: not measured: no server\n")
        );
        found.take::<1>("c", Err(anyhow!("{WRONG}: 1 is lost")));
        found.tell_failures(&mut report);
        assert!(!report.is_sound());
    }
}
