//! The marks: what is to be reached, and whether it was.

use super::report::Report;
use crate::table::Table;

/// What is to be reached by a figure of a report.
#[derive(Debug)]
struct Mark {
    what: &'static str,
    figure: &'static str,
    bound: Bound,
}

#[derive(Clone, Copy, Debug)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// A mark beside what was measured.
#[derive(Debug)]
pub(super) struct Compared {
    mark: &'static Mark,
    found: Option<f64>,
}

const MARKS: &[Mark] = &[
    Mark {
        what: "durable, of the limit at 256 connections",
        figure: "durable/limit@256",
        bound: Bound::AtLeast(0.70),
    },
    Mark {
        what: "durable, of the limit at 64 connections",
        figure: "durable/limit@64",
        bound: Bound::AtLeast(0.55),
    },
    Mark {
        what: "verified and not kept, of the limit at 256 connections",
        figure: "verified/limit@256",
        bound: Bound::AtLeast(0.85),
    },
    Mark {
        what: "verified and not kept, of the limit at 64 connections",
        figure: "verified/limit@64",
        bound: Bound::AtLeast(0.85),
    },
    Mark {
        what: "durable, of Flask's durable at 256 connections",
        figure: "durable/flask-durable@256",
        bound: Bound::AtLeast(10.0),
    },
    Mark {
        what: "durable, of Flask's durable at 64 connections",
        figure: "durable/flask-durable@64",
        bound: Bound::AtLeast(10.0),
    },
    Mark {
        what: "durable, of Node's that keeps nothing, at 256 connections",
        figure: "durable/node@256",
        bound: Bound::AtLeast(1.0),
    },
    Mark {
        what: "durable, of Node's that keeps nothing, at 64 connections",
        figure: "durable/node@64",
        bound: Bound::AtLeast(1.0),
    },
    Mark {
        what: "typed parse, of the time of `Value`, median of the fixtures",
        figure: "typed/value",
        bound: Bound::AtMost(1.0),
    },
    Mark {
        what: "typed parse, of the time of `Value`, worst of the fixtures that fit",
        figure: "typed/value worst",
        bound: Bound::AtMost(1.0),
    },
    Mark {
        what: "appends with 10 million rows, of appends to an empty file",
        figure: "appends 10M/empty",
        bound: Bound::AtLeast(0.9),
    },
    Mark {
        what: "opening 1 million rows, seconds",
        figure: "open 1M s",
        bound: Bound::AtMost(2.0),
    },
    Mark {
        what: "resident with 1 million pending and 256 connections, MiB",
        figure: "resident MiB",
        bound: Bound::AtMost(128.0),
    },
    Mark {
        what: "OPTIONS under full load with every handler hanging, p99, ms",
        figure: "probe p99 ms",
        bound: Bound::AtMost(50.0),
    },
];

/// Every mark beside the figure that these reports have for it.
pub(super) fn compared(reports: &[Report]) -> Vec<Compared> {
    let found = |name| {
        reports
            .iter()
            .find_map(|report| report.figures().get(name).copied())
    };
    let compared = MARKS.iter().map(|mark| Compared {
        mark,
        found: found(mark.figure),
    });
    compared.collect()
}

impl Compared {
    /// Measured, and not reached.
    pub(super) fn is_missed(&self) -> bool {
        self.found
            .is_some_and(|found| !self.mark.bound.holds(found))
    }

    fn word(&self) -> &'static str {
        match self.found {
            None => "not measured",
            Some(_) if self.is_missed() => "missed",
            Some(_) => "reached",
        }
    }
}

impl Bound {
    fn holds(self, found: f64) -> bool {
        match self {
            Self::AtLeast(bound) => found >= bound,
            Self::AtMost(bound) => found <= bound,
        }
    }

    fn told(self) -> String {
        match self {
            Self::AtLeast(bound) => format!("≥ {bound:.2}"),
            Self::AtMost(bound) => format!("≤ {bound:.2}"),
        }
    }
}

pub(super) fn render(marks: &[Compared]) -> String {
    let mut table = Table::new(1, &["mark", "to reach", "measured", ""]);
    for compared in marks {
        table.row([
            compared.mark.what.to_owned(),
            compared.mark.bound.told(),
            compared
                .found
                .map_or_else(|| "–".to_owned(), |found| format!("{found:.2}")),
            compared.word().to_owned(),
        ]);
    }
    format!("### Marks\n\n{}", table.render())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[track_caller]
    fn check(figure: &str, found: f64, word: &str) {
        let mut report = Report::new("A part");
        report.figure(figure, Some(found));
        let compared = compared(&[report]);
        let words: BTreeSet<&str> = compared.iter().map(Compared::word).collect();
        assert_eq!(words, BTreeSet::from([word, "not measured"]));
        let missed = compared.iter().filter(|mark| mark.is_missed()).count();
        assert_eq!(missed, usize::from(word == "missed"));
    }

    #[test]
    fn a_mark_is_reached_or_missed_or_not_measured() {
        check("durable/limit@256", 0.70, "reached");
        check("durable/limit@256", 0.699, "missed");
        check("typed/value", 1.0, "reached");
        check("typed/value", 1.01, "missed");
        check("typed/value", f64::NAN, "missed");
    }

    #[test]
    fn the_table_names_what_is_to_be_reached() {
        let mut report = Report::new("A part");
        report.figure("probe p99 ms", Some(51.5));
        let text = render(&compared(&[report]));
        let line = text.lines().find(|line| line.contains("OPTIONS")).unwrap();
        assert!(
            line.contains("≤ 50.00 |") && line.contains("51.50 |") && line.contains("missed"),
            "{line}"
        );
    }
}
