//! [`Recent`]: the live deliveries, which were received lately and never claimed.

use std::collections::{HashMap, HashSet, VecDeque};

/// The live deliveries, oldest first for each event type. Bounded, and in memory only: every other
/// delivery is backlog. It does not depend on the clock.
#[derive(Debug, Default)]
pub(super) struct Recent {
    by_type: HashMap<Option<Box<str>>, VecDeque<i64>>,
    keys: HashSet<i64>,
}

impl Recent {
    pub(super) fn add(&mut self, event_type: Option<&str>, key: i64) {
        self.insert(event_type, key, VecDeque::push_back);
    }

    /// For a delivery that was claimed and did not reach the handler: it goes first again.
    pub(super) fn put_back(&mut self, event_type: Option<&str>, key: i64) {
        self.insert(event_type, key, VecDeque::push_front);
    }

    fn insert(&mut self, event_type: Option<&str>, key: i64, push: fn(&mut VecDeque<i64>, i64)) {
        let name = event_type.map(Box::from);
        if self.by_type.len() >= MAX_TYPES && !self.by_type.contains_key(&name) {
            self.by_type.retain(|_, keys| !keys.is_empty());
            if self.by_type.len() >= MAX_TYPES {
                return;
            }
        }
        let keys = self.by_type.entry(name).or_default();
        push(keys, key);
        self.keys.insert(key);
        if keys.len() > MAX_KEYS
            && let Some(oldest) = keys.pop_front()
        {
            self.keys.remove(&oldest);
        }
    }

    pub(super) fn contains(&self, key: i64) -> bool {
        self.keys.contains(&key)
    }

    /// Removes a delivery that was claimed; returns whether it was live.
    pub(super) fn remove(&mut self, key: i64) -> bool {
        self.keys.remove(&key)
    }

    /// Takes the oldest of the event types that have room.
    pub(super) fn take(
        &mut self,
        has_room: impl Fn(Option<&str>) -> bool,
    ) -> Option<(Option<Box<str>>, i64)> {
        let known = &self.keys;
        let wanted = self.by_type.iter_mut();
        let wanted = wanted.filter(|(event_type, _)| has_room(event_type.as_deref()));
        let oldest = wanted.filter_map(|(event_type, keys)| {
            // Removed when they were claimed as backlog.
            while keys.front().is_some_and(|key| !known.contains(key)) {
                keys.pop_front();
            }
            Some((*keys.front()?, event_type, keys))
        });
        let (key, event_type, keys) = oldest.min_by_key(|(key, ..)| *key)?;
        keys.pop_front();
        let event_type = event_type.clone();
        self.keys.remove(&key);
        Some((event_type, key))
    }
}

/// Of each event type.
const MAX_KEYS: usize = 4096;

/// Events of more types than that at a time are backlog.
const MAX_TYPES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_deliveries_are_taken_oldest_first_and_once() {
        let mut recent = Recent::default();
        for key in [1, 2, 3] {
            recent.add(Some("a"), key);
        }
        recent.add(None, 4);
        assert!(recent.remove(2) && !recent.remove(2));
        recent.add(Some("b"), 5);
        recent.put_back(Some("a"), 0);
        let taken: Vec<_> = std::iter::from_fn(|| recent.take(|name| name.is_some())).collect();
        let taken: Vec<_> = taken.into_iter().map(|(_, key)| key).collect();
        assert_eq!(taken, [0, 1, 3, 5]);
        assert_eq!(recent.take(|_| true), Some((None, 4)));
        assert_eq!(recent.take(|_| true), None);
    }

    #[test]
    fn recent_deliveries_are_bounded() {
        let mut recent = Recent::default();
        for key in 0..2 * MAX_KEYS as i64 {
            recent.add(Some("a"), key);
        }
        assert_eq!(recent.keys.len(), MAX_KEYS);
        assert_eq!(
            recent.take(|_| true).map(|(_, key)| key),
            Some(MAX_KEYS as i64),
            "the oldest make room"
        );
        for name in 0..2 * MAX_TYPES {
            recent.add(Some(&name.to_string()), 0);
        }
        assert_eq!(recent.by_type.len(), MAX_TYPES);
    }
}
