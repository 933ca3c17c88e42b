//! [`Figures`]: what came of the POSTs of a stretch of time, and the table of all such stretches.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::application::Handed;
use super::senders::Post;
use xtask_harness::audit::count;
use xtask_harness::report::Table;

/// From its begin to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) begin: Instant,
    pub(super) end: Instant,
}

impl Stretch {
    pub(super) fn holds(&self, at: Instant) -> bool {
        self.begin <= at && at < self.end
    }
}

/// What is in the stream and should not be, or should be and is not; by the numbers of the events.
#[derive(Clone, Debug, Default)]
pub(super) struct Flaws {
    pub(super) lost: BTreeSet<u64>,
    pub(super) doubled: BTreeSet<u64>,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Figures {
    posts: u64,
    taken: u64,
    refused: u64,
    unanswered: u64,
    longest_gap: Duration,
    slowest: Duration,
    lost: u64,
    doubled: u64,
    /// Handed over and done once more.
    pub(super) handed_again: u64,
}

impl Figures {
    /// An answer belongs to the stretch in which it came, an event to that of its first 2xx.
    pub(super) fn of(posts: &[Post], flaws: &Flaws, handed: &Handed, stretch: Stretch) -> Self {
        let mut figures = Self::default();
        let mut first_taken = BTreeMap::new();
        let mut last_taken = stretch.begin;
        for post in posts {
            if post.is_taken() {
                first_taken.entry(post.number).or_insert(post.answered_at);
            }
            if !stretch.holds(post.answered_at) {
                continue;
            }
            figures.posts += 1;
            match post.status {
                Some(200..=299) => {
                    figures.taken += 1;
                    figures.longest_gap = figures
                        .longest_gap
                        .max(post.answered_at.saturating_duration_since(last_taken));
                    last_taken = post.answered_at;
                }
                Some(_) => figures.refused += 1,
                None => figures.unanswered += 1,
            }
            if post.status.is_some() {
                figures.slowest = figures.slowest.max(post.answered_at - post.sent_at);
            }
        }
        let last_gap = stretch.end.saturating_duration_since(last_taken);
        figures.longest_gap = figures.longest_gap.max(last_gap);
        let here = |numbers: &BTreeSet<u64>| {
            let first = numbers.iter().filter_map(|number| first_taken.get(number));
            count(first.filter(|at| stretch.holds(**at)).count())
        };
        figures.lost = here(&flaws.lost);
        figures.doubled = here(&flaws.doubled);
        let again = handed.taken.values().flat_map(|times| times.iter().skip(1));
        figures.handed_again = count(again.filter(|(_, at)| stretch.holds(*at)).count());
        figures
    }

    pub(super) fn told(&self) -> String {
        format!(
            "{} posts, {} 2xx, {} 503, {} without an answer, {} without 2xx, slowest answer {}",
            self.posts,
            self.taken,
            self.refused,
            self.unanswered,
            seconds(self.longest_gap),
            seconds(self.slowest)
        )
    }
}

/// A row for each stretch.
#[derive(Debug)]
pub(super) struct Stretches(Table);

impl Stretches {
    pub(super) fn new() -> Self {
        Self(Table::new(1, &HEADER))
    }

    /// `well_after` is how long it took until everything worked again.
    pub(super) fn row(&mut self, name: &str, figures: &Figures, well_after: Option<Duration>) {
        let numbers = [
            figures.posts,
            figures.taken,
            figures.refused,
            figures.unanswered,
        ];
        let flaws = [figures.lost, figures.doubled, figures.handed_again];
        let mut cells = vec![name.to_owned()];
        cells.extend(numbers.map(|number| number.to_string()));
        cells.extend([figures.longest_gap, figures.slowest].map(seconds));
        cells.push(well_after.map_or_else(|| "–".to_owned(), seconds));
        cells.extend(flaws.map(|number| number.to_string()));
        self.0.row(cells);
    }

    pub(super) fn render(&self) -> String {
        self.0.render()
    }
}

pub(super) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

const HEADER: [&str; 11] = [
    "under load",
    "posts",
    "2xx",
    "503",
    "no answer",
    "longest without 2xx",
    "slowest answer",
    "well again after",
    "lost",
    "twice in the stream",
    "handed over again",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_events_belong_to_one_stretch() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let post = |number, sent, answered, status| Post {
            number,
            receiver: 0,
            is_again: false,
            sent_at: at(sent),
            answered_at: at(answered),
            status,
        };
        let posts = [
            post(1, 0, 1, Some(200)),
            post(2, 8, 11, Some(200)),
            post(3, 11, 12, None),
            post(4, 11, 18, Some(503)),
            post(1, 18, 19, Some(200)),
            post(4, 20, 20, Some(200)),
        ];
        let mut handed = Handed::default();
        let times = [9, 12, 13, 20].map(|second| ("id".to_owned(), at(second)));
        handed.taken.insert(2, times.into());
        let flaws = Flaws {
            lost: [1, 2].into(),
            doubled: [4].into(),
        };
        let stretch = Stretch {
            begin: at(10),
            end: at(20),
        };
        let expected = Figures {
            posts: 4,
            taken: 2,
            refused: 1,
            unanswered: 1,
            longest_gap: Duration::from_secs(8),
            slowest: Duration::from_secs(7),
            lost: 1,
            doubled: 0,
            handed_again: 2,
        };
        assert_eq!(Figures::of(&posts, &flaws, &handed, stretch), expected);
        let mut table = Stretches::new();
        table.row("a node is killed", &expected, None);
        let text = table.render();
        let cells: Vec<&str> = text
            .lines()
            .last()
            .unwrap()
            .split('|')
            .map(str::trim)
            .collect();
        assert_eq!(
            cells[1..12],
            [
                "a node is killed",
                "4",
                "2",
                "1",
                "1",
                "8.0 s",
                "7.0 s",
                "–",
                "1",
                "0",
                "2"
            ]
        );
    }
}
