//! [`MemoryInbox`]: an inbox that lives and dies with its process.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Notify;

use crate::claim::{RoomLeft, Turn};
use crate::dedup::index::Index;
use crate::dedup::rule::{Best, Candidate, Fit, Link, RecordIdentity};
use crate::recent::Recent;
use crate::record::dead_at;
use crate::time::{from_micros, is_set_back, to_micros};
use crate::{
    Appended, Attempt, AttemptResult, Claim, ClaimRequest, Claimed, Completion, Counts, DeliveryId,
    Imported, Inbox, InboxAdmin, InboxError, InboxErrorKind, Kept, NewDelivery, Order, Prune,
    Pruned, Query, Repeats, Replayed, SignedPost, State, Stats, Summary,
};

/// An inbox that lives and dies with its process.
///
/// For tests, and for those who accept that a restart loses what was not handled yet. It holds a bounded number of
/// deliveries (default: 10,000): the oldest finished ones make room, and when none is finished, appends are refused as
/// [`Busy`](InboxErrorKind::Busy), so that HeyGen sends again later. What made room is no longer known as a duplicate.
///
/// Clones share one inbox.
#[derive(Clone, Debug, Default)]
pub struct MemoryInbox {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    entries: Mutex<Entries>,
    appended: Notify,
}

#[derive(Debug)]
struct Entries {
    capacity: usize,
    last_key: u64,
    kept: BTreeMap<u64, Entry>,
    /// What is pending, by its event type.
    due: HashMap<Option<String>, BTreeSet<(i64, u64)>>,
    recent: Recent,
    /// The time that was told last.
    latest: i64,
    /// When what waits for its time was last looked at.
    looked_at: Option<Instant>,
    finished: BTreeSet<u64>,
    /// Subject, source and key of what is pending or claimed.
    unfinished: BTreeSet<(String, &'static str, u64)>,
    /// Of all bodies and headers.
    bytes: u64,
    fingerprints: Index<u64>,
    bookmarks: HashMap<String, String>,
}

#[derive(Debug)]
struct Entry {
    delivery: NewDelivery,
    state: State,
    due_at: i64,
    handed_out: u32,
    first_attempt: u32,
    elapsed: Duration,
    uncounted: u32,
    repeats: Repeats,
    attempts: Vec<Attempt>,
    matched: Option<RecordIdentity>,
    signed: Option<NewDelivery>,
}

impl MemoryInbox {
    /// An empty inbox that holds up to 10,000 deliveries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty inbox that holds up to `capacity` deliveries.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let inbox = Self::default();
        inbox.entries().capacity = capacity;
        inbox
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // A panic while the lock was held cannot leave an entry half written: each change is made whole or not begun.
        self.shared
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox for MemoryInbox {
    async fn append(&self, delivery: NewDelivery) -> Result<Appended, InboxError> {
        let appended = self.entries().append(delivery)?;
        if matches!(appended, Appended::New(_)) {
            self.shared.appended.notify_one();
        }
        Ok(appended)
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claim, InboxError> {
        let mut entries = self.entries();
        let looked_at = entries.looked_at.filter(|at| at.elapsed() < LOOK_AT_TIMES);
        if request.turns() != [Turn::Due] && looked_at.is_none() {
            entries.retime(to_micros(request.now));
            entries.looked_at = Some(Instant::now());
        }
        Ok(entries.claim(&request, request.turns()))
    }

    async fn complete(&self, completion: Completion) -> Result<(), InboxError> {
        self.entries().complete(completion);
        Ok(())
    }

    async fn wait_for_append(&self) {
        self.shared.appended.notified().await;
    }

    async fn ready(&self) -> Result<(), InboxError> {
        Ok(())
    }

    fn orders_by_subject(&self) -> bool {
        true
    }
}

impl InboxAdmin for MemoryInbox {
    async fn list(&self, query: Query) -> Result<Vec<Summary>, InboxError> {
        let entries = self.entries();
        let limit = query.limit.unwrap_or(usize::MAX);
        let summaries = entries.kept.iter().map(|(key, entry)| entry.summary(*key));
        let wanted = summaries.filter(|summary| query.matches(summary));
        Ok(match query.oldest_first {
            true => wanted.take(limit).collect(),
            false => wanted.rev().take(limit).collect(),
        })
    }

    async fn get(&self, id: DeliveryId) -> Result<Option<Kept>, InboxError> {
        let entries = self.entries();
        Ok((id.tag() == MEMORY_TAG)
            .then(|| entries.kept.get(&id.key()))
            .flatten()
            .map(|entry| entry.whole(id.key())))
    }

    async fn count(&self, query: Query) -> Result<u64, InboxError> {
        let entries = self.entries();
        let summaries = entries.kept.iter().map(|(key, entry)| entry.summary(*key));
        Ok(summaries.filter(|summary| query.matches(summary)).count() as u64)
    }

    async fn counts(&self) -> Result<Counts, InboxError> {
        Ok(self.entries().counts())
    }

    async fn stats(&self, attempts_since: SystemTime) -> Result<Stats, InboxError> {
        let mut stats = Stats::default();
        for (key, entry) in &self.entries().kept {
            let attempts = entry.attempts.iter();
            let since = attempts.filter(|attempt| attempt.started_at >= attempts_since);
            stats.add(&entry.summary(*key), since);
        }
        Ok(stats)
    }

    async fn find(
        &self,
        deliveries: Vec<NewDelivery>,
    ) -> Result<Vec<Option<DeliveryId>>, InboxError> {
        let entries = self.entries();
        let found = deliveries.iter().map(|delivery| entries.find(delivery));
        Ok(found
            .map(|found| found.map(|(key, _)| id_of(key)))
            .collect())
    }

    async fn import(&self, deliveries: Vec<Imported>) -> Result<Vec<Appended>, InboxError> {
        let mut entries = self.entries();
        let imported = deliveries
            .into_iter()
            .map(|imported| entries.import(imported));
        let imported = imported.collect();
        self.shared.appended.notify_one();
        imported
    }

    async fn replay(&self, ids: Vec<DeliveryId>, now: SystemTime) -> Result<Replayed, InboxError> {
        let mut entries = self.entries();
        let mut replayed = Replayed::default();
        for id in ids {
            match entries.replay(id, to_micros(now)) {
                Some(State::Claimed | State::Interrupted) => replayed.claimed += 1,
                Some(State::Pending | State::Done | State::Dead) => replayed.pending += 1,
                None => replayed.missing += 1,
            }
        }
        self.shared.appended.notify_one();
        Ok(replayed)
    }

    async fn prune(&self, step: Prune) -> Result<Pruned, InboxError> {
        Ok(self.entries().prune(&step))
    }

    async fn bookmark(&self, name: String) -> Result<Option<String>, InboxError> {
        Ok(self.entries().bookmarks.get(&name).cloned())
    }

    async fn set_bookmark(&self, name: String, value: Option<String>) -> Result<(), InboxError> {
        let bookmarks = &mut self.entries().bookmarks;
        match value {
            Some(value) => bookmarks.insert(name, value),
            None => bookmarks.remove(&name),
        };
        Ok(())
    }
}

impl Entries {
    fn append(&mut self, delivery: NewDelivery) -> Result<Appended, InboxError> {
        if let Some((key, fit)) = self.find(&delivery) {
            self.bytes += self
                .kept
                .get_mut(&key)
                .map_or(0, |entry| entry.repeat(&delivery, fit));
            return Ok(Appended::Duplicate(id_of(key)));
        }
        if self.kept.len() >= self.capacity {
            self.make_room()?;
        }
        let received_at = to_micros(delivery.received_at());
        let key = u64::try_from(received_at)
            .unwrap_or(0)
            .max(self.last_key + 1);
        self.last_key = key;
        for fingerprint in delivery.filed_under() {
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
        self.kept.insert(key, Entry::new(delivery, received_at));
        Ok(Appended::New(id_of(key)))
    }

    /// The earlier delivery that is the same event, if there is one.
    fn find(&self, delivery: &NewDelivery) -> Option<(u64, Fit)> {
        let mut best = Best::none();
        for fingerprint in delivery.looked_up_under() {
            for key in self.fingerprints.get(fingerprint) {
                let Some(entry) = self.kept.get(&key) else {
                    continue;
                };
                if best.look_at(delivery, key, &entry.candidate()) {
                    return best.into_found();
                }
            }
        }
        best.into_found()
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

    /// Of what is finished already.
    fn forget(&mut self, key: u64) {
        let Some(entry) = self.kept.remove(&key) else {
            return;
        };
        self.bytes -= size(&entry.delivery) + entry.signed.as_ref().map_or(0, size);
        for fingerprint in entry.delivery.filed_under() {
            self.fingerprints.remove(fingerprint, key);
        }
    }

    /// Unlike an append's, a duplicate tells of nothing that came: it is not counted.
    fn import(&mut self, imported: Imported) -> Result<Appended, InboxError> {
        if let Some((key, fit)) = self.find(&imported.delivery) {
            if let Some(entry) = self.kept.get_mut(&key) {
                self.bytes += entry.link(&imported.delivery, fit);
            }
            return Ok(Appended::Duplicate(id_of(key)));
        }
        let appended = self.append(imported.delivery.clone())?;
        let key = appended.id().key();
        if imported.begun_state() != State::Pending {
            self.settle(key, imported.begun_state());
        }
        if let Some(entry) = self.kept.get_mut(&key) {
            entry.handed_out = imported.handed_out;
            if imported.is_replayed {
                entry.first_attempt = imported.handed_out + 1;
            }
            entry.matched = imported.matched();
            entry.signed = imported.signed_delivery();
            self.bytes += entry.signed.as_ref().map_or(0, size);
            entry.attempts = imported.attempts;
            entry.repeats = imported.repeats;
        }
        Ok(appended)
    }

    /// The state it was in before; `None` when it is not there.
    fn replay(&mut self, id: DeliveryId, now: i64) -> Option<State> {
        let key = id.key();
        let entry = self.kept.get_mut(&key).filter(|_| id.tag() == MEMORY_TAG)?;
        let state = entry.state;
        if matches!(state, State::Claimed | State::Interrupted) {
            return Some(state);
        }
        let event_type = &entry.delivery.label().event_type;
        remove_due(&mut self.due, event_type, (entry.due_at, key));
        insert_due(&mut self.due, event_type, (now, key));
        self.finished.remove(&key);
        if let Some(subject_id) = &entry.delivery.label().subject_id {
            let source = entry.delivery.source().as_str();
            self.unfinished.insert((subject_id.clone(), source, key));
        }
        entry.state = State::Pending;
        entry.due_at = now;
        entry.first_attempt = entry.handed_out + 1;
        entry.elapsed = Duration::ZERO;
        entry.uncounted = 0;
        Some(state)
    }

    /// Of what is not waiting any more.
    fn settle(&mut self, key: u64, state: State) {
        let Some(entry) = self.kept.get_mut(&key) else {
            return;
        };
        let event_type = &entry.delivery.label().event_type;
        remove_due(&mut self.due, event_type, (entry.due_at, key));
        entry.state = state;
        self.finished.insert(key);
        self.recent.remove(key);
        if let Some(subject_id) = &entry.delivery.label().subject_id {
            let source = entry.delivery.source().as_str();
            self.unfinished.remove(&(subject_id.clone(), source, key));
        }
    }

    fn claim(&mut self, request: &ClaimRequest, turns: &[Turn]) -> Claim {
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
                Turn::BacklogFirst | Turn::Backlog | Turn::Due => {
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
            if request.order == Order::Subject && self.waits_for_another(key) {
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

    /// What is due, the longest due first. In a turn of the backlog without what is live.
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
                let is_of_turn = turn == Turn::Due || !self.recent.contains(*key);
                is_of_turn && !(request.order == Order::Subject && self.waits_for_another(*key))
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
            // The one before it may have been taken a moment ago.
            if request.order == Order::Subject && self.waits_for_another(key) {
                continue;
            }
            let is_live = self.recent.remove(key);
            if let Some(claimed) = self.take(key, is_live) {
                left.take(destination, is_live);
                claim.deliveries.push(claimed);
            }
        }
    }

    fn take(&mut self, key: u64, is_live: bool) -> Option<Claimed> {
        let entry = self.kept.get_mut(&key)?;
        if entry.state != State::Pending {
            return None;
        }
        let event_type = &entry.delivery.label().event_type;
        remove_due(&mut self.due, event_type, (entry.due_at, key));
        Some(entry.claim(key, is_live))
    }

    /// What would only be due when the clock is where it was, and did not ask for that, is due now.
    fn retime(&mut self, now: i64) {
        for (key, entry) in &mut self.kept {
            if entry.state == State::Pending && entry.due_at > now && entry.is_of_wrong_clock(now) {
                let event_type = &entry.delivery.label().event_type;
                remove_due(&mut self.due, event_type, (entry.due_at, *key));
                insert_due(&mut self.due, event_type, (now, *key));
                entry.due_at = now;
            }
        }
    }

    fn waits_for_another(&self, key: u64) -> bool {
        let Some(delivery) = self.kept.get(&key).map(|entry| &entry.delivery) else {
            return false;
        };
        // Who holds a callback token can name any subject: what HeyGen signed does not wait for that.
        let source = delivery.source().as_str();
        delivery.label().subject_id.as_ref().is_some_and(|subject| {
            let mut earlier = self
                .unfinished
                .range((subject.clone(), source, 0)..(subject.clone(), source, key));
            earlier.next().is_some()
        })
    }

    fn counts(&self) -> Counts {
        let in_state = |state| self.kept.values().filter(move |entry| entry.state == state);
        Counts {
            pending: in_state(State::Pending).count() as u64,
            claimed: in_state(State::Claimed).count() as u64,
            dead: in_state(State::Dead).count() as u64,
            oldest_pending: in_state(State::Pending)
                .map(|entry| entry.delivery.received_at())
                .min(),
            bytes: self.bytes,
            log_bytes: 0,
        }
    }

    fn prune(&mut self, step: &Prune) -> Pruned {
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
        Pruned {
            deleted: old.len(),
            next: old
                .last()
                .filter(|_| old.len() == step.limit)
                .map(|key| id_of(*key)),
            bytes: self.bytes,
        }
    }

    /// An end that comes late, after the delivery was handed out anew, is recorded; what became of the delivery meanwhile
    /// stays, unless the late word is done.
    fn complete(&mut self, completion: Completion) {
        let key = completion.id.key();
        let ours = completion.id.tag() == MEMORY_TAG;
        let Some(entry) = self.kept.get_mut(&key).filter(|_| ours) else {
            return;
        };
        let is_current = entry.state == State::Claimed && entry.handed_out == completion.attempt;
        let event_type = &entry.delivery.label().event_type;
        if is_current || (completion.result == AttemptResult::Done && !completion.is_released) {
            remove_due(&mut self.due, event_type, (entry.due_at, key));
            entry.due_at = to_micros(completion.due_at);
            entry.elapsed = completion.elapsed;
            entry.state = match completion.result {
                AttemptResult::Done => State::Done,
                AttemptResult::Dead => State::Dead,
                AttemptResult::Retry | AttemptResult::Interrupted => State::Pending,
            };
            match entry.state {
                State::Done | State::Dead => {
                    self.finished.insert(key);
                    self.recent.remove(key);
                    if let Some(subject_id) = &entry.delivery.label().subject_id {
                        let source = entry.delivery.source().as_str();
                        self.unfinished.remove(&(subject_id.clone(), source, key));
                    }
                }
                State::Pending | State::Claimed | State::Interrupted => {
                    insert_due(&mut self.due, event_type, (entry.due_at, key));
                }
            }
            if completion.is_released {
                entry.handed_out -= 1;
                if entry.handed_out == 0 && entry.delivery.source().is_received() {
                    self.recent.put_back(event_type.as_deref(), key);
                }
            }
        }
        if completion.is_released {
            return;
        }
        if is_current && (!completion.is_counted || completion.result == AttemptResult::Interrupted)
        {
            entry.uncounted += 1;
        }
        entry
            .attempts
            .retain(|attempt| attempt.number != completion.attempt);
        entry.attempts.push(Attempt {
            number: completion.attempt,
            started_at: completion.started_at,
            duration: completion.duration,
            result: completion.result,
            detail: completion.detail,
        });
        entry.attempts.sort_by_key(|attempt| attempt.number);
    }
}

impl Default for Entries {
    fn default() -> Self {
        Self {
            capacity: DEFAULT_CAPACITY,
            last_key: 0,
            kept: BTreeMap::new(),
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

impl Entry {
    fn new(delivery: NewDelivery, due_at: i64) -> Self {
        Self {
            delivery,
            state: State::Pending,
            due_at,
            handed_out: 0,
            first_attempt: 1,
            elapsed: Duration::ZERO,
            uncounted: 0,
            repeats: Repeats::default(),
            attempts: Vec::new(),
            matched: None,
            signed: None,
        }
    }

    fn candidate(&self) -> Candidate {
        Candidate {
            matched: self.matched.clone(),
            signed: self.signed.as_ref().map(|post| post.dedup_key().body()),
            ..Candidate::of(&self.delivery)
        }
    }

    /// Takes down that the same event is here again. Gives how many bytes that adds.
    fn repeat(&mut self, delivery: &NewDelivery, fit: Fit) -> u64 {
        if delivery.source().is_received() {
            self.repeats.count += 1;
            self.repeats.last_at = Some(delivery.received_at());
            self.repeats.last_headers = delivery.headers().to_vec();
        }
        self.link(delivery, fit)
    }

    /// Takes down which other form of the same event this is. Gives how many bytes that adds.
    fn link(&mut self, delivery: &NewDelivery, fit: Fit) -> u64 {
        match fit.link {
            None => 0,
            Some(Link::Record) => {
                self.matched = Some(delivery.record_identity());
                0
            }
            Some(Link::Post) => {
                self.signed = Some(delivery.clone());
                size(delivery)
            }
        }
    }

    fn claim(&mut self, key: u64, is_live: bool) -> Claimed {
        self.state = State::Claimed;
        self.handed_out += 1;
        let interrupted = self.attempts.iter();
        let interrupted = interrupted
            .filter(|known| known.number >= self.first_attempt)
            .filter(|known| known.result == AttemptResult::Interrupted);
        Claimed {
            id: id_of(key),
            received_at: self.delivery.received_at(),
            source: self.delivery.source(),
            attempt: self.handed_out,
            first_attempt: self.first_attempt,
            uncounted: self.uncounted,
            interrupted: u32::try_from(interrupted.count()).unwrap_or(u32::MAX),
            elapsed: self.elapsed,
            due_at: from_micros(self.due_at),
            is_live,
            event_type: self.delivery.label().event_type.clone(),
            headers: self.delivery.headers().to_vec(),
            body: self.delivery.body().clone(),
        }
    }

    /// Whether its time is none that anyone asked for.
    fn is_of_wrong_clock(&self, now: i64) -> bool {
        let last = self.attempts.last();
        last.is_none_or(|last| to_micros(last.started_at) > now)
    }

    fn summary(&self, key: u64) -> Summary {
        let label = self.delivery.label().clone();
        Summary {
            id: id_of(key),
            received_at: self.delivery.received_at(),
            event_type: label.event_type,
            subject_id: label.subject_id,
            callback_id: label.callback_id,
            outcome: label.outcome,
            state: self.state,
            attempts: self.handed_out,
            source: self.delivery.source(),
            dead_at: dead_at(self.state, &self.attempts),
        }
    }

    fn whole(&self, key: u64) -> Kept {
        let matched = self.matched.as_ref();
        let matched = matched.and_then(|record| record.event_id.as_deref());
        let event_id = self.delivery.dedup_key().event_id().or(matched);
        Kept {
            summary: self.summary(key),
            due_at: (self.state == State::Pending).then(|| from_micros(self.due_at)),
            event_id: event_id.map(str::to_owned),
            signed: self.signed.as_ref().map(|post| SignedPost {
                received_at: post.received_at(),
                headers: post.headers().to_vec(),
                body: post.body().clone(),
            }),
            headers: self.delivery.headers().to_vec(),
            body: self.delivery.body().clone(),
            repeats: self.repeats.clone(),
            attempts: self.attempts.clone(),
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

/// What it takes up, near enough.
fn size(delivery: &NewDelivery) -> u64 {
    let headers = delivery.headers().iter();
    let headers: usize = headers
        .map(|header| header.name.len() + header.value.len())
        .sum();
    (headers + delivery.body().len()) as u64
}

fn id_of(key: u64) -> DeliveryId {
    DeliveryId::new(key, MEMORY_TAG)
}

/// How often what waits for its time is looked through for times of a clock that was wrong.
const LOOK_AT_TIMES: Duration = Duration::from_secs(1);

const DEFAULT_CAPACITY: usize = 10_000;

/// Ids of an inbox in memory mean nothing outside their process, so they need no tag of their own.
const MEMORY_TAG: u32 = 0;
