//! [`Audit`]: every event by its id, as sent and answered on one side and as the inbox lists it on the other.

use std::collections::BTreeMap;

use super::event::Events;
use super::load::Ledger;

/// What became of the events of one inbox file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Audit {
    /// POSTs sent.
    pub(super) requests: u64,
    /// Events answered 2xx.
    pub(super) answered: u64,
    /// Events that are in the inbox, answered or not.
    pub(super) kept: u64,
    /// Events answered 2xx that are not.
    pub(super) lost: u64,
    /// Events that are there more than once.
    pub(super) duplicated: u64,
    /// Records of something that nobody sent.
    pub(super) invented: u64,
}

impl Audit {
    /// Compares; `subjects` are those of every record in the inbox.
    pub(super) fn of<'a>(
        ledger: &Ledger,
        events: &Events,
        subjects: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut records: BTreeMap<u64, u64> = BTreeMap::new();
        let mut invented = 0;
        for subject in subjects {
            match events
                .number(subject)
                .filter(|number| ledger.sent.contains(number))
            {
                Some(number) => *records.entry(number).or_default() += 1,
                None => invented += 1,
            }
        }
        let lost = ledger
            .answered
            .iter()
            .filter(|number| !records.contains_key(number));
        Self {
            requests: ledger.requests,
            answered: count(ledger.answered.len()),
            kept: count(records.len()),
            lost: count(lost.count()),
            duplicated: count(records.values().filter(|times| **times > 1).count()),
            invented,
        }
    }

    pub(super) fn is_sound(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.invented == 0
    }

    /// Adds what another inbox file holds.
    pub(super) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.answered += other.answered;
        self.kept += other.kept;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.invented += other.invented;
    }
}

/// A length as a number of the table.
pub(super) fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends 1 to 4, answers 1 and 2, and finds these records.
    #[track_caller]
    fn check(subjects: &[&str], [kept, lost, duplicated, invented]: [u64; 4]) {
        let mut ledger = Ledger::default();
        ledger.note(1, &Ok(200));
        ledger.note(2, &Ok(200));
        ledger.note(3, &Ok(503));
        ledger.note(4, &Err(std::io::ErrorKind::ConnectionReset.into()));
        let audit = Audit::of(
            &ledger,
            &Events::new("a").unwrap(),
            subjects.iter().copied(),
        );
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
}
