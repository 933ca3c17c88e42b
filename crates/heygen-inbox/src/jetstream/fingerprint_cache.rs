//! [`FingerprintCache`]: which of the newest events were here before, beside what the servers themselves know.
//!
//! The servers know a duplicate by one id a message, for as long as their window. A POST and its
//! record in HeyGen's log have different bodies, and so ids, and the log reaches further back than
//! the window. So each receiver remembers fingerprints of the newest. A fingerprint only finds a
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
    /// Of how many fingerprints one map is made.
    map_len: usize,
    /// Becomes true when all that was in the stream at the start is known.
    is_synced: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Maps {
    newer: Index<u64>,
    older: Index<u64>,
    followed_since: Option<Instant>,
    known: Known,
}

/// Which places of the stream are known.
#[derive(Debug, Default)]
struct Known {
    /// All up to this one, this one too.
    to: u64,
    /// And these beyond it.
    beyond: BTreeSet<u64>,
    /// How many of them this process put there.
    own: u64,
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

    /// What is not there cannot be unknown.
    fn all_to(&mut self, sequence: u64) {
        self.to = self.to.max(sequence);
        let to = self.to;
        self.beyond.retain(|beyond| *beyond > to);
        self.add(0);
    }
}

impl FingerprintCache {
    /// Remembers the newest `events`, or up to twice as many.
    pub(super) fn new(events: usize) -> Self {
        Self {
            maps: Mutex::default(),
            map_len: events.max(1).saturating_mul(FINGERPRINTS),
            is_synced: watch::Sender::new(false),
        }
    }

    /// What this process appended.
    pub(super) fn insert_own(&self, delivery: &NewDelivery, sequence: u64) {
        self.insert(delivery.index_fingerprints(), sequence);
        self.maps().known.own += 1;
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

    /// Up to where all of the stream is known.
    pub(super) fn known_to(&self) -> u64 {
        self.maps().known.to
    }

    /// How many this process put there.
    pub(super) fn own(&self) -> u64 {
        self.maps().known.own
    }

    /// What is not known up to this place is not there.
    pub(super) fn read_to(&self, sequence: u64) {
        self.maps().known.all_to(sequence);
    }

    /// All that was in the stream when it began to be followed, up to this place, is known.
    pub(super) fn caught_up_to(&self, sequence: u64) {
        self.read_to(sequence);
        self.is_synced.send_replace(true);
    }

    /// Where the same event may be, the newest first.
    pub(super) fn candidates(&self, delivery: &NewDelivery) -> Vec<u64> {
        let maps = self.maps();
        // Receivers of the version before this one may be publishing to the stream.
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

    /// Returns once all that was in the stream when it began to be followed is known.
    pub(super) async fn wait_until_synced(&self) {
        // The sender is ours, so waiting ends with what is waited for.
        let _ = self.is_synced.subscribe().wait_for(|is_so| *is_so).await;
    }

    /// The same for an append, which may not wait long: after a start the newest are known soon,
    /// and what the version before this one published is known by nothing else.
    pub(super) async fn caught_up_soon(&self) {
        if *self.is_synced.borrow() {
            return;
        }
        let since = self.maps().followed_since;
        if let Some(since) = since {
            // Without it a duplicate may be delivered again; it is not worth an answer too late.
            let _ = tokio::time::timeout_at(since + SOON, self.wait_until_synced()).await;
        }
    }

    /// Whether a caller has to begin to follow.
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

/// So many has a POST: of its body, and of its name and data.
const FINGERPRINTS: usize = 2;

/// HeyGen waits for ten seconds, and the stream has to acknowledge too.
const SOON: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;

    #[test]
    fn what_is_known_has_no_holes() {
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
