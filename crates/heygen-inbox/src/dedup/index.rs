//! [`Index`]: deliveries by fingerprint, in memory.

use std::cmp::Ordering;
use std::collections::HashMap;

/// 64 bits that find a candidate; the candidate itself decides.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Fingerprint(pub(crate) u64);

/// Deliveries by fingerprint. Nearly every fingerprint has one; additional ones are in a map of
/// their own.
#[derive(Debug)]
pub(crate) struct Index<I> {
    newest: HashMap<Fingerprint, I>,
    /// Those before the newest, the oldest first.
    earlier: HashMap<Fingerprint, Vec<I>>,
    earlier_len: usize,
}

impl<I: Copy + Ord> Index<I> {
    /// How many entries it has.
    #[cfg(any(feature = "sqlite", feature = "jetstream", test))]
    pub(crate) fn len(&self) -> usize {
        self.newest.len() + self.earlier_len
    }

    /// Adds a delivery; it may be there already.
    pub(crate) fn insert(&mut self, fingerprint: Fingerprint, id: I) {
        let newest = self.newest.entry(fingerprint).or_insert(id);
        let earlier = match (*newest).cmp(&id) {
            // It was there, or was just inserted.
            Ordering::Equal => return,
            Ordering::Less => std::mem::replace(newest, id),
            Ordering::Greater => id,
        };
        let ids = self.earlier.entry(fingerprint).or_default();
        if let Err(position) = ids.binary_search(&earlier) {
            ids.insert(position, earlier);
            self.earlier_len += 1;
        }
    }

    /// The newest first.
    pub(crate) fn get(&self, fingerprint: Fingerprint) -> impl Iterator<Item = I> {
        let newest = self.newest.get(&fingerprint).copied();
        let earlier = match newest {
            Some(_) if !self.earlier.is_empty() => self.earlier.get(&fingerprint),
            _ => None,
        };
        let earlier = earlier
            .into_iter()
            .flat_map(|ids| ids.iter().rev().copied());
        newest.into_iter().chain(earlier)
    }

    #[cfg(any(feature = "sqlite", test))]
    pub(crate) fn contains(&self, fingerprint: Fingerprint) -> bool {
        self.newest.contains_key(&fingerprint)
    }

    pub(crate) fn remove(&mut self, fingerprint: Fingerprint, id: I) {
        let earlier = self.earlier.get_mut(&fingerprint);
        if self.newest.get(&fingerprint) == Some(&id) {
            match earlier.and_then(Vec::pop) {
                Some(before) => {
                    self.newest.insert(fingerprint, before);
                    self.earlier_len -= 1;
                }
                None => drop(self.newest.remove(&fingerprint)),
            }
        } else if let Some(ids) = earlier
            && let Ok(position) = ids.binary_search(&id)
        {
            ids.remove(position);
            self.earlier_len -= 1;
        }
        if self.earlier.get(&fingerprint).is_some_and(Vec::is_empty) {
            self.earlier.remove(&fingerprint);
        }
    }

    /// All entries, in no order.
    #[cfg(any(feature = "sqlite", test))]
    pub(crate) fn into_entries(self) -> Vec<(Fingerprint, I)> {
        let earlier = self.earlier.into_iter();
        let earlier =
            earlier.flat_map(|(fingerprint, ids)| ids.into_iter().map(move |id| (fingerprint, id)));
        self.newest.into_iter().chain(earlier).collect()
    }
}

impl<I> Default for Index<I> {
    fn default() -> Self {
        Self {
            newest: HashMap::new(),
            earlier: HashMap::new(),
            earlier_len: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_come_first_and_removed_entries_are_gone() {
        let mut index = Index::default();
        let (a, b) = (Fingerprint(1), Fingerprint(2));
        for (fingerprint, id) in [(a, 1), (b, 2), (a, 3), (a, 4)] {
            index.insert(fingerprint, id);
        }
        let get = |index: &Index<i32>, fingerprint| index.get(fingerprint).collect::<Vec<_>>();
        assert_eq!((get(&index, a), get(&index, b)), (vec![4, 3, 1], vec![2]));
        assert_eq!(index.len(), 4);
        // Added again, or late.
        index.insert(a, 4);
        index.insert(a, 1);
        index.insert(a, 2);
        assert_eq!(get(&index, a), [4, 3, 2, 1]);
        index.remove(a, 2);
        index.remove(a, 3);
        index.remove(a, 7);
        assert_eq!(get(&index, a), [4, 1]);
        index.remove(a, 4);
        index.insert(a, 5);
        assert_eq!(get(&index, a), [5, 1]);
        index.remove(a, 5);
        index.remove(a, 1);
        assert!(!index.contains(a) && index.contains(b));
        assert_eq!((index.len(), index.into_entries()), (1, vec![(b, 2)]));
    }
}
