//! [`InFlight`]: the deliveries that this process fetched and has not completed yet.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::time::{Duration, SystemTime};

use async_nats::Subject;
use tokio::time::Instant;

use super::ack_token::{AckToken, NextAttempt, Origin};
use super::message::Stored;
use super::records::RecordEntry;
use crate::claim::{ClaimRequest, ClaimedDelivery};
use crate::claim::{RoomLeft, Turn};
use crate::id::DeliveryId;
use crate::time::from_micros;

/// The deliveries that this process fetched and has not completed yet. Until it has, their ack wait
/// is extended.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    /// Those that are not dispatched yet, by due time and sequence.
    held: BTreeMap<(i64, u64), Held>,
    /// With a handler.
    out: HashMap<u64, Held>,
}

/// A delivery that is held until it is due, or is with a handler.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) event: Stored,
    pub(super) event_type: Option<String>,
    pub(super) token: AckToken,
    pub(super) next: NextAttempt,
    /// Its record when it was fetched, to be changed when it is dispatched.
    pub(super) entry: RecordEntry,
    /// Whether its record says that it was dispatched. Not for the first attempt: that would be a
    /// second write for each event.
    pub(super) is_recorded: bool,
    /// Whether that was written, and it is not known whether it was stored.
    pub(super) may_be_recorded: bool,
    /// When its ack wait was last extended.
    pub(super) extended_at: Instant,
}

/// How much room there is, beyond the held deliveries that are due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    /// How many of the held deliveries are due and have room.
    pub(super) due: usize,
    pub(super) live: usize,
    pub(super) backlog: usize,
}

impl InFlight {
    pub(super) fn hold(&mut self, held: Held) {
        let key = (held.next.due_at, held.event.sequence);
        // Delivered again: the token before is void.
        self.held.retain(|(_, sequence), _| *sequence != key.1);
        self.held.insert(key, held);
    }

    pub(super) fn held_len(&self) -> usize {
        self.held.len()
    }

    /// How many of those held were delivered as the event itself.
    pub(super) fn held_events_len(&self) -> u64 {
        self.held.values().filter(|held| held.is_live()).count() as u64
    }

    /// How many of those with a handler were delivered as a reference.
    pub(super) fn out_references_len(&self) -> u64 {
        self.out.values().filter(|out| !out.is_live()).count() as u64
    }

    /// When the oldest was received of those held that were delivered as the event itself.
    pub(super) fn oldest_held(&self) -> Option<SystemTime> {
        let held = self.held.values().filter(|held| held.is_live());
        held.map(|held| held.event.received_at).min()
    }

    /// How much room there is, beyond the held deliveries that are due.
    pub(super) fn demand(&self, request: &ClaimRequest, now: i64) -> Demand {
        let (mut live, mut backlog) = (RoomLeft::of(request), RoomLeft::of(request));
        let mut due = 0;
        for held in self.held.range(..=(now, u64::MAX)).map(|(_, held)| held) {
            let destination = request.destination(held.event_type.as_deref());
            let (left, turn) = match held.is_live() {
                true => (&mut live, Turn::Live),
                false => (&mut backlog, Turn::Backlog),
            };
            if left.in_turn(destination, turn) > 0 {
                left.take(destination, held.is_live());
                due += 1;
            }
        }
        Demand {
            due,
            live: live.total(Turn::Live),
            backlog: backlog.total(Turn::Backlog),
        }
    }

    pub(super) fn next_due(&self, now: i64) -> Option<i64> {
        let mut later = self
            .held
            .range((Bound::Excluded((now, u64::MAX)), Bound::Unbounded));
        later.next().map(|((due_at, _), _)| *due_at)
    }

    /// The longest due of this turn for which there is room.
    pub(super) fn take_due(
        &mut self,
        request: &ClaimRequest,
        turn: Turn,
        left: &mut RoomLeft,
        now: i64,
    ) -> Option<Held> {
        let mut due = self.held.range(..=(now, u64::MAX));
        let (key, destination) = due.find_map(|(key, held)| {
            let is_of_turn = match turn {
                Turn::Unordered => true,
                Turn::Live => held.is_live(),
                Turn::BacklogFirst | Turn::Backlog => !held.is_live(),
            };
            let destination = request.destination(held.event_type.as_deref());
            (is_of_turn && left.in_turn(destination, turn) > 0).then_some((*key, destination))
        })?;
        let held = self.held.remove(&key)?;
        left.take(destination, held.is_live() && turn != Turn::Unordered);
        Some(held)
    }

    /// Nothing is held for longer than that: if it would be, the clock has been set back, and it is
    /// due now.
    pub(super) fn correct_times(&mut self, now: i64, longest: Duration) {
        let longest = i64::try_from(longest.as_micros()).unwrap_or(i64::MAX);
        let first = (now.saturating_add(longest), u64::MAX);
        for ((_, sequence), mut held) in self.held.split_off(&first) {
            held.next.due_at = now;
            self.held.insert((now, sequence), held);
        }
    }

    /// Drops what the servers deliver to others, because its ack wait was not extended.
    pub(super) fn drop_expired(&mut self, ack_wait: Duration) {
        self.held
            .retain(|_, held| held.extended_at.elapsed() < ack_wait);
    }

    pub(super) fn is_held(&self, sequence: u64) -> bool {
        self.held.keys().any(|(_, held)| *held == sequence)
    }

    /// Drops a held delivery, and gives the subject of its acknowledgement.
    pub(super) fn drop_held(&mut self, sequence: u64) -> Option<Subject> {
        let key = self
            .held
            .keys()
            .find(|(_, held)| *held == sequence)
            .copied();
        self.held.remove(&key?).map(|held| held.token.reply)
    }

    pub(super) fn out(&self, sequence: u64) -> Option<&Held> {
        self.out.get(&sequence)
    }

    pub(super) fn dispatched(&mut self, held: Held) {
        self.out.insert(held.event.sequence, held);
    }

    /// The servers delivered again what a handler of ours still has: from now on that token counts.
    /// One of another origin is the attempt after this one.
    pub(super) fn renew(&mut self, sequence: u64, token: &AckToken) -> bool {
        match self.out.get_mut(&sequence) {
            Some(out) if out.token.origin == token.origin => {
                out.token = token.clone();
                true
            }
            Some(_) | None => false,
        }
    }

    pub(super) fn ended(&mut self, sequence: u64, attempt: u32) {
        self.out
            .retain(|key, out| *key != sequence || out.next.attempt != attempt);
    }

    /// The subjects of all acknowledgements.
    pub(super) fn replies(&self) -> Vec<Subject> {
        let held = self.held.values().map(|held| &held.token.reply);
        let out = self.out.values().map(|out| &out.token.reply);
        held.chain(out).cloned().collect()
    }

    pub(super) fn extended(&mut self, at: Instant) {
        for held in self.held.values_mut() {
            held.extended_at = at;
        }
    }

    /// Drops all held deliveries, and gives the subjects of their acknowledgements.
    pub(super) fn release_held(&mut self) -> Vec<Subject> {
        let held = std::mem::take(&mut self.held);
        held.into_values().map(|held| held.token.reply).collect()
    }
}

impl Held {
    /// Whether it was delivered as the event itself.
    pub(super) fn is_live(&self) -> bool {
        self.token.origin == Origin::Event
    }

    pub(super) fn claimed(&self, id: DeliveryId) -> ClaimedDelivery {
        let NextAttempt {
            attempt,
            first_attempt,
            due_at,
        } = self.next;
        let record = &self.entry.record;
        let (interrupted, unknown) = record.interrupted(first_attempt, attempt);
        ClaimedDelivery {
            id,
            received_at: self.event.received_at,
            source: self.event.source,
            attempt,
            first_attempt,
            uncounted: record.uncounted + unknown,
            interrupted,
            elapsed: Duration::from_micros(record.elapsed),
            due_at: from_micros(due_at),
            is_live: self.is_live(),
            event_type: self.event_type.clone(),
            headers: self.event.headers.clone(),
            body: self.event.body.clone(),
        }
    }
}
