//! The marks: what is to be reached, and whether it was.

use std::collections::BTreeMap;

use xtask_harness::report::{Table, cell};

use Bound::{AtLeast, AtMost};

#[derive(Clone, Copy, Debug)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// What is to be reached, by which figure.
const MARKS: &[(&str, &str, Bound)] = &[
    (
        "durable, of the limit at 256 connections",
        "durable/limit@256",
        AtLeast(0.70),
    ),
    (
        "durable, of the limit at 64 connections",
        "durable/limit@64",
        AtLeast(0.55),
    ),
    (
        "verified and not kept, of the limit at 256 connections",
        "verified/limit@256",
        AtLeast(0.85),
    ),
    (
        "verified and not kept, of the limit at 64 connections",
        "verified/limit@64",
        AtLeast(0.85),
    ),
    (
        "durable, of Flask's durable at 256 connections",
        "durable/flask-durable@256",
        AtLeast(10.0),
    ),
    (
        "durable, of Flask's durable at 64 connections",
        "durable/flask-durable@64",
        AtLeast(10.0),
    ),
    (
        "durable, of Node's that keeps nothing, at 256 connections",
        "durable/node@256",
        AtLeast(1.0),
    ),
    (
        "durable, of Node's that keeps nothing, at 64 connections",
        "durable/node@64",
        AtLeast(1.0),
    ),
    (
        "durable with ten pages of the dashboard open, of durable without, at 64 connections",
        "watched/durable@64",
        AtLeast(0.9),
    ),
    (
        "typed parse, of the time of `Value`, median of the fixtures",
        "typed/value",
        AtMost(1.0),
    ),
    (
        "typed parse, of the time of `Value`, worst of the fixtures that fit",
        "typed/value worst",
        AtMost(1.0),
    ),
    (
        "appends with 10 million rows, of appends to an empty file",
        "appends 10M/empty",
        AtLeast(0.9),
    ),
    ("opening 1 million rows, seconds", "open 1M s", AtMost(2.0)),
    (
        "resident with 1 million pending and 256 connections, MiB",
        "resident MiB",
        AtMost(128.0),
    ),
    (
        "OPTIONS under full load with every handler hanging, p99, ms",
        "probe p99 ms",
        AtMost(50.0),
    ),
];

type Figures = BTreeMap<String, f64>;

/// How many were measured and not reached.
pub(super) fn missed(figures: &Figures) -> usize {
    let words = MARKS
        .iter()
        .map(|(_, figure, bound)| bound.word(figures.get(*figure)));
    words.filter(|word| *word == "missed").count()
}

/// A table of all, and beside each mark that compares servers what CPU time a request takes them, which has no mark.
pub(super) fn render(figures: &Figures) -> String {
    let header = ["mark", "to reach", "measured", "", "CPU µs a request"];
    let mut table = Table::new(1, &header);
    for (what, figure, bound) in MARKS {
        let found = figures.get(*figure);
        table.row([
            (*what).to_owned(),
            bound.told(),
            cell(found.copied(), 2),
            bound.word(found).to_owned(),
            cpu(figures, figure),
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

impl Bound {
    fn word(self, found: Option<&f64>) -> &'static str {
        match (found, self) {
            (None, _) => "not measured",
            (Some(found), AtLeast(bound)) if *found >= bound => "reached",
            (Some(found), AtMost(bound)) if *found <= bound => "reached",
            _ => "missed",
        }
    }

    fn told(self) -> String {
        match self {
            AtLeast(bound) => format!("≥ {bound:.2}"),
            AtMost(bound) => format!("≤ {bound:.2}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(figure: &str, found: f64, word: &str) {
        let figures = Figures::from([(figure.to_owned(), found)]);
        assert_eq!(missed(&figures), usize::from(word == "missed"));
        let told = format!("{found:.2}");
        let text = render(&figures);
        let is_it = |line: &&str| line.contains(&told) && line.contains(word);
        assert!(text.lines().any(|line| is_it(&line)), "{text}");
    }

    #[test]
    fn a_mark_is_reached_or_missed_or_not_measured() {
        check("durable/limit@256", 0.71, "reached");
        check("durable/limit@256", 0.69, "missed");
        check("typed/value", 1.01, "missed");
        check("typed/value", f64::NAN, "missed");
        assert_eq!(missed(&Figures::new()), 0);
    }

    #[test]
    fn cpu_time_stands_beside_the_marks_of_servers() {
        let figures = [("durable CPU µs@64", 20.14), ("limit CPU µs@64", 6.5)];
        let figures = figures
            .map(|(name, figure)| (name.to_owned(), figure))
            .into();
        assert_eq!(cpu(&figures, "durable/limit@64"), "durable 20.1, limit 6.5");
        assert_eq!(cpu(&figures, "durable/limit@256"), "");
        assert_eq!(cpu(&figures, "typed/value"), "");
    }
}
