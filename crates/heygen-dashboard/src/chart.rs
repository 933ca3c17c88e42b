//! [`Chart`]: what came in over time, as bars drawn here.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use maud::{Markup, html};

use crate::page;
use crate::words::{clock, number, seconds};

/// How far back a chart goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Span {
    /// In addresses and for a filter.
    pub(crate) word: &'static str,
    /// For people.
    pub(crate) name: &'static str,
    bars: usize,
    /// How long a bar is.
    pub(crate) seconds: u64,
}

impl Span {
    pub(crate) const ALL: [Self; 3] = [
        Self::new("15m", "15 minutes", 15, 60),
        Self::new("24h", "24 hours", 24, 3600),
        Self::new("30d", "30 days", 30, 86400),
    ];

    const fn new(word: &'static str, name: &'static str, bars: usize, seconds: u64) -> Self {
        Self {
            word,
            name,
            bars,
            seconds,
        }
    }

    pub(crate) fn of(word: &str) -> Self {
        let found = Self::ALL.into_iter().find(|span| span.word == word);
        found.unwrap_or(Self::ALL[1])
    }
}

/// What a bar is made of, from the bottom up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Series {
    Success,
    Failure,
    Other,
    Duplicate,
    FailedAttempt,
    Rejected,
}

/// Class and name of each.
const SERIES: [(&str, &str); 6] = [
    ("success", "accepted: success"),
    ("failure", "accepted: failure"),
    ("other", "accepted: other"),
    ("duplicate", "duplicates"),
    ("failed", "failed attempts"),
    ("rejected", "rejected"),
];

type Counts = [u64; SERIES.len()];

/// Counts over time and by event.
#[derive(Debug)]
pub(crate) struct Chart {
    span: Span,
    /// When the first bar begins, in seconds since 1970.
    start: u64,
    bars: Vec<Counts>,
    events: BTreeMap<String, Counts>,
}

impl Chart {
    /// Ends with the bar that `now` is in.
    pub(crate) fn new(span: Span, now: SystemTime) -> Self {
        let bar = seconds(now) / span.seconds + 1;
        Self {
            span,
            start: bar.saturating_sub(span.bars as u64) * span.seconds,
            bars: vec![Counts::default(); span.bars],
            events: BTreeMap::new(),
        }
    }

    /// From when on it shows anything.
    pub(crate) fn since(&self) -> SystemTime {
        self.bar_start(0)
    }

    fn bar_start(&self, index: usize) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.start + index as u64 * self.span.seconds)
    }

    /// What is outside of its span is left out.
    pub(crate) fn add(&mut self, at: SystemTime, series: Series, event: Option<&str>, count: u64) {
        let Some(offset) = seconds(at).checked_sub(self.start) else {
            return;
        };
        let bar = usize::try_from(offset / self.span.seconds).unwrap_or(usize::MAX);
        let Some(counts) = self.bars.get_mut(bar) else {
            return;
        };
        counts[series as usize] += count;
        if let Some(event) = event {
            self.events.entry(event.to_owned()).or_default()[series as usize] += count;
        }
    }

    fn totals(&self) -> Counts {
        let total = |index: usize| self.bars.iter().map(|counts| counts[index]).sum();
        std::array::from_fn(total)
    }

    /// What came of each event, most first.
    pub(crate) fn events(&self) -> Vec<(&str, Counts)> {
        let events = self.events.iter();
        let mut events: Vec<_> = events
            .map(|(name, counts)| (name.as_str(), *counts))
            .collect();
        events.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.iter().sum::<u64>()));
        events
    }

    pub(crate) fn markup(&self) -> Markup {
        let totals = self.totals();
        let is_empty = totals == Counts::default();
        let most = self.bars.iter().map(|counts| counts.iter().sum()).max();
        let top = nice(most.unwrap_or(0));
        html! {
            figure.chart {
                svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-labelledby="chart-title" preserveAspectRatio="none" {
                    title #chart-title { "The last " (self.span.name) ": " (said(&totals)) }
                    @for line in [0, 1, 2] {
                        @let y = HEIGHT - HEIGHT * line / 2;
                        line.grid x1="0" x2=(WIDTH) y1=(y) y2=(y) {}
                    }
                    @for (index, counts) in self.bars.iter().enumerate() { (self.bar(index, counts, top)) }
                }
                div.scale aria-hidden="true" { span { (number(top)) } span { (number(top / 2)) } span { "0" } }
                div.times aria-hidden="true" { @for label in self.labels() { span { (label) } } }
                figcaption {
                    @for ((class, name), total) in nonzero(&totals) {
                        span.key { span.swatch.(class) {} (name) " " strong { (number(total)) } }
                    }
                    @if is_empty { span.hint { "Nothing came in these " (self.span.name) "." } }
                }
            }
            @if !is_empty {
                details #chart-table {
                    summary { "As a table" }
                    (self.table(&totals))
                }
            }
        }
    }

    fn bar(&self, index: usize, counts: &Counts, top: u64) -> Markup {
        let width = WIDTH as f64 / self.bars.len() as f64;
        let x = width * index as f64 + width * 0.1;
        let mut base = HEIGHT as f64;
        html! {
            g {
                title { (clock(self.bar_start(index))) " UTC: " (said(counts)) }
                @for ((class, _), count) in nonzero(counts) {
                    // A single one is seen beside thousands.
                    @let height = (count as f64 / top as f64 * HEIGHT as f64).max(1.5);
                    @let y = { base -= height; base };
                    rect.(class) x=(format!("{x:.1}")) y=(format!("{y:.1}")) width=(format!("{:.1}", width * 0.8)) height=(format!("{height:.1}")) {}
                }
            }
        }
    }

    /// The first bar, one in the middle, the last.
    fn labels(&self) -> [String; 3] {
        let last = self.bars.len() - 1;
        [0, last / 2, last].map(|index| {
            let text = clock(self.bar_start(index));
            match self.span.seconds {
                86400 => text[5..10].to_owned(),
                _ => text[11..16].to_owned(),
            }
        })
    }

    fn table(&self, totals: &Counts) -> Markup {
        let is_shown = |index: &usize| totals[*index] > 0;
        let shown: Vec<_> = (0..SERIES.len()).filter(is_shown).collect();
        let names = shown.iter().map(|index| (SERIES[*index].1, "number"));
        let columns: Vec<_> = [("From (UTC)", "key")].into_iter().chain(names).collect();
        let bars = self.bars.iter().enumerate().rev();
        let rows = bars.filter(|(_, counts)| counts.iter().any(|count| *count > 0));
        let rows = rows.map(|(index, counts)| {
            let from = html! { (clock(self.bar_start(index))) };
            let numbers = shown.iter().map(|index| html! { (number(counts[*index])) });
            [from].into_iter().chain(numbers).collect::<Vec<_>>()
        });
        page::table("Counts over time", "cards", &columns, rows)
    }
}

/// Those of which there are any.
fn nonzero(counts: &Counts) -> impl Iterator<Item = ((&'static str, &'static str), u64)> {
    let all = SERIES.into_iter().zip(*counts);
    all.filter(|(_, count)| *count > 0)
}

/// `3 accepted: success, 1 duplicates`
fn said(counts: &Counts) -> String {
    let parts = nonzero(counts).map(|((_, name), count)| format!("{} {name}", number(count)));
    match parts.collect::<Vec<_>>() {
        parts if parts.is_empty() => "nothing".to_owned(),
        parts => parts.join(", "),
    }
}

/// The next number that a scale ends with well: 2, 4, 6, 8, 10, 20, 40, …
fn nice(most: u64) -> u64 {
    let mut step = 1_u64;
    loop {
        for factor in [2, 4, 6, 8, 10] {
            let top = step.saturating_mul(factor);
            if top >= most {
                return top;
            }
        }
        step = step.saturating_mul(10);
    }
}

const WIDTH: u64 = 960;
const HEIGHT: u64 = 160;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_stand_in_the_bar_of_their_time() {
        let now = UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        for span in Span::ALL {
            let mut chart = Chart::new(span, now);
            let before = chart.since() - Duration::from_secs(1);
            chart.add(now, Series::Success, Some("a.success"), 3);
            chart.add(chart.since(), Series::Failure, Some("a.fail"), 1);
            chart.add(before, Series::Other, None, 9);
            assert_eq!(chart.bars[span.bars - 1], [3, 0, 0, 0, 0, 0], "{span:?}");
            assert_eq!(chart.bars[0], [0, 1, 0, 0, 0, 0], "{span:?}");
            assert_eq!(chart.totals(), [3, 1, 0, 0, 0, 0], "{span:?}");
            assert_eq!(chart.events()[0].0, "a.success");
        }
    }

    #[test]
    fn scale_ends_with_a_round_number() {
        let tops = [0, 1, 3, 5, 11, 47, 399, 401, 801].map(nice);
        assert_eq!(tops, [2, 2, 4, 6, 20, 60, 400, 600, 1000]);
    }
}
