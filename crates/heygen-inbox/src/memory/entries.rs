//! [`Entries`]: the deliveries of an inbox in memory.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant, SystemTime};

use super::entry::{Entry, MEMORY_TAG, id_of, size};
use crate::admin::{DEAD_LETTERED_BY_HAND, PruneReport, PruneStep};
use crate::claim::{Claim, ClaimRequest, DispatchOrder, Turn};
use crate::completion::Completion;
use crate::dedup::index::Index;
use crate::dedup::rule::{BestMatch, Match};
use crate::delivery::NewDelivery;
use crate::error::{InboxError, InboxErrorKind};
use crate::id::DeliveryId;
use crate::id::key_time;
use crate::imported::Imported;
use crate::inbox::Appended;
use crate::record::{AttemptOutcome, Counts, State};
use crate::throttle::Throttle;
use crate::time::{from_micros, is_set_back, to_micros};

/// Few enough that a claim can scan all of them.
#[derive(Debug)]
pub(super) struct Entries {
    pub(super) capacity: usize,
    last_key: u64,
    pub(super) stored: BTreeMap<u64, Entry>,
    /// The time of the last claim.
    latest: i64,
    retime_throttle: Throttle,
    /// Of all bodies and headers.
    bytes: u64,
    fingerprints: Index<u64>,
    pub(super) bookmarks: HashMap<String, String>,
}

impl Entries {
    pub(super) fn append(&mut self, delivery: NewDelivery) -> Result<Appended, InboxError> {
        if let Some((key, fit)) = self.find(&delivery) {
            self.bytes += self
                .stored
                .get_mut(&key)
                .map_or(0, |entry| entry.count_redelivery(&delivery, fit));
            return Ok(Appended::Duplicate(id_of(key)));
        }
        if self.stored.len() >= self.capacity {
            self.make_room()?;
        }
        let received_at = to_micros(delivery.received_at());
        let key = key_time(delivery.received_at()).cast_unsigned();
        let key = key.max(self.last_key + 1);
        self.last_key = key;
        for fingerprint in delivery.index_fingerprints() {
            self.fingerprints.insert(fingerprint, key);
        }
        self.bytes += size(&delivery);
        self.stored.insert(key, Entry::new(delivery, received_at));
        Ok(Appended::New(id_of(key)))
    }

    /// The stored delivery that is the same event, if there is one.
    pub(super) fn find(&self, delivery: &NewDelivery) -> Option<(u64, Match)> {
        let mut best = BestMatch::new();
        for fingerprint in delivery.lookup_fingerprints() {
            for key in self.fingerprints.get(fingerprint) {
                let Some(entry) = self.stored.get(&key) else {
                    continue;
                };
                if best.consider(delivery, key, &entry.candidate()) {
                    return best.into_match();
                }
            }
        }
        best.into_match()
    }

    fn make_room(&mut self) -> Result<(), InboxError> {
        let mut finished = self.stored.iter().filter(|(_, entry)| entry.is_finished());
        let oldest = finished.next().map(|(key, _)| *key).ok_or_else(|| {
            InboxError::new(
                InboxErrorKind::Busy,
                format!(
                    "the inbox in memory holds {} deliveries, none of them finished",
                    self.capacity
                ),
            )
        })?;
        self.forget(oldest);
        Ok(())
    }

    fn forget(&mut self, key: u64) {
        let Some(entry) = self.stored.remove(&key) else {
            return;
        };
        self.bytes -= size(&entry.delivery) + entry.signed.as_ref().map_or(0, size);
        for fingerprint in entry.delivery.index_fingerprints() {
            self.fingerprints.remove(fingerprint, key);
        }
    }

    /// Unlike an append's, a duplicate is not a redelivery: it is not counted.
    pub(super) fn import(&mut self, imported: Imported) -> Result<Appended, InboxError> {
        if let Some((key, fit)) = self.find(&imported.delivery) {
            if let Some(entry) = self.stored.get_mut(&key) {
                self.bytes += entry.link(&imported.delivery, fit);
            }
            return Ok(Appended::Duplicate(id_of(key)));
        }
        let appended = self.append(imported.delivery.clone())?;
        if let Some(entry) = self.entry(appended.id()) {
            entry.state = imported.initial_state();
            // It was received by another inbox, some time ago.
            entry.is_live = false;
            entry.attempt_count = imported.attempt_count;
            if imported.is_replayed {
                entry.first_attempt = imported.attempt_count + 1;
            }
            entry.matched = imported.matched();
            entry.signed = imported.signed_delivery();
            entry.attempts = imported.attempts;
            entry.redeliveries = imported.redeliveries;
            self.bytes += entry.signed.as_ref().map_or(0, size);
        }
        Ok(appended)
    }

    /// Gives the state before; `None` when there is no such delivery.
    pub(super) fn replay(&mut self, id: DeliveryId, now: i64) -> Option<State> {
        let entry = self.entry(id)?;
        let state = entry.state;
        if state != State::Claimed {
            entry.first_attempt = entry.attempt_count + 1;
            entry.elapsed = Duration::ZERO;
            entry.uncounted = 0;
            entry.state = State::Pending;
            entry.due_at = now;
        }
        Some(state)
    }

    /// Gives the state before; `None` when there is no such delivery.
    pub(super) fn dead_letter(&mut self, id: DeliveryId, now: SystemTime) -> Option<State> {
        let entry = self.entry(id)?;
        let state = entry.state;
        if state == State::Pending {
            let (claimed, result) = (entry.claim(id.key()), AttemptOutcome::DeadLettered);
            let completion = Completion::new(&claimed, now, Duration::ZERO, result);
            entry.complete(&completion.detail(Some(DEAD_LETTERED_BY_HAND.to_owned())));
        }
        Some(state)
    }

    /// Gives the state before; `None` when there is no such delivery.
    pub(super) fn delete(&mut self, id: DeliveryId) -> Option<State> {
        let state = self.entry(id)?.state;
        if state != State::Claimed {
            self.forget(id.key());
        }
        Some(state)
    }

    pub(super) fn entry(&mut self, id: DeliveryId) -> Option<&mut Entry> {
        let entry = self.stored.get_mut(&id.key());
        entry.filter(|_| id.tag() == MEMORY_TAG)
    }

    pub(super) fn claim(&mut self, request: &ClaimRequest) -> Claim {
        let now = to_micros(request.now);
        let takes_live = request.turns().contains(&Turn::Live);
        let is_set_back = is_set_back(self.latest, now);
        if is_set_back || takes_live && self.retime_throttle.passes(Instant::now()) {
            self.retime(now);
        }
        self.latest = now;
        let (mut due, mut next_due) = (Vec::new(), None);
        // Those with one that is claimed, which may be newer than one that is replayed, or with an
        // older one that is not finished.
        let claimed = self.stored.values();
        let claimed = claimed.filter(|entry| entry.state == State::Claimed);
        let mut subjects: HashSet<_> = claimed.filter_map(Entry::subject).collect();
        for (key, entry) in &self.stored {
            if entry.is_finished() {
                continue;
            }
            let is_blocked = request.order == DispatchOrder::PerSubject
                && entry.subject().is_some_and(|one| !subjects.insert(one));
            let is_due = entry.due_at <= now || takes_live && entry.is_live;
            if entry.state == State::Pending && !is_due {
                next_due = Some(next_due.map_or(entry.due_at, |next: i64| next.min(entry.due_at)));
            } else if entry.state == State::Pending && !is_blocked {
                due.push((entry.due_at, *key, entry));
            }
        }
        due.sort_unstable_by_key(|(due_at, key, _)| (*due_at, *key));
        let picked = request.pick(due.into_iter().map(|(_, key, entry)| {
            let event_type = entry.delivery.event_type();
            (key, event_type, entry.is_live)
        }));
        let mut claim = Claim::default();
        for key in picked {
            let entry = self.stored.get_mut(&key);
            claim.deliveries.extend(entry.map(|entry| entry.claim(key)));
        }
        let is_all = claim.len() < request.limit();
        claim.next_due = next_due.filter(|_| is_all).map(from_micros);
        claim
    }

    /// Makes deliveries due now that a wrong clock postponed.
    fn retime(&mut self, now: i64) {
        for entry in self.stored.values_mut() {
            let is_postponed = entry.state == State::Pending && entry.due_at > now;
            if is_postponed && entry.is_of_wrong_clock(now) {
                entry.due_at = now;
            }
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let in_state = |state| {
            self.stored
                .values()
                .filter(move |entry| entry.state == state)
        };
        Counts {
            pending: in_state(State::Pending).count() as u64,
            claimed: in_state(State::Claimed).count() as u64,
            dead_lettered: in_state(State::DeadLettered).count() as u64,
            oldest_pending: in_state(State::Pending)
                .map(|entry| entry.delivery.received_at())
                .min(),
            bytes: self.bytes,
            log_bytes: 0,
        }
    }

    pub(super) fn prune(&mut self, step: &PruneStep) -> PruneReport {
        // By their time and not by their keys, which stay ahead of a clock that was set back.
        let old = self
            .stored
            .iter()
            .filter(|(_, entry)| entry.is_finished() && entry.delivery.received_at() < step.before);
        let old: Vec<u64> = old.map(|(key, _)| *key).take(step.limit).collect();
        old.iter().for_each(|key| self.forget(*key));
        PruneReport {
            deleted: old.len(),
            damaged: Vec::new(),
            next: old
                .last()
                .filter(|_| old.len() == step.limit)
                .map(|key| id_of(*key)),
            bytes: self.bytes,
        }
    }
}

impl Default for Entries {
    fn default() -> Self {
        Self {
            capacity: DEFAULT_CAPACITY,
            last_key: 0,
            stored: BTreeMap::new(),
            latest: 0,
            retime_throttle: Throttle::new(RETIME_INTERVAL),
            bytes: 0,
            fingerprints: Index::default(),
            bookmarks: HashMap::new(),
        }
    }
}

const DEFAULT_CAPACITY: usize = 10_000;

/// How often due times are checked for those of a wrong clock.
const RETIME_INTERVAL: Duration = Duration::from_secs(1);
