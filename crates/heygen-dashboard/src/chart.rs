//! [`Chart`]: what came in over time, as bars drawn here.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use maud::{Markup, html};

use crate::page;
use crate::words::{clock, number};

/// How far back a chart goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Span {
    Quarter,
    Day,
    Month,
}

impl Span {
    pub(crate) const ALL: [Self; 3] = [Self::Quarter, Self::Day, Self::Month];

    pub(crate) fn of(word: &str) -> Self {
        let found = Self::ALL.into_iter().find(|span| span.word() == word);
        found.unwrap_or(Self::Day)
    }

    /// In addresses and for a filter; for people; how many bars, and how long each is.
    fn about(self) -> (&'static str, &'static str, u64, u64) {
        match self {
            Self::Quarter => ("15m", "15 minutes", 15, 60),
            Self::Day => ("24h", "24 hours", 24, 3600),
            Self::Month => ("30d", "30 days", 30, 86400),
        }
    }

    pub(crate) fn word(self) -> &'static str {
        self.about().0
    }

    pub(crate) fn name(self) -> &'static str {
        self.about().1
    }
}

/// What a bar is made of, from the bottom up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Series {
    Success,
    Failure,
    Other,
    Duplicate,
    FailedAttempt,
    Rejected,
}

impl Series {
    pub(crate) const ALL: [Self; 6] = [
        Self::Success,
        Self::Failure,
        Self::Other,
        Self::Duplicate,
        Self::FailedAttempt,
        Self::Rejected,
    ];

    fn about(self) -> (&'static str, &'static str) {
        match self {
            Self::Success => ("success", "accepted: success"),
            Self::Failure => ("failure", "accepted: failure"),
            Self::Other => ("other", "accepted: other"),
            Self::Duplicate => ("duplicate", "duplicates"),
            Self::FailedAttempt => ("failed", "failed attempts"),
            Self::Rejected => ("rejected", "rejected"),
        }
    }

    fn class(self) -> &'static str {
        self.about().0
    }

    fn name(self) -> &'static str {
        self.about().1
    }
}

type Counts = [u64; Series::ALL.len()];

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
        let seconds = now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let (_, _, bars, bar) = span.about();
        let start = (seconds / bar + 1).saturating_sub(bars) * bar;
        Self {
            span,
            start,
            bars: vec![Counts::default(); usize::try_from(bars).unwrap_or(0)],
            events: BTreeMap::new(),
        }
    }

    /// From when on it shows anything.
    pub(crate) fn since(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.start)
    }

    /// What is outside of its span is left out.
    pub(crate) fn add(&mut self, at: SystemTime, series: Series, event: Option<&str>, count: u64) {
        let seconds = at
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let Some(offset) = seconds.checked_sub(self.start) else {
            return;
        };
        let bar = usize::try_from(offset / self.span.about().3).unwrap_or(usize::MAX);
        let Some(counts) = self.bars.get_mut(bar) else {
            return;
        };
        counts[series as usize] += count;
        if let Some(event) = event {
            self.events.entry(event.to_owned()).or_default()[series as usize] += count;
        }
    }

    pub(crate) fn total(&self, series: Series) -> u64 {
        self.bars.iter().map(|counts| counts[series as usize]).sum()
    }

    /// What came of each event, most first.
    pub(crate) fn events(&self) -> Vec<(&str, Counts)> {
        let mut events: Vec<_> = self
            .events
            .iter()
            .map(|(name, counts)| (name.as_str(), *counts))
            .collect();
        events.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.iter().sum::<u64>()));
        events
    }

    pub(crate) fn markup(&self) -> Markup {
        let series: Vec<_> = Series::ALL
            .into_iter()
            .filter(|series| self.total(*series) > 0)
            .collect();
        let most = self
            .bars
            .iter()
            .map(|counts| counts.iter().sum())
            .max()
            .unwrap_or(0);
        let top = nice(most);
        html! {
            figure.chart {
                svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-labelledby="chart-title" preserveAspectRatio="none" {
                    title #chart-title { (self.title(&series)) }
                    @for line in [0, 1, 2] {
                        @let y = HEIGHT - HEIGHT * line / 2;
                        line.grid x1="0" x2=(WIDTH) y1=(y) y2=(y) {}
                    }
                    @for (place, counts) in self.bars.iter().enumerate() { (self.bar(place, counts, top)) }
                }
                div.scale aria-hidden="true" { span { (number(top)) } span { (number(top / 2)) } span { "0" } }
                div.times aria-hidden="true" { @for label in self.labels() { span { (label) } } }
                figcaption {
                    @for series in &series {
                        span.key { span.swatch.(series.class()) {} (series.name()) " " strong { (number(self.total(*series))) } }
                    }
                    @if series.is_empty() { span.hint { "Nothing came in these " (self.span.name()) "." } }
                }
            }
            @if !series.is_empty() {
                details #chart-table {
                    summary { "As a table" }
                    (self.table(&series))
                }
            }
        }
    }

    fn bar(&self, place: usize, counts: &Counts, top: u64) -> Markup {
        let width = WIDTH as f64 / self.bars.len() as f64;
        let x = width * place as f64 + width * 0.1;
        let mut base = HEIGHT as f64;
        let parts = Series::ALL.into_iter().filter_map(|series| {
            let count = counts[series as usize];
            // A single one is seen beside thousands.
            let height = (count as f64 / top.max(1) as f64 * HEIGHT as f64).max(1.5);
            base -= if count > 0 { height } else { 0.0 };
            (count > 0).then_some((series, base, height))
        });
        let parts: Vec<_> = parts.collect();
        html! {
            g {
                title { (clock(self.bar_start(place))) " UTC: " (said(counts)) }
                @for (series, y, height) in parts {
                    rect.(series.class()) x=(format!("{x:.1}")) y=(format!("{y:.1}")) width=(format!("{:.1}", width * 0.8)) height=(format!("{height:.1}")) {}
                }
            }
        }
    }

    fn bar_start(&self, place: usize) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.start + place as u64 * self.span.about().3)
    }

    fn title(&self, series: &[Series]) -> String {
        let totals: Vec<_> = series
            .iter()
            .map(|series| format!("{} {}", number(self.total(*series)), series.name()))
            .collect();
        match totals.is_empty() {
            true => format!("Nothing in the last {}", self.span.name()),
            false => format!("The last {}: {}", self.span.name(), totals.join(", ")),
        }
    }

    /// The first bar, one in the middle, the last.
    fn labels(&self) -> [String; 3] {
        let last = self.bars.len() - 1;
        [0, last / 2, last].map(|place| {
            let text = clock(self.bar_start(place));
            match self.span {
                Span::Quarter | Span::Day => text[11..16].to_owned(),
                Span::Month => text[5..10].to_owned(),
            }
        })
    }

    fn table(&self, series: &[Series]) -> Markup {
        let names = series.iter().map(|series| (series.name(), "number"));
        let columns: Vec<_> = [("From (UTC)", "key")].into_iter().chain(names).collect();
        let bars = self.bars.iter().enumerate().rev();
        let rows = bars.filter(|(_, counts)| counts.iter().any(|count| *count > 0));
        let rows = rows.map(|(place, counts)| {
            let from = html! { (clock(self.bar_start(place))) };
            let numbers = series.iter().map(|series| counts[*series as usize]);
            let numbers = numbers.map(|count| html! { (number(count)) });
            [from].into_iter().chain(numbers).collect::<Vec<_>>()
        });
        page::table("Counts over time", "", &columns, rows)
    }
}

/// `3 accepted: success, 1 duplicates`
fn said(counts: &Counts) -> String {
    let parts = Series::ALL
        .into_iter()
        .filter(|series| counts[*series as usize] > 0);
    let parts: Vec<_> = parts
        .map(|series| format!("{} {}", number(counts[series as usize]), series.name()))
        .collect();
    match parts.is_empty() {
        true => "nothing".to_owned(),
        false => parts.join(", "),
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
            chart.add(now, Series::Success, Some("a.success"), 3);
            chart.add(chart.since(), Series::Failure, Some("a.fail"), 1);
            chart.add(
                chart.since() - Duration::from_secs(1),
                Series::Other,
                None,
                9,
            );
            assert_eq!(
                chart.bars.last().map(|bar| bar[Series::Success as usize]),
                Some(3),
                "{span:?}"
            );
            assert_eq!(chart.bars[0][Series::Failure as usize], 1, "{span:?}");
            assert_eq!(chart.total(Series::Other), 0, "{span:?}");
            assert_eq!(chart.events()[0].0, "a.success");
        }
    }

    #[test]
    fn scale_ends_with_a_round_number() {
        for (most, top) in [
            (0, 2),
            (1, 2),
            (3, 4),
            (5, 6),
            (11, 20),
            (47, 60),
            (399, 400),
            (401, 600),
            (801, 1000),
        ] {
            assert_eq!(nice(most), top, "{most}");
        }
    }
}
