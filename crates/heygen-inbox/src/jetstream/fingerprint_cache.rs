//! [`FingerprintCache`]: the fingerprints of the newest events, to find duplicates that the servers do
//! not recognise.
//!
//! The servers recognise a duplicate by one id per message, within their duplicate window. A POST and
//! its record in HeyGen's log have different bodies, and so ids, and the log reaches further back than
//! the window. So each receiver caches fingerprints of the newest events. A fingerprint only finds a
//! candidate; the event itself decides. Memory is bounded: two maps, of which the older is dropped
//! when the newer is full.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::dedup::index::Fingerprint;
use crate::dedup::index::Index;
use crate::dedup::v2;
use crate::delivery::NewDelivery;

#[derive(Debug)]
pub(super) struct FingerprintCache {
    maps: Mutex<Maps>,
    /// One at a time reads the stream.
    pub(super) reading: tokio::sync::Mutex<()>,
    /// How many fingerprints one map holds.
    map_len: usize,
    /// Becomes true once all events that were in the stream at the start are cached.
    is_synced: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Maps {
    newer: Index<u64>,
    older: Index<u64>,
    followed_since: Option<Instant>,
    known: Known,
    /// When the stream was created that they are of.
    created_at: Option<i128>,
}

/// Which sequences of the stream are cached.
#[derive(Debug, Default)]
struct Known {
    /// All up to and including this one.
    to: u64,
    /// And these beyond it.
    beyond: BTreeSet<u64>,
}

impl Known {
    fn add(&mut self, sequence: u64) {
        if sequence > self.to {
            self.beyond.insert(sequence);
        }
        while self.beyond.remove(&(self.to + 1)) {
            self.to += 1;
        }
    }

    /// All up to this one are cached or deleted.
    fn all_to(&mut self, sequence: u64) {
        self.to = self.to.max(sequence);
        while self.beyond.first().is_some_and(|first| *first <= self.to) {
            self.beyond.pop_first();
        }
        self.add(0);
    }
}

impl FingerprintCache {
    /// A cache of the newest `events`, or up to twice as many.
    pub(super) fn new(events: usize) -> Self {
        Self {
            maps: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
            map_len: events.max(1).saturating_mul(FINGERPRINTS),
            is_synced: watch::Sender::new(false),
        }
    }

    pub(super) fn insert(&self, fingerprints: impl Iterator<Item = Fingerprint>, sequence: u64) {
        let mut maps = self.maps();
        if maps.newer.len() >= self.map_len {
            maps.older = std::mem::take(&mut maps.newer);
        }
        for fingerprint in fingerprints {
            maps.newer.insert(fingerprint, sequence);
        }
        maps.known.add(sequence);
    }

    /// Up to which sequence all events are cached.
    pub(super) fn known_to(&self) -> u64 {
        self.maps().known.to
    }

    /// The greatest sequence that is cached.
    pub(super) fn newest_known(&self) -> u64 {
        let known = &self.maps().known;
        known.beyond.last().copied().unwrap_or(known.to)
    }

    /// Whether the stream was created at another time than the one that was read before.
    pub(super) fn is_another_stream(&self, created_at: i128) -> bool {
        let before = self.maps().created_at.replace(created_at);
        before.is_some_and(|before| before != created_at)
    }

    /// The sequences of the stream are those of other events now. A fingerprint may stay,
    /// since it only finds a candidate.
    pub(super) fn forget_known(&self) {
        self.maps().known = Known::default();
    }

    /// The stream was read up to this sequence.
    pub(super) fn read_to(&self, sequence: u64) {
        self.maps().known.all_to(sequence);
    }

    /// All events that were in the stream when following began are cached.
    pub(super) fn set_synced(&self) {
        self.is_synced.send_replace(true);
    }

    /// Whether someone waits until they are.
    pub(super) fn is_waited_for(&self) -> bool {
        self.is_synced.receiver_count() > 0
    }

    /// The sequences of events that a delivery may be a duplicate of, newest first.
    pub(super) fn candidates(&self, delivery: &NewDelivery) -> Vec<u64> {
        let maps = self.maps();
        // Receivers of the previous version may be publishing to the stream.
        let v2 = v2::lookup_fingerprints(delivery.source(), delivery.dedup_key());
        let mut found: Vec<u64> = delivery
            .lookup_fingerprints()
            .chain(v2)
            .flat_map(|fingerprint| {
                maps.newer
                    .get(fingerprint)
                    .chain(maps.older.get(fingerprint))
            })
            .collect();
        found.sort_unstable_by(|left, right| right.cmp(left));
        found.dedup();
        found
    }

    /// Returns once all events that were in the stream when following began are cached.
    pub(super) async fn wait_until_synced(&self) {
        // The sender is in `self`, so it is not dropped meanwhile.
        let _ = self.is_synced.subscribe().wait_for(|is_so| *is_so).await;
    }

    /// The same for an append, which may not wait long. After a start the newest events are cached
    /// soon, and those of the previous version are found in no other way.
    pub(super) async fn caught_up_soon(&self) {
        if *self.is_synced.borrow() {
            return;
        }
        let since = self.maps().followed_since;
        if let Some(since) = since {
            // Without it a duplicate may be delivered again, which is better than a late answer.
            let _ = tokio::time::timeout_at(since + SOON, self.wait_until_synced()).await;
        }
    }

    /// Whether the caller has to begin to follow the stream.
    pub(super) fn begin(&self) -> bool {
        let mut maps = self.maps();
        let is_first = maps.followed_since.is_none();
        maps.followed_since.get_or_insert_with(Instant::now);
        is_first
    }

    fn maps(&self) -> MutexGuard<'_, Maps> {
        self.maps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of a POST: one of its body, one of its name and data.
const FINGERPRINTS: usize = 2;

/// HeyGen waits for ten seconds, and the stream has to acknowledge too.
const SOON: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;

    #[test]
    fn cached_sequences_have_no_gaps() {
        let mut known = Known::default();
        known.all_to(4);
        for sequence in [6, 8, 3, 6] {
            known.add(sequence);
        }
        assert_eq!(known.to, 4, "5 may be someone else's");
        known.add(5);
        assert_eq!(known.to, 6);
        known.all_to(7);
        assert_eq!((known.to, known.beyond.len()), (8, 0));
    }

    #[test]
    fn memory_is_bounded_and_the_newest_stay() {
        let cache = FingerprintCache::new(4);
        let event = |number: u64| {
            let body = format!(r#"{{"event_type":"a.b","event_data":{number}}}"#);
            let now = std::time::SystemTime::UNIX_EPOCH;
            NewDelivery::new(now, Source::Webhook, Vec::new(), body.into())
        };
        for number in 1..=100 {
            cache.insert(event(number).index_fingerprints(), number);
        }
        assert_eq!(cache.candidates(&event(100)), [100]);
        assert_eq!(cache.candidates(&event(97)), [97]);
        assert_eq!(cache.candidates(&event(50)), [0; 0]);
        let maps = cache.maps();
        assert!(maps.newer.len() <= 8 && maps.older.len() <= 8);
    }
}
