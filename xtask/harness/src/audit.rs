//! [`Ledger`]: what was sent and what it was answered; [`Audit`]: that beside what the inbox holds. Events go by their numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::event::Events;

/// What was sent, and what came of it.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// POSTs sent, those that were sent again included.
    pub requests: u64,
    /// Every event that was ever sent.
    pub sent: BTreeSet<u64>,
    /// Every event that was answered 2xx.
    pub answered: BTreeSet<u64>,
    /// How often which other status came.
    pub refused: BTreeMap<u16, u64>,
    /// POSTs without an answer: the connection broke.
    pub broken: u64,
}

impl Ledger {
    /// One in which each of these was sent once, and answered this status.
    pub fn of(numbers: impl IntoIterator<Item = u64>, status: u16) -> Self {
        let mut ledger = Self::default();
        let numbers = numbers.into_iter();
        numbers.for_each(|number| ledger.note(number, &Ok(status)));
        ledger
    }

    /// Notes what came of one POST.
    pub fn note(&mut self, number: u64, status: &io::Result<u16>) {
        self.requests += 1;
        self.sent.insert(number);
        match status {
            Ok(200..=299) => {
                self.answered.insert(number);
            }
            Ok(status) => *self.refused.entry(*status).or_default() += 1,
            Err(_) => self.broken += 1,
        }
    }

    /// Adds what came of other POSTs.
    pub fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.sent.extend(other.sent);
        self.answered.extend(other.answered);
        self.broken += other.broken;
        for (status, count) in other.refused {
            *self.refused.entry(status).or_default() += count;
        }
    }

    /// What HeyGen would send again.
    #[must_use]
    pub fn unanswered(&self) -> Vec<u64> {
        self.sent.difference(&self.answered).copied().collect()
    }

    /// POSTs that got no 2xx.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.refused.values().sum::<u64>() + self.broken
    }

    /// Statuses other than 2xx and 503, as a line of what is wrong.
    #[must_use]
    pub fn unexpected(&self) -> Option<String> {
        let other = self.refused.iter().filter(|(status, _)| **status != 503);
        let other: Vec<String> = other
            .map(|(status, count)| format!("{count} answers {status}"))
            .collect();
        (!other.is_empty()).then(|| other.join(", "))
    }
}

/// What became of the events of one inbox.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Audit {
    /// POSTs sent.
    pub requests: u64,
    /// Events answered 2xx.
    pub answered: u64,
    /// Events that are in the inbox, answered or not.
    pub kept: u64,
    /// Events answered 2xx that are not.
    pub lost: u64,
    /// Events that are there more than once.
    pub duplicated: u64,
    /// Records of something that no one sent.
    pub invented: u64,
}

impl Audit {
    /// Compares; `subjects` are those of every record in the inbox.
    pub fn of<'a>(
        ledger: &Ledger,
        events: &Events,
        subjects: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut records: BTreeMap<u64, u64> = BTreeMap::new();
        let mut invented = 0;
        for subject in subjects {
            match events.number(subject) {
                Some(number) if ledger.sent.contains(&number) => {
                    *records.entry(number).or_default() += 1;
                }
                _ => invented += 1,
            }
        }
        let is_kept = |number: &&u64| records.contains_key(number);
        let kept = ledger.answered.iter().filter(is_kept).count();
        Self {
            requests: ledger.requests,
            answered: ledger.answered.len() as u64,
            kept: records.len() as u64,
            lost: (ledger.answered.len() - kept) as u64,
            duplicated: records.values().filter(|times| **times > 1).count() as u64,
            invented,
        }
    }

    /// Nothing is lost, and nothing is there that should not be.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.invented == 0
    }

    /// Adds what another inbox holds.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.answered += other.answered;
        self.kept += other.kept;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.invented += other.invented;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends 1 to 4, answers 1 and 2, and finds these records.
    #[track_caller]
    fn check(subjects: &[&str], [kept, lost, duplicated, invented]: [u64; 4]) {
        let mut ledger = Ledger::of([1, 2], 200);
        ledger.add(Ledger::of([3], 503));
        ledger.note(4, &Err(io::ErrorKind::ConnectionReset.into()));
        let events = Events::new("a").unwrap();
        let audit = Audit::of(&ledger, &events, subjects.iter().copied());
        let expected = Audit {
            requests: 4,
            answered: 2,
            kept,
            lost,
            duplicated,
            invented,
        };
        assert_eq!(audit, expected);
        assert_eq!(audit.is_sound(), lost + duplicated + invented == 0);
    }

    #[test]
    fn every_id_is_accounted_for() {
        check(&["a-1", "a-2"], [2, 0, 0, 0]);
        check(&["a-1", "a-2", "a-4"], [3, 0, 0, 0]);
        check(&["a-1"], [1, 1, 0, 0]);
        check(&["a-1", "a-2", "a-2"], [2, 0, 1, 0]);
        check(&["a-1", "a-2", "a-5", "b-1", ""], [2, 0, 0, 3]);
    }

    #[test]
    fn a_ledger_tells_what_heygen_would_send_again() {
        let mut ledger = Ledger::of([1], 200);
        ledger.add(Ledger::of([2], 503));
        ledger.note(3, &Err(io::ErrorKind::ConnectionReset.into()));
        assert_eq!((ledger.unanswered(), ledger.failed()), (vec![2, 3], 2));
        assert_eq!(ledger.unexpected(), None);
        ledger.add(Ledger::of([2], 200));
        ledger.add(Ledger::of([4], 500));
        assert_eq!(ledger.unanswered(), [3, 4]);
        assert_eq!(ledger.unexpected().as_deref(), Some("1 answers 500"));
    }
}
