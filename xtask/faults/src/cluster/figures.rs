//! [`Came`]: what came of the POSTs; a row of the table for each stretch of time.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use xtask_harness::listener::Taken;

use super::senders::Post;

/// What came of the POSTs.
#[derive(Debug, Default)]
pub(super) struct Came {
    pub(super) posts: Vec<Post>,
    pub(super) handed: Vec<Taken>,
    /// The events that were answered and are not in the stream.
    pub(super) lost: BTreeSet<u64>,
    /// Those that are there more than once.
    pub(super) doubled: BTreeSet<u64>,
}

impl Came {
    /// A row of [`header`]. An answer belongs to the stretch in which it came, an event to that of its first 2xx. `well_after` is how
    /// long it took until everything worked again.
    pub(super) fn row(
        &self,
        name: &str,
        stretch: &Range<Instant>,
        well_after: Option<Duration>,
    ) -> Vec<String> {
        let is_here = |post: &Post| stretch.contains(&post.answered_at);
        let posts = self.posts.iter().filter(|post| is_here(post));
        let posts: Vec<&Post> = posts.collect();
        let unanswered = posts.iter().filter(|post| post.status.is_none()).count();
        let answered = posts.iter().filter(|post| post.status.is_some());
        let slowest = answered.map(|post| post.answered_at - post.sent_at).max();

        let taken = posts.iter().filter(|post| post.is_taken());
        let mut times: Vec<Instant> = taken.map(|post| post.answered_at).collect();
        let taken = times.len();
        times.insert(0, stretch.start);
        times.push(stretch.end);
        let gaps = times
            .windows(2)
            .map(|two| two[1].saturating_duration_since(two[0]));
        let longest_gap = gaps.max();

        let mut known = BTreeSet::new();
        let first = self.posts.iter().filter(|post| post.is_taken());
        let first = first.filter(|post| known.insert(post.number) && is_here(post));
        let first: BTreeSet<u64> = first.map(|post| post.number).collect();
        let lost = self.lost.intersection(&first).count();
        let doubled = self.doubled.intersection(&first).count();
        let mut known = BTreeSet::new();
        let again = self.handed.iter();
        let again =
            again.filter(|taken| !known.insert(&taken.subject) && stretch.contains(&taken.at));

        vec![
            name.to_owned(),
            posts.len().to_string(),
            taken.to_string(),
            (posts.len() - taken - unanswered).to_string(),
            unanswered.to_string(),
            seconds(longest_gap.unwrap_or_default()),
            seconds(slowest.unwrap_or_default()),
            well_after.map_or_else(|| "–".to_owned(), seconds),
            lost.to_string(),
            doubled.to_string(),
            again.count().to_string(),
        ]
    }
}

pub(super) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

pub(super) fn header() -> Vec<&'static str> {
    let names = "under load|posts|2xx|503|no answer|longest without 2xx|slowest answer|well again after|\
                 lost|twice in the stream|handed over again";
    names.split('|').collect()
}

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
        let handed = |second| Taken {
            path: String::new(),
            id: String::new(),
            subject: "a-2".to_owned(),
            at: at(second),
        };
        let came = Came {
            posts: vec![
                post(1, 0, 1, Some(200)),
                post(2, 8, 11, Some(200)),
                post(3, 11, 12, None),
                post(4, 11, 18, Some(503)),
                post(1, 18, 19, Some(200)),
                post(4, 20, 20, Some(200)),
            ],
            handed: [9, 12, 13, 20].map(handed).into(),
            lost: [1, 2].into(),
            doubled: [4].into(),
        };
        let row = came.row("a node is killed", &(at(10)..at(20)), None);
        assert_eq!(
            row.join(" | "),
            "a node is killed | 4 | 2 | 1 | 1 | 8.0 s | 7.0 s | – | 1 | 0 | 2"
        );
    }
}
