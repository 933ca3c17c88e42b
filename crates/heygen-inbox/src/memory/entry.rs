//! [`Entry`]: one delivery of an inbox in memory.

use std::time::Duration;

use crate::claim::ClaimedDelivery;
use crate::completion::Completion;
use crate::dedup::rule::{Candidate, Link, Match, RecordIdentity};
use crate::delivery::NewDelivery;
use crate::id::DeliveryId;
use crate::record::{
    Attempt, AttemptOutcome, DeliverySummary, Redeliveries, SignedPost, State, StoredDelivery,
    dead_lettered_at,
};
use crate::source::Source;
use crate::time::{from_micros, to_micros};

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) delivery: NewDelivery,
    pub(super) state: State,
    pub(super) due_at: i64,
    /// Whether it was received here, and never claimed.
    pub(super) is_live: bool,
    pub(super) attempt_count: u32,
    pub(super) first_attempt: u32,
    pub(super) elapsed: Duration,
    pub(super) uncounted: u32,
    pub(super) redeliveries: Redeliveries,
    pub(super) attempts: Vec<Attempt>,
    pub(super) matched: Option<RecordIdentity>,
    pub(super) signed: Option<NewDelivery>,
}

impl Entry {
    pub(super) fn new(delivery: NewDelivery, due_at: i64) -> Self {
        Self {
            is_live: delivery.source().is_received(),
            delivery,
            state: State::Pending,
            due_at,
            attempt_count: 0,
            first_attempt: 1,
            elapsed: Duration::ZERO,
            uncounted: 0,
            redeliveries: Redeliveries::default(),
            attempts: Vec::new(),
            matched: None,
            signed: None,
        }
    }

    pub(super) fn candidate(&self) -> Candidate {
        Candidate {
            matched: self.matched.clone(),
            signed: self.signed.as_ref().map(|post| post.dedup_key().body()),
            ..Candidate::of(&self.delivery)
        }
    }

    /// Records a redelivery. Gives how many bytes that adds.
    pub(super) fn count_redelivery(&mut self, delivery: &NewDelivery, fit: Match) -> u64 {
        if delivery.source().is_received() {
            self.redeliveries.count += 1;
            self.redeliveries.last_at = Some(delivery.received_at());
            self.redeliveries.last_headers = delivery.headers().to_vec();
        }
        self.link(delivery, fit)
    }

    /// Stores the other form of the same event. Gives how many bytes that adds.
    pub(super) fn link(&mut self, delivery: &NewDelivery, fit: Match) -> u64 {
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

    pub(super) fn claim(&mut self, key: u64) -> ClaimedDelivery {
        self.state = State::Claimed;
        self.attempt_count += 1;
        let is_live = std::mem::take(&mut self.is_live);
        let interrupted = self.attempts.iter();
        let interrupted = interrupted
            .filter(|known| known.number >= self.first_attempt)
            .filter(|known| known.result == AttemptOutcome::Interrupted);
        ClaimedDelivery {
            first_attempt: self.first_attempt,
            uncounted: self.uncounted,
            interrupted: u32::try_from(interrupted.count()).unwrap_or(u32::MAX),
            elapsed: self.elapsed,
            due_at: from_micros(self.due_at),
            is_live,
            ..ClaimedDelivery::new(id_of(key), &self.delivery, self.attempt_count)
        }
    }

    /// A late result, of a delivery that was claimed again, is recorded and does not change the
    /// state, unless it acknowledges.
    pub(super) fn complete(&mut self, completion: &Completion) {
        let is_current = self.state == State::Claimed && self.attempt_count == completion.attempt;
        if completion.is_released {
            if !is_current {
                return;
            }
            self.attempt_count -= 1;
        } else {
            let is_interrupted = completion.result == AttemptOutcome::Interrupted;
            self.uncounted += u32::from(is_current && (is_interrupted || !completion.is_counted));
            let number = completion.attempt;
            self.attempts.retain(|attempt| attempt.number != number);
            self.attempts.push(completion.to_attempt());
            self.attempts.sort_by_key(|attempt| attempt.number);
        }
        if is_current || completion.result == AttemptOutcome::Acknowledged {
            self.elapsed = completion.elapsed;
            self.state = completion.result.state();
            self.due_at = to_micros(completion.due_at);
            let is_new = self.attempt_count == 0 && self.delivery.source().is_received();
            self.is_live = is_new && !self.is_finished();
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        matches!(self.state, State::Acknowledged | State::DeadLettered)
    }

    /// Within what its order is kept. A callback can name any subject: signed deliveries do not
    /// wait for it.
    pub(super) fn subject(&self) -> Option<(&str, Source)> {
        let subject_id = self.delivery.subject_id()?;
        Some((subject_id, self.delivery.source()))
    }

    /// Whether a wrong clock set its due time.
    pub(super) fn is_of_wrong_clock(&self, now: i64) -> bool {
        let last = self.attempts.last();
        last.is_none_or(|last| to_micros(last.started_at) > now)
    }

    pub(super) fn summary(&self, key: u64) -> DeliverySummary {
        DeliverySummary {
            state: self.state,
            attempts: self.attempt_count,
            dead_lettered_at: dead_lettered_at(self.state, &self.attempts),
            ..DeliverySummary::new(id_of(key), &self.delivery)
        }
    }

    pub(super) fn whole(&self, key: u64) -> StoredDelivery {
        let matched = self.matched.as_ref();
        let matched = matched.and_then(|record| record.event_id.as_deref());
        let event_id = self.delivery.dedup_key().event_id().or(matched);
        StoredDelivery {
            summary: self.summary(key),
            due_at: (self.state == State::Pending).then(|| from_micros(self.due_at)),
            event_id: event_id.map(str::to_owned),
            signed: self.signed.as_ref().map(SignedPost::new),
            redeliveries: self.redeliveries.clone(),
            attempts: self.attempts.clone(),
            ..StoredDelivery::new(id_of(key), &self.delivery)
        }
    }
}

/// How many bytes it takes, roughly.
pub(super) fn size(delivery: &NewDelivery) -> u64 {
    let headers = delivery.headers().iter();
    let headers: usize = headers
        .map(|header| header.name.len() + header.value.len())
        .sum();
    (headers + delivery.body().len()) as u64
}

pub(super) fn id_of(key: u64) -> DeliveryId {
    DeliveryId::new(key, MEMORY_TAG)
}

/// Ids of an inbox in memory mean nothing outside their process, so they need no tag of their own.
pub(super) const MEMORY_TAG: u32 = 0;
