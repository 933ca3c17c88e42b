//! [`Figures`]: what the servers reached in every round, and what is told of that.

use std::collections::BTreeMap;
use std::time::Duration;

use super::median::median;
use super::report::{Report, cell};
use super::wrk::Measured;
use crate::table::Table;

/// One server under one load.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) measured: Measured,
    /// Of the process and all that it started; the most that was seen.
    pub(super) resident_kib: Option<u64>,
}

/// Everything that was measured, in the order of the rounds.
#[derive(Debug, Default)]
pub(super) struct Figures {
    runs: BTreeMap<(&'static str, usize), Vec<Run>>,
    failed: BTreeMap<(&'static str, usize), String>,
}

impl Figures {
    pub(super) fn add(&mut self, name: &'static str, connections: usize, run: Run) {
        self.runs.entry((name, connections)).or_default().push(run);
    }

    /// Says why there is no figure. It then has none at all: a median of the other rounds would hide what went wrong.
    pub(super) fn fail(&mut self, name: &'static str, connections: usize, reason: String) {
        self.failed.insert((name, connections), reason);
    }

    pub(super) fn has_failed(&self, name: &'static str, connections: usize) -> bool {
        self.failed.contains_key(&(name, connections))
    }

    fn runs(&self, name: &'static str, connections: usize) -> &[Run] {
        match self.has_failed(name, connections) {
            true => &[],
            false => self
                .runs
                .get(&(name, connections))
                .map_or(&[], Vec::as_slice),
        }
    }

    /// The median of requests/s.
    fn rate(&self, name: &'static str, connections: usize) -> Option<f64> {
        median(
            self.runs(name, connections)
                .iter()
                .map(|run| run.measured.per_second()),
        )
    }

    /// The median, over the rounds, of how much `name` reaches of what `other` does in the same round.
    fn ratio(&self, name: &'static str, other: &'static str, connections: usize) -> Option<f64> {
        let pairs = self
            .runs(name, connections)
            .iter()
            .zip(self.runs(other, connections));
        median(pairs.map(|(one, other)| one.measured.per_second() / other.measured.per_second()))
    }

    /// The table, what else is to be said, and the figures for the marks.
    pub(super) fn report(&self, servers: &[&'static str], connections: &[usize]) -> Report {
        let mut report = Report::new("Servers");
        report.table(self.table(servers, connections));
        for (reason, rows) in self.reasons() {
            let text = format!("{rows}: not measured: {reason}");
            match reason.contains(WRONG) {
                true => report.wrong(text),
                false => report.note(text),
            }
        }
        for &count in connections {
            for (one, other) in COMPARED {
                report.figure(
                    &format!("{one}/{other}@{count}"),
                    self.ratio(one, other, count),
                );
            }
        }
        report
    }

    /// Each reason once, with the rows that it took.
    fn reasons(&self) -> BTreeMap<&str, String> {
        let mut reasons: BTreeMap<&str, BTreeMap<&str, Vec<String>>> = BTreeMap::new();
        for ((name, connections), reason) in &self.failed {
            let rows = reasons.entry(reason).or_default();
            rows.entry(name).or_default().push(connections.to_string());
        }
        let told = |rows: BTreeMap<&str, Vec<String>>| {
            let rows = rows
                .into_iter()
                .map(|(name, counts)| format!("{name} ({})", counts.join(", ")));
            rows.collect::<Vec<_>>().join(", ")
        };
        reasons
            .into_iter()
            .map(|(reason, rows)| (reason, told(rows)))
            .collect()
    }

    fn table(&self, servers: &[&'static str], connections: &[usize]) -> Table {
        let mut table = Table::new(
            1,
            &[
                "server",
                "connections",
                "requests/s",
                "p50 ms",
                "p99 ms",
                "resident MiB",
                "of the limit",
            ],
        );
        for &connections in connections {
            for &name in servers {
                let runs = self.runs(name, connections);
                let milliseconds = |time: fn(&Measured) -> Duration| {
                    let times = runs
                        .iter()
                        .map(|run| time(&run.measured).as_secs_f64() * 1000.0);
                    cell(median(times), 2)
                };
                let resident = runs.iter().filter_map(|run| run.resident_kib);
                table.row([
                    name.to_owned(),
                    connections.to_string(),
                    cell(self.rate(name, connections), 0),
                    milliseconds(|measured| measured.p50),
                    milliseconds(|measured| measured.p99),
                    cell(median(resident.map(|kib| kib as f64 / 1024.0)), 0),
                    cell(self.ratio(name, "limit", connections), 2),
                ]);
            }
        }
        table
    }
}

/// Whose ratios the marks are about.
const COMPARED: [(&str, &str); 4] = [
    ("durable", "limit"),
    ("verified", "limit"),
    ("durable", "flask-durable"),
    ("durable", "node"),
];

/// Begins the reason of what is no hindrance but a broken promise.
pub(super) const WRONG: &str = "WRONG";

#[cfg(test)]
mod tests {
    use super::*;

    fn run(requests: u64) -> Run {
        Run {
            measured: Measured {
                requests,
                seconds: 1.0,
                ..Measured::default()
            },
            resident_kib: Some(2048),
        }
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let mut figures = Figures::default();
        for (limit, durable) in [(100, 50), (200, 160), (50, 35)] {
            figures.add("limit", 64, run(limit));
            figures.add("durable", 64, run(durable));
        }
        assert_eq!(figures.rate("limit", 64), Some(100.0));
        assert_eq!(figures.ratio("durable", "limit", 64), Some(0.7));
        assert_eq!(figures.ratio("durable", "limit", 1), None);
        figures.fail("durable", 64, "missing".to_owned());
        assert_eq!(figures.ratio("durable", "limit", 64), None);
        let table = figures.table(&["limit", "durable"], &[64]).render();
        assert!(
            table.contains("| limit   |          64 |        100 |"),
            "{table}"
        );
        assert!(
            table.contains("| durable |          64 |          – |"),
            "{table}"
        );
    }

    #[test]
    fn a_reason_is_told_once_and_a_broken_promise_fails_the_run() {
        let mut figures = Figures::default();
        for connections in [1, 8] {
            figures.fail("node", connections, "missing".to_owned());
            figures.fail("fastify", connections, "missing".to_owned());
        }
        let report = figures.report(&["node", "fastify"], &[1, 8]);
        let text = report.render();
        assert!(
            text.contains("- fastify (1, 8), node (1, 8): not measured: missing\n"),
            "{text}"
        );
        assert!(report.is_sound());
        figures.fail("durable", 1, format!("{WRONG}: 1 is lost"));
        assert!(!figures.report(&["durable"], &[1]).is_sound());
    }
}
