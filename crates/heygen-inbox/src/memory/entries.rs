//! [`Entries`]: the deliveries of an inbox in memory, and their indexes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::time::{Duration, Instant, SystemTime};

use super::entry::{Entry, MEMORY_TAG, id_of, size};
use crate::admin::{DEAD_LETTERED_BY_HAND, PruneReport, PruneStep};
use crate::claim::{Claim, ClaimRequest, ClaimedDelivery, DispatchOrder, RoomLeft, Turn};
use crate::completion::Completion;
use crate::dedup::index::Index;
use crate::dedup::rule::{BestMatch, Match};
use crate::delivery::NewDelivery;
use crate::error::{InboxError, InboxErrorKind};
use crate::id::DeliveryId;
use crate::imported::Imported;
use crate::inbox::Appended;
use crate::recent::Recent;
use crate::record::{AttemptOutcome, Counts, State};
use crate::time::{from_micros, is_set_back, to_micros};

#[derive(Debug)]
pub(super) struct Entries {
    pub(super) capacity: usize,
    last_key: u64,
    pub(super) stored: BTreeMap<u64, Entry>,
    /// Pending deliveries, by event type.
    due: HashMap<Option<String>, BTreeSet<(i64, u64)>>,
    recent: Recent,
    /// The latest time of a claim.
    latest: i64,
    /// When due times were last checked.
    pub(super) looked_at: Option<Instant>,
    finished: BTreeSet<u64>,
    /// Subject, source and key of pending and claimed deliveries.
    unfinished: BTreeSet<(String, &'static str, u64)>,
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
        let key = u64::try_from(received_at)
            .unwrap_or(0)
            .max(self.last_key + 1);
        self.last_key = key;
        for fingerprint in delivery.index_fingerprints() {
            self.fingerprints.insert(fingerprint, key);
        }
        if let Some(subject_id) = &delivery.label().subject_id {
            let source = delivery.source().as_str();
            self.unfinished.insert((subject_id.clone(), source, key));
        }
        self.bytes += size(&delivery);
        let event_type = &delivery.label().event_type;
        if delivery.source().is_received() {
            self.recent.add(event_type.as_deref(), key);
        }
        insert_due(&mut self.due, event_type, (received_at, key));
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
        let oldest = self.finished.pop_first().ok_or_else(|| {
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

    /// Drops a finished delivery.
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
        let key = appended.id().key();
        // It was received by another inbox, some time ago.
        self.recent.remove(key);
        let received_at = to_micros(imported.delivery.received_at());
        self.set_state(key, imported.initial_state(), received_at);
        if let Some(entry) = self.stored.get_mut(&key) {
            entry.handed_out = imported.attempt_count;
            if imported.is_replayed {
                entry.first_attempt = imported.attempt_count + 1;
            }
            entry.matched = imported.matched();
            entry.signed = imported.signed_delivery();
            self.bytes += entry.signed.as_ref().map_or(0, size);
            entry.attempts = imported.attempts;
            entry.redeliveries = imported.redeliveries;
        }
        Ok(appended)
    }

    /// Gives the state before; `None` when there is no such delivery.
    pub(super) fn replay(&mut self, id: DeliveryId, now: i64) -> Option<State> {
        let key = id.key();
        let entry = self
            .stored
            .get_mut(&key)
            .filter(|_| id.tag() == MEMORY_TAG)?;
        let state = entry.state;
        if matches!(state, State::Claimed | State::Interrupted) {
            return Some(state);
        }
        entry.first_attempt = entry.handed_out + 1;
        entry.elapsed = Duration::ZERO;
        entry.uncounted = 0;
        self.set_state(key, State::Pending, now);
        Some(state)
    }

    /// Gives the state before; `None` when there is no such delivery.
    pub(super) fn dead_letter(&mut self, id: DeliveryId, now: SystemTime) -> Option<State> {
        let state = self.state(id)?;
        if let Some(claimed) = self.take(id.key(), false) {
            let result = AttemptOutcome::DeadLettered;
            let completion = Completion::new(&claimed, now, Duration::ZERO, result);
            self.complete(&completion.detail(Some(DEAD_LETTERED_BY_HAND.to_owned())));
        }
        Some(state)
    }

    /// Gives the state before; `None` when there is no such delivery.
    pub(super) fn delete(&mut self, id: DeliveryId) -> Option<State> {
        let state = self.state(id)?;
        if state != State::Claimed {
            self.set_state(id.key(), State::Acknowledged, 0);
            self.finished.remove(&id.key());
            self.forget(id.key());
        }
        Some(state)
    }

    fn state(&self, id: DeliveryId) -> Option<State> {
        let entry = self.stored.get(&id.key());
        Some(entry.filter(|_| id.tag() == MEMORY_TAG)?.state)
    }

    pub(super) fn claim(&mut self, request: &ClaimRequest, turns: &[Turn]) -> Claim {
        let now = to_micros(request.now);
        if is_set_back(self.latest, now) {
            self.retime(now);
        }
        self.latest = now;
        let mut claim = Claim::default();
        let mut left = RoomLeft::of(request);
        for turn in turns {
            if left.total(*turn) == 0 {
                continue;
            }
            match turn {
                Turn::Live => self.claim_live(request, &mut left, &mut claim),
                Turn::BacklogFirst | Turn::Backlog | Turn::Unordered => {
                    self.claim_due(request, *turn, &mut left, &mut claim);
                }
            }
        }
        if claim.len() < request.limit() {
            let next = self.due.values().filter_map(|due| {
                let later = due.range((Bound::Excluded((now, u64::MAX)), Bound::Unbounded));
                later.map(|(due_at, _)| *due_at).next()
            });
            claim.next_due = next.min().map(from_micros);
        }
        claim
    }

    fn claim_live(&mut self, request: &ClaimRequest, left: &mut RoomLeft, claim: &mut Claim) {
        let mut waiting = Vec::new();
        while let Some((event_type, key)) = self.recent.take(|event_type| {
            let destination = request.destination(event_type);
            left.in_turn(destination, Turn::Live) > 0
        }) {
            let destination = request.destination(event_type.as_deref());
            if request.order == DispatchOrder::PerSubject && self.waits_for_another(key) {
                waiting.push((event_type, key));
            } else if let Some(claimed) = self.take(key, true) {
                left.take(destination, true);
                claim.deliveries.push(claimed);
            }
        }
        for (event_type, key) in waiting.into_iter().rev() {
            self.recent.put_back(event_type.as_deref(), key);
        }
    }

    /// Claims due deliveries, the longest due first; in a turn of the backlog without live ones.
    fn claim_due(
        &mut self,
        request: &ClaimRequest,
        turn: Turn,
        left: &mut RoomLeft,
        claim: &mut Claim,
    ) {
        let now = to_micros(request.now);
        let mut found = Vec::new();
        for (event_type, due) in &self.due {
            let destination = request.destination(event_type.as_deref());
            let wanted = left.in_turn(destination, turn);
            let due = due.range(..=(now, u64::MAX)).filter(|(_, key)| {
                let is_of_turn = turn == Turn::Unordered || !self.recent.contains(*key);
                is_of_turn
                    && !(request.order == DispatchOrder::PerSubject && self.waits_for_another(*key))
            });
            found.extend(
                due.take(wanted)
                    .map(|(due_at, key)| (*due_at, *key, destination)),
            );
        }
        found.sort_unstable();
        for (_, key, destination) in found {
            if left.in_turn(destination, turn) == 0 {
                continue;
            }
            // The one before it may just have been claimed.
            if request.order == DispatchOrder::PerSubject && self.waits_for_another(key) {
                continue;
            }
            let is_live = self.recent.remove(key);
            if let Some(claimed) = self.take(key, is_live) {
                left.take(destination, is_live);
                claim.deliveries.push(claimed);
            }
        }
    }

    fn take(&mut self, key: u64, is_live: bool) -> Option<ClaimedDelivery> {
        let entry = self.stored.get_mut(&key)?;
        if entry.state != State::Pending {
            return None;
        }
        let event_type = &entry.delivery.label().event_type;
        remove_due(&mut self.due, event_type, (entry.due_at, key));
        Some(entry.claim(key, is_live))
    }

    /// Makes deliveries due now that a wrong clock postponed.
    pub(super) fn retime(&mut self, now: i64) {
        for (key, entry) in &mut self.stored {
            if entry.state == State::Pending && entry.due_at > now && entry.is_of_wrong_clock(now) {
                let event_type = &entry.delivery.label().event_type;
                remove_due(&mut self.due, event_type, (entry.due_at, *key));
                insert_due(&mut self.due, event_type, (now, *key));
                entry.due_at = now;
            }
        }
    }

    fn waits_for_another(&self, key: u64) -> bool {
        let Some(delivery) = self.stored.get(&key).map(|entry| &entry.delivery) else {
            return false;
        };
        // A callback can name any subject: signed deliveries do not wait for it.
        let source = delivery.source().as_str();
        delivery.label().subject_id.as_ref().is_some_and(|subject| {
            let mut earlier = self
                .unfinished
                .range((subject.clone(), source, 0)..(subject.clone(), source, key));
            earlier.next().is_some()
        })
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
        let before = to_micros(step.before).cast_unsigned();
        let old: Vec<u64> = self
            .finished
            .range(..before)
            .copied()
            .take(step.limit)
            .collect();
        for key in &old {
            self.finished.remove(key);
            self.forget(*key);
        }
        PruneReport {
            deleted: old.len(),
            next: old
                .last()
                .filter(|_| old.len() == step.limit)
                .map(|key| id_of(*key)),
            bytes: self.bytes,
        }
    }

    /// A late result, of a delivery that was claimed again, is recorded and does not change the
    /// state, unless it acknowledges.
    pub(super) fn complete(&mut self, completion: &Completion) {
        let key = completion.id.key();
        let ours = completion.id.tag() == MEMORY_TAG;
        let Some(entry) = self.stored.get_mut(&key).filter(|_| ours) else {
            return;
        };
        let is_current = entry.state == State::Claimed && entry.handed_out == completion.attempt;
        if completion.is_released {
            if is_current {
                self.release(key, completion);
            }
            return;
        }
        entry.record(completion, is_current);
        if is_current || completion.result == AttemptOutcome::Acknowledged {
            entry.elapsed = completion.elapsed;
            let state = match completion.result {
                AttemptOutcome::Acknowledged => State::Acknowledged,
                AttemptOutcome::DeadLettered => State::DeadLettered,
                AttemptOutcome::Retry | AttemptOutcome::Interrupted => State::Pending,
            };
            self.set_state(key, state, to_micros(completion.due_at));
        }
    }

    fn release(&mut self, key: u64, completion: &Completion) {
        if let Some(entry) = self.stored.get_mut(&key) {
            entry.elapsed = completion.elapsed;
            entry.handed_out -= 1;
            if entry.handed_out == 0 && entry.delivery.source().is_received() {
                self.recent.put_back(entry.delivery.event_type(), key);
            }
        }
        self.set_state(key, State::Pending, to_micros(completion.due_at));
    }

    fn set_state(&mut self, key: u64, state: State, due_at: i64) {
        let Some(entry) = self.stored.get_mut(&key) else {
            return;
        };
        let label = entry.delivery.label();
        remove_due(&mut self.due, &label.event_type, (entry.due_at, key));
        let source = entry.delivery.source().as_str();
        let subject = label.subject_id.clone().map(|id| (id, source, key));
        match state {
            State::Acknowledged | State::DeadLettered => {
                self.finished.insert(key);
                self.recent.remove(key);
                subject.map(|subject| self.unfinished.remove(&subject));
            }
            State::Pending | State::Claimed | State::Interrupted => {
                self.finished.remove(&key);
                insert_due(&mut self.due, &label.event_type, (due_at, key));
                subject.map(|subject| self.unfinished.insert(subject));
            }
        }
        entry.state = state;
        entry.due_at = due_at;
    }
}

impl Default for Entries {
    fn default() -> Self {
        Self {
            capacity: DEFAULT_CAPACITY,
            last_key: 0,
            stored: BTreeMap::new(),
            due: HashMap::new(),
            recent: Recent::default(),
            latest: 0,
            looked_at: None,
            finished: BTreeSet::new(),
            unfinished: BTreeSet::new(),
            bytes: 0,
            fingerprints: Index::default(),
            bookmarks: HashMap::new(),
        }
    }
}

fn insert_due(
    due: &mut HashMap<Option<String>, BTreeSet<(i64, u64)>>,
    event_type: &Option<String>,
    at: (i64, u64),
) {
    match due.get_mut(event_type) {
        Some(due) => _ = due.insert(at),
        None => _ = due.insert(event_type.clone(), BTreeSet::from([at])),
    }
}

fn remove_due(
    due: &mut HashMap<Option<String>, BTreeSet<(i64, u64)>>,
    event_type: &Option<String>,
    at: (i64, u64),
) {
    if let Some(of_type) = due.get_mut(event_type) {
        of_type.remove(&at);
        if of_type.is_empty() {
            due.remove(event_type);
        }
    }
}

const DEFAULT_CAPACITY: usize = 10_000;
