//! The marks: what is to be reached, and whether it was.

use std::collections::BTreeMap;

use xtask_harness::report::{Table, cell};

/// A line for each: the figure, the bound, and what it is.
const MARKS: &str = "\
durable/limit@256 ≥ 0.70 durable, of the limit at 256 connections
durable/limit@64 ≥ 0.55 durable, of the limit at 64 connections
verified/limit@256 ≥ 0.85 verified and not kept, of the limit at 256 connections
verified/limit@64 ≥ 0.85 verified and not kept, of the limit at 64 connections
durable/flask-durable@256 ≥ 10.00 durable, of Flask's durable at 256 connections
durable/flask-durable@64 ≥ 10.00 durable, of Flask's durable at 64 connections
durable/node@256 ≥ 1.00 durable, of Node's that keeps nothing, at 256 connections
durable/node@64 ≥ 1.00 durable, of Node's that keeps nothing, at 64 connections
watched/durable@64 ≥ 0.90 durable with ten pages of the dashboard open, of durable without, at 64 connections
typed/value ≤ 1.00 typed parse, of the time of `Value`, median of the fixtures
typed/value-worst ≤ 1.00 typed parse, of the time of `Value`, worst of the fixtures that fit
appends-10M/empty ≥ 0.90 appends with 10 million rows, of appends to an empty file
open-1M-s ≤ 2.00 opening 1 million rows, seconds
resident-MiB ≤ 128.00 resident with 1 million pending and 256 connections, MiB
probe-p99-ms ≤ 50.00 OPTIONS under full load with every handler hanging, p99, ms
";

struct Mark {
    figure: &'static str,
    /// `≥` or `≤`.
    sign: &'static str,
    bound: f64,
    what: &'static str,
}

type Figures = BTreeMap<String, f64>;

fn marks() -> impl Iterator<Item = Mark> {
    MARKS.lines().filter_map(|line| {
        let mut words = line.splitn(4, ' ');
        Some(Mark {
            figure: words.next()?,
            sign: words.next()?,
            bound: words.next()?.parse().ok()?,
            what: words.next()?,
        })
    })
}

/// How many were measured and not reached.
pub(super) fn missed(figures: &Figures) -> usize {
    let words = marks().map(|mark| mark.word(figures));
    words.filter(|word| *word == "missed").count()
}

/// A table of all, and beside each mark that compares servers what CPU time a request takes them, which has no mark.
pub(super) fn render(figures: &Figures) -> String {
    let header = ["mark", "to reach", "measured", "", "CPU µs a request"];
    let mut table = Table::new(1, &header);
    for mark in marks() {
        table.row([
            mark.what.to_owned(),
            format!("{} {:.2}", mark.sign, mark.bound),
            cell(figures.get(mark.figure).copied(), 2),
            mark.word(figures).to_owned(),
            cpu(figures, mark.figure),
        ]);
    }
    format!("### Marks\n\n{}", table.render())
}

/// `durable 20.1, limit 6.5` for `durable/limit@64`, of those whose figure there is.
fn cpu(figures: &Figures, mark: &str) -> String {
    let Some((servers, connections)) = mark.split_once('@') else {
        return String::new();
    };
    let found = servers.split('/').filter_map(|server| {
        let micros = figures.get(&format!("{server} CPU µs@{connections}"))?;
        Some(format!("{server} {micros:.1}"))
    });
    found.collect::<Vec<_>>().join(", ")
}

impl Mark {
    fn word(&self, figures: &Figures) -> &'static str {
        match (figures.get(self.figure), self.sign) {
            (None, _) => "not measured",
            (Some(&found), "≥") if found >= self.bound => "reached",
            (Some(&found), "≤") if found <= self.bound => "reached",
            _ => "missed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(figure: &str, found: f64, expected: &str) {
        let figures = Figures::from([(figure.to_owned(), found)]);
        assert_eq!(missed(&figures), usize::from(expected.contains("missed")));
        let text = render(&figures);
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn a_mark_is_reached_or_missed_or_not_measured() {
        assert_eq!(marks().count(), MARKS.lines().count());
        check(
            "durable/limit@256",
            0.71,
            "≥ 0.70 |     0.71 |      reached |",
        );
        check(
            "durable/limit@256",
            0.69,
            "≥ 0.70 |     0.69 |       missed |",
        );
        check("typed/value", 1.01, "≤ 1.00 |     1.01 |       missed |");
        check("typed/value", f64::NAN, "missed");
        assert_eq!(missed(&Figures::new()), 0);
    }
}
