//! [`Transfer`]: replays, dead-letters, deletes and imports deliveries.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::consumer::Consumer;
use super::message::Stored;
use super::publisher::Publisher;
use super::queries::Queries;
use super::record::{Record, RecordState, is_of};
use super::records::RecordEntry;
use super::streams::Streams;
use super::wake::Wake;
use crate::admin::DEAD_LETTERED_BY_HAND;
use crate::dedup::rule::Link;
use crate::error::InboxError;
use crate::id::DeliveryId;
use crate::imported::Imported;
use crate::inbox::Appended;
use crate::record::{Attempt, AttemptOutcome, DeadLetterReport, DeleteReport, ReplayReport, State};
use crate::time::to_micros;

/// What operators change in an inbox.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transfer<'a> {
    pub(super) streams: &'a Streams,
    pub(super) publisher: &'a Publisher,
    pub(super) consumer: &'a Consumer,
    pub(super) queries: Queries<'a>,
    pub(super) wake: &'a Arc<Wake>,
}

impl Transfer<'_> {
    pub(super) async fn replay(
        &self,
        ids: &[DeliveryId],
        now: SystemTime,
    ) -> Result<ReplayReport, InboxError> {
        let mut replayed = ReplayReport::default();
        for id in ids {
            replayed.add(self.replay_one(*id, to_micros(now)).await?);
        }
        if replayed.pending > 0 {
            self.wake.notify();
        }
        Ok(replayed)
    }

    /// Gives the state before; `None` when there is no such delivery.
    async fn replay_one(&self, id: DeliveryId, now: i64) -> Result<Option<State>, InboxError> {
        let Some(event) = self.streams.events.find(id).await? else {
            return Ok(None);
        };
        loop {
            let (mut record, revision, state) = self.record_of(&event).await?;
            // What was never dispatched is due as it is.
            let is_untouched = state == State::Pending && record.generation == 0;
            if state == State::Claimed || is_untouched {
                return Ok(Some(state));
            }
            let letter = std::mem::take(&mut record.dead_sequence);
            record.replay(now);
            if self.put(&event, &record, revision).await? {
                let references = &self.streams.references;
                references.add_in_time(event.sequence, &record).await?;
                self.streams.dead.remove(letter).await;
                return Ok(Some(state));
            }
        }
    }

    pub(super) async fn dead_letter(
        &self,
        ids: &[DeliveryId],
        now: SystemTime,
    ) -> Result<DeadLetterReport, InboxError> {
        let mut report = DeadLetterReport::default();
        for id in ids {
            report.add(self.dead_letter_one(*id, now).await?);
        }
        Ok(report)
    }

    /// Gives the state before; `None` when there is no such delivery.
    async fn dead_letter_one(
        &self,
        id: DeliveryId,
        now: SystemTime,
    ) -> Result<Option<State>, InboxError> {
        let (events, dead) = (&self.streams.events, &self.streams.dead);
        let Some(event) = events.find(id).await? else {
            return Ok(None);
        };
        // That of a round whose record was not written. Servers take the letter of the next round for
        // its duplicate, so it stays until another is in its place.
        let mut letter = 0;
        loop {
            let (mut record, revision, state) = self.record_of(&event).await?;
            if state != State::Pending {
                if record.dead_sequence != letter {
                    dead.remove(letter).await;
                }
                return Ok(Some(state));
            }
            if !record.is_begun() {
                // A worker that fetches it for the first time would not look for a record.
                let last = events.stream.state().await?.last_sequence;
                let (control, records) = (&self.consumer.control, &self.streams.records);
                if control
                    .announce_recorded(records, event.sequence, last)
                    .await?
                {
                    // One may have fetched it meanwhile.
                    continue;
                }
            }
            let number = record.dispatched + 1;
            record.begin(number, to_micros(now));
            record.state = RecordState::DeadLettered;
            let mut attempt =
                Attempt::new(number, now, Duration::ZERO, AttemptOutcome::DeadLettered);
            attempt.detail = Some(DEAD_LETTERED_BY_HAND.to_owned());
            record.set_attempts(&[attempt]);
            let added = dead.add(&event, id, number, Some(DEAD_LETTERED_BY_HAND));
            record.dead_sequence = added.await?;
            if record.dead_sequence != letter {
                dead.remove(mem::replace(&mut letter, record.dead_sequence))
                    .await;
            }
            if self.put(&event, &record, revision).await? {
                self.streams.references.remove(event.sequence).await;
                let held = self.consumer.in_flight().drop_held(event.sequence);
                self.consumer.acknowledge(held).await?;
                return Ok(Some(state));
            }
        }
    }

    pub(super) async fn delete(&self, ids: &[DeliveryId]) -> Result<DeleteReport, InboxError> {
        let mut report = DeleteReport::default();
        for id in ids {
            report.add(self.delete_one(*id).await?);
        }
        Ok(report)
    }

    /// Gives the state before; `None` when there is no such delivery.
    async fn delete_one(&self, id: DeliveryId) -> Result<Option<State>, InboxError> {
        let Some(event) = self.streams.events.find(id).await? else {
            return Ok(None);
        };
        loop {
            let (mut record, revision, state) = self.record_of(&event).await?;
            if state == State::Claimed {
                return Ok(Some(state));
            }
            if state == State::Pending && record.is_begun() {
                // It is finished before it is deleted, so that no worker begins another attempt.
                record.state = RecordState::Acknowledged;
                if !self.put(&event, &record, revision).await? {
                    continue;
                }
                self.streams.references.remove(event.sequence).await;
            }
            // First of all, so that it is not dispatched while it is being deleted. If that fails, the
            // servers deliver what is left of it again.
            let held = self.consumer.in_flight().drop_held(event.sequence);
            if self.queries.delete(vec![event.clone()]).await? > 0 {
                self.consumer.acknowledge(held).await?;
                return Ok(Some(state));
            }
        }
    }

    /// The record of an event with its revision, a new one where there is none, and the state of
    /// the event now.
    async fn record_of(&self, event: &Stored) -> Result<(Record, u64, State), InboxError> {
        let RecordEntry { record, revision } = self.streams.records.of(event).await?;
        let state = self.queries.state_now(event, &record).await?;
        Ok((record, revision, state))
    }

    async fn put(
        &self,
        event: &Stored,
        record: &Record,
        revision: u64,
    ) -> Result<bool, InboxError> {
        let records = &self.streams.records;
        records.put(event.sequence, record, revision).await
    }

    pub(super) async fn import(
        &self,
        deliveries: &[Imported],
    ) -> Result<Vec<Appended>, InboxError> {
        self.publisher.sync().await?;
        let mut appended = Vec::with_capacity(deliveries.len());
        for imported in deliveries {
            appended.push(self.import_one(imported).await?);
        }
        Ok(appended)
    }

    async fn import_one(&self, imported: &Imported) -> Result<Appended, InboxError> {
        self.streams.connection.check_connected()?;
        let state = match imported.state {
            // It counts as finished until its record is written, so that it is not dispatched
            // before that.
            State::Acknowledged | State::DeadLettered => imported.state,
            State::Pending | State::Claimed | State::Interrupted => State::Pending,
        };
        let delivery = &imported.delivery;
        let appended = self.publisher.publish(delivery, Some(state)).await?;
        match appended {
            Appended::New(id) => {
                self.import_record(id.key(), imported, state).await?;
                self.wake.notify();
            }
            // Unlike an append's, a duplicate is not a redelivery: it is not counted.
            Appended::Duplicate(id) => self.continue_import(id.key(), imported).await?,
        }
        Ok(appended)
    }

    /// Does what an interrupted import left undone.
    async fn continue_import(&self, sequence: u64, imported: &Imported) -> Result<(), InboxError> {
        let (events, records) = (&self.streams.events, &self.streams.records);
        let Some(event) = events.get(sequence).await? else {
            return Ok(());
        };
        // Only what was imported itself.
        let is_same = event.is_of(&imported.delivery);
        let Some(state) = event.imported_state.filter(|_| is_same) else {
            return Ok(());
        };
        let RecordEntry { record, revision } = records.get(sequence).await?;
        if revision == 0 || !record.is_of(&event) {
            return self.import_record(sequence, imported, state).await;
        }
        if record.state == RecordState::Pending && record.generation > 0 {
            let (references, record) = (&self.streams.references, record.of(&event));
            references.add_if_missing(sequence, &record).await?;
        }
        Ok(())
    }

    /// Writes the record that the delivery had in the other inbox.
    async fn import_record(
        &self,
        sequence: u64,
        imported: &Imported,
        state: State,
    ) -> Result<(), InboxError> {
        let (events, records) = (&self.streams.events, &self.streams.records);
        let mut record = Record::new();
        record.set_state(state);
        record.dispatched = imported.attempt_count;
        record.set_attempts(&imported.attempts);
        record.set_redeliveries(&imported.redeliveries);
        if let Some(matched) = imported.matched() {
            record.set_matched(&matched);
        }
        if let Some(post) = imported.signed_delivery() {
            record.link(Link::Post, &post);
        }
        if state == State::DeadLettered
            && !imported.is_replayed
            && let Some(event) = events.get(sequence).await?
        {
            let last = imported.attempts.last();
            let reason = last.and_then(|attempt| attempt.detail.as_deref());
            let (dead, id) = (&self.streams.dead, events.id(sequence));
            record.dead_sequence = dead.add(&event, id, imported.attempt_count, reason).await?;
        }
        let is_finished = matches!(
            record.state,
            RecordState::Acknowledged | RecordState::DeadLettered
        );
        if imported.is_replayed && is_finished {
            record.replay(to_micros(SystemTime::now()));
        } else if imported.is_replayed {
            record.first_attempt = record.dispatched + 1;
        }
        record.received_at = to_micros(imported.delivery.received_at());
        let mut is_written = records.put(sequence, &record, 0).await?;
        if !is_written {
            let found = records.get(sequence).await?;
            // That of an event that had the sequence before.
            if !is_of(found.record.received_at, record.received_at) {
                is_written = records.put(sequence, &record, found.revision).await?;
            }
        }
        if is_written && record.generation > 0 {
            self.streams.references.add(sequence, &record).await?;
        }
        Ok(())
    }
}
