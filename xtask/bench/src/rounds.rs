//! [`Rows`]: a table as data: what is measured for each row, in rounds, and what its columns show of that.

use std::collections::BTreeMap;

use anyhow::Result;
use xtask_harness::report::{Report, Table, cell, median};

/// A table. Its rows take turns in each round, so that whatever else goes on with the machine meets all of them.
pub(super) struct Rows<'a> {
    /// How many of the labels are words, and not numbers.
    words: usize,
    /// The headers of what tells the rows apart.
    labels: &'static [&'static str],
    columns: &'static [Column],
    rows: Vec<Row<'a>>,
}

/// What a column shows; its header is the name of the figure unless another is given.
#[derive(Clone, Copy)]
pub(super) enum Column {
    /// The median over the rounds, with so many digits.
    Median(&'static str, usize),
    /// The most of all rounds.
    Most(&'static str, usize),
    /// Under this header, how much of a figure of another row is reached: the row with these labels, where `*` is the row's own.
    Share(&'static str, &'static str, &'static [&'static str]),
}

/// What one measurement brought.
pub(super) type Measured = Result<Vec<(&'static str, f64)>>;

struct Row<'a> {
    labels: Vec<String>,
    measure: Box<dyn FnMut() -> Measured + 'a>,
    /// Of each round.
    figures: BTreeMap<&'static str, Vec<f64>>,
    /// Why there are none: a median of the other rounds would hide what went wrong.
    failure: Option<String>,
}

/// Measures everything so often and shows it, and which rows have nothing.
pub(super) fn report(rounds: u64, tables: &mut [Rows<'_>]) -> Report {
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        for table in &mut *tables {
            table.measure();
        }
    }
    let mut report = Report::default();
    for table in &*tables {
        report.table(&table.table());
    }
    // Each reason once.
    let mut failures = BTreeMap::<&str, Vec<String>>::new();
    for (row, reason) in tables.iter().flat_map(Rows::failures) {
        failures.entry(reason).or_default().push(row);
    }
    for (reason, rows) in failures {
        let text = format!("{}: not measured: {reason}", rows.join("; "));
        match reason.contains(WRONG) {
            true => report.wrong(text),
            false => report.note(text),
        }
    }
    report
}

impl<'a> Rows<'a> {
    pub(super) fn new(
        words: usize,
        labels: &'static [&'static str],
        columns: &'static [Column],
    ) -> Self {
        Self {
            words,
            labels,
            columns,
            rows: Vec::new(),
        }
    }

    /// Adds a row: its labels, and what is measured in each round.
    pub(super) fn add(&mut self, labels: &[&str], measure: impl FnMut() -> Measured + 'a) {
        self.rows.push(Row {
            labels: labels.iter().map(|&label| label.to_owned()).collect(),
            measure: Box::new(measure),
            figures: BTreeMap::new(),
            failure: None,
        });
    }

    /// The median over the rounds.
    pub(super) fn median(&self, labels: &[&str], figure: &str) -> Option<f64> {
        median(self.row(labels)?.rounds(figure).iter().copied())
    }

    /// The median, over the rounds, of how much a row reaches of what another does in the same round.
    pub(super) fn ratio(&self, labels: &[&str], other: &[&str], figure: &str) -> Option<f64> {
        self.row(labels)?.ratio(self.row(other)?, figure)
    }

    fn measure(&mut self) {
        for row in self.rows.iter_mut().filter(|row| row.failure.is_none()) {
            let name = row.name(self.labels);
            match (row.measure)() {
                Ok(figures) => {
                    let shown = figures
                        .iter()
                        .map(|(name, figure)| format!("{figure:.1} {name}"));
                    eprintln!("{name}: {}", shown.collect::<Vec<_>>().join(", "));
                    for (name, figure) in figures {
                        row.figures.entry(name).or_default().push(figure);
                    }
                }
                // It may be missing, or not do what it is asked; the others go on.
                Err(error) => {
                    eprintln!("{name}: {error:#}");
                    row.failure = Some(format!("{error:#}").replace(['\n', '|'], " "));
                }
            }
        }
    }

    fn table(&self) -> Table {
        let columns = self.columns.iter().map(|column| match *column {
            Column::Median(header, _) | Column::Most(header, _) | Column::Share(header, ..) => {
                header
            }
        });
        let header: Vec<&str> = self.labels.iter().copied().chain(columns).collect();
        let mut table = Table::new(self.words, &header);
        for row in &self.rows {
            let cells = self.columns.iter().map(|column| match *column {
                Column::Median(figure, digits) => {
                    cell(median(row.rounds(figure).iter().copied()), digits)
                }
                Column::Most(figure, digits) => {
                    cell(row.rounds(figure).iter().copied().reduce(f64::max), digits)
                }
                Column::Share(_, figure, other) => {
                    let labels = other.iter().zip(&row.labels);
                    let labels: Vec<&str> = labels
                        .map(|(&other, own)| if other == "*" { own.as_str() } else { other })
                        .collect();
                    let other = self.row(&labels);
                    cell(other.and_then(|other| row.ratio(other, figure)), 2)
                }
            });
            table.row(row.labels.iter().cloned().chain(cells).collect::<Vec<_>>());
        }
        table
    }

    fn row(&self, labels: &[&str]) -> Option<&Row<'a>> {
        self.rows.iter().find(|row| row.labels == labels)
    }

    /// Which rows have nothing, and why.
    fn failures(&self) -> impl Iterator<Item = (String, &str)> {
        let rows = self.rows.iter();
        rows.filter_map(|row| Some((row.name(self.labels), row.failure.as_deref()?)))
    }
}

impl Row<'_> {
    /// `server durable, connections 64`.
    fn name(&self, headers: &[&str]) -> String {
        let labels = headers.iter().zip(&self.labels);
        let labels = labels.map(|(header, label)| format!("{header} {label}"));
        labels.collect::<Vec<_>>().join(", ")
    }

    fn rounds(&self, figure: &str) -> &[f64] {
        match self.failure {
            Some(_) => &[],
            None => self.figures.get(figure).map_or(&[], Vec::as_slice),
        }
    }

    fn ratio(&self, other: &Self, figure: &str) -> Option<f64> {
        let pairs = self.rounds(figure).iter().zip(other.rounds(figure));
        // Of nothing, nothing is a share.
        let ratios = pairs.map(|(one, other)| one / other);
        median(ratios.filter(|ratio| ratio.is_finite()))
    }
}

/// Begins the reason of what is no hindrance but a broken promise.
pub(super) const WRONG: &str = "WRONG";

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    const COLUMNS: [Column; 3] = [
        Column::Median("in/s", 0),
        Column::Most("p99 ms", 1),
        Column::Share("of one", "in/s", &["one", "*"]),
    ];

    #[test]
    fn a_row_is_compared_with_another_of_the_same_round() {
        let mut rows = Rows::new(1, &["what", "n"], &COLUMNS);
        for (name, rates) in [("one", [100.0, 10.0, 300.0]), ("two", [150.0, 20.0, 900.0])] {
            let mut rates = rates.into_iter();
            rows.add(&[name, "8"], move || {
                let rate = rates.next().unwrap();
                Ok(vec![("in/s", rate), ("p99 ms", rate / 10.0)])
            });
        }
        rows.add(&["one", "9"], || Ok(vec![("in/s", 0.0)]));
        rows.add(&["two", "9"], || Ok(vec![("in/s", 1.0)]));
        let mut tables = [rows];
        let report = report(3, &mut tables);
        assert_eq!(
            report.tables[0],
            "\
| what | n | in/s | p99 ms | of one |
|------|--:|-----:|-------:|-------:|
| one  | 8 |  100 |   30.0 |   1.00 |
| two  | 8 |  150 |   90.0 |   2.00 |
| one  | 9 |    0 |      – |      – |
| two  | 9 |    1 |      – |      – |
"
        );
        let ratio = tables[0].ratio(&["two", "8"], &["one", "8"], "in/s");
        assert_eq!(ratio, Some(2.0));
        assert_eq!(tables[0].median(&["one", "8"], "in/s"), Some(100.0));
    }

    #[test]
    fn a_broken_promise_fails_the_run_and_a_hindrance_does_not() {
        let mut rows = Rows::new(1, &["what"], &COLUMNS);
        rows.add(&["a"], || Err(anyhow!("no server")));
        rows.add(&["b"], || Err(anyhow!("no server")));
        rows.add(&["c"], || Err(anyhow!("{WRONG}: 1 is lost")));
        let mut is_first = true;
        rows.add(&["d"], move || match std::mem::take(&mut is_first) {
            true => Ok(vec![("in/s", 1.0)]),
            false => Err(anyhow!("gone")),
        });
        let mut tables = [rows];
        let report = report(3, &mut tables);
        let gone = "what d: not measured: gone";
        assert_eq!(
            report.notes,
            [gone, "what a; what b: not measured: no server"]
        );
        assert_eq!(report.wrong, ["what c: not measured: WRONG: 1 is lost"]);
        assert_eq!(tables[0].median(&["d"], "in/s"), None);
    }
}
