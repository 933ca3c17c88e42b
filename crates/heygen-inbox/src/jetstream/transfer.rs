//! [`Transfer`]: replays, gives up and deletes deliveries, and imports what another inbox had.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::consumer::Consumer;
use super::publisher::{Published, Publisher};
use super::queries::Queries;
use super::record::{Record, RecordState};
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

/// What changes an inbox another way than a receiver or a dispatcher does.
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
            match self.replay_one(*id, to_micros(now)).await? {
                Some(State::Claimed | State::Interrupted) => replayed.claimed += 1,
                Some(State::Pending | State::Acknowledged | State::DeadLettered) => {
                    replayed.pending += 1;
                }
                None => replayed.missing += 1,
            }
        }
        if replayed.pending > 0 {
            self.wake.notify();
        }
        Ok(replayed)
    }

    /// The state it was in before; `None` when it is not there.
    async fn replay_one(&self, id: DeliveryId, now: i64) -> Result<Option<State>, InboxError> {
        let (events, records) = (&self.streams.events, &self.streams.records);
        let Some(sequence) = events.sequence(id) else {
            return Ok(None);
        };
        let Some(event) = events.get(sequence).await? else {
            return Ok(None);
        };
        loop {
            let found = records.get(sequence).await?;
            let record = found.as_ref().map(|found| &found.record);
            let state = self.queries.state_now(&event, record).await?;
            let is_untouched =
                state == State::Pending && record.is_none_or(|record| record.generation == 0);
            // What was never handed out is due as it is.
            if state == State::Claimed || is_untouched {
                return Ok(Some(state));
            }
            let (mut record, revision) = RecordEntry::or_new(found);
            let letter = std::mem::take(&mut record.dead_sequence);
            record.replay(now);
            if records.put(sequence, &record, revision).await? {
                let references = &self.streams.references;
                references.add(sequence, record.generation).await?;
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

    /// The state it was in before; `None` when it is not there.
    async fn dead_letter_one(
        &self,
        id: DeliveryId,
        now: SystemTime,
    ) -> Result<Option<State>, InboxError> {
        let Streams {
            events,
            records,
            dead,
            references,
            ..
        } = self.streams;
        let Some(sequence) = events.sequence(id) else {
            return Ok(None);
        };
        let Some(event) = events.get(sequence).await? else {
            return Ok(None);
        };
        loop {
            let found = records.get(sequence).await?;
            let record = found.as_ref().map(|found| &found.record);
            if record.is_none_or(|record| !record.is_begun()) {
                // A worker that gets it for the first time would not look whether there is a record.
                let last = events.stream.state().await?.last_sequence;
                let control = &self.consumer.control;
                control.announce_recorded(records, sequence, last).await?;
            }
            let state = self.queries.state_now(&event, record).await?;
            if state != State::Pending {
                return Ok(Some(state));
            }
            let (mut record, revision) = RecordEntry::or_new(found);
            let number = record.handed_out + 1;
            record.begin(number, to_micros(now));
            record.state = RecordState::DeadLettered;
            let mut attempt =
                Attempt::new(number, now, Duration::ZERO, AttemptOutcome::DeadLettered);
            attempt.detail = Some(DEAD_LETTERED_BY_HAND.to_owned());
            record.set_attempts(&[attempt]);
            record.dead_sequence = dead
                .add(&event, id, number, Some(DEAD_LETTERED_BY_HAND))
                .await?;
            if records.put(sequence, &record, revision).await? {
                references.remove(sequence).await;
                self.consumer.drop_held(sequence).await?;
                return Ok(Some(state));
            }
            dead.remove(record.dead_sequence).await;
        }
    }

    pub(super) async fn delete(&self, ids: &[DeliveryId]) -> Result<DeleteReport, InboxError> {
        let mut report = DeleteReport::default();
        for id in ids {
            report.add(self.delete_one(*id).await?);
        }
        Ok(report)
    }

    /// The state it was in before; `None` when it is not there.
    async fn delete_one(&self, id: DeliveryId) -> Result<Option<State>, InboxError> {
        let Streams {
            events,
            records,
            references,
            ..
        } = self.streams;
        let Some(sequence) = events.sequence(id) else {
            return Ok(None);
        };
        let Some(event) = events.get(sequence).await? else {
            return Ok(None);
        };
        loop {
            let found = records.get(sequence).await?;
            let record = found.as_ref().map(|found| &found.record);
            let state = self.queries.state_now(&event, record).await?;
            if state == State::Claimed {
                return Ok(Some(state));
            }
            let (mut record, revision) = RecordEntry::or_new(found);
            if state == State::Pending && record.is_begun() {
                // It is finished before it goes, so that no worker begins another attempt.
                record.state = RecordState::Acknowledged;
                if !records.put(sequence, &record, revision).await? {
                    continue;
                }
                references.remove(sequence).await;
            }
            if self.queries.delete(vec![sequence]).await? > 0 {
                self.consumer.drop_held(sequence).await?;
                return Ok(Some(state));
            }
        }
    }

    pub(super) async fn import(
        &self,
        deliveries: &[Imported],
    ) -> Result<Vec<Appended>, InboxError> {
        self.publisher.wait_until_synced().await;
        let mut appended = Vec::with_capacity(deliveries.len());
        for imported in deliveries {
            appended.push(self.import_one(imported).await?);
        }
        Ok(appended)
    }

    async fn import_one(&self, imported: &Imported) -> Result<Appended, InboxError> {
        self.streams.connection.check_connected()?;
        let events = &self.streams.events;
        let past = match imported.state {
            // It is finished until the record says otherwise, so that it is not handed out before
            // that.
            State::Acknowledged | State::DeadLettered => imported.state,
            State::Pending | State::Claimed | State::Interrupted => State::Pending,
        };
        let delivery = &imported.delivery;
        match self.publisher.publish(delivery, Some(past)).await? {
            Published::New(sequence) => {
                self.import_past(sequence, imported, past).await?;
                self.wake.notify();
                Ok(Appended::New(events.id(sequence)))
            }
            // Unlike an append's, a duplicate tells of nothing that came: it is not counted.
            Published::Duplicate(sequence) => {
                self.import_rest(sequence, imported).await?;
                Ok(Appended::Duplicate(events.id(sequence)))
            }
        }
    }

    /// Does what an import that ended in the middle did not come to.
    async fn import_rest(&self, sequence: u64, imported: &Imported) -> Result<(), InboxError> {
        let (events, records) = (&self.streams.events, &self.streams.records);
        let Some(event) = events.get(sequence).await? else {
            return Ok(());
        };
        // What came another way is not an import's.
        let Some(past) = event.past.filter(|_| event.is_of(&imported.delivery)) else {
            return Ok(());
        };
        match records.get(sequence).await?.map(|found| found.record) {
            None => self.import_past(sequence, imported, past).await,
            Some(record) if record.state == RecordState::Pending && record.generation > 0 => {
                let references = &self.streams.references;
                references.add_if_missing(sequence, record.generation).await
            }
            Some(_) => Ok(()),
        }
    }

    /// Writes what had become of it.
    async fn import_past(
        &self,
        sequence: u64,
        imported: &Imported,
        past: State,
    ) -> Result<(), InboxError> {
        let (events, records) = (&self.streams.events, &self.streams.records);
        let mut record = Record::new();
        record.set_state(past);
        record.handed_out = imported.attempt_count;
        record.set_attempts(&imported.attempts);
        record.set_redeliveries(&imported.redeliveries);
        if let Some(matched) = imported.matched() {
            record.set_matched(&matched);
        }
        if let Some(post) = imported.signed_delivery() {
            record.link(Link::Post, &post);
        }
        if past == State::DeadLettered
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
            record.first_attempt = record.handed_out + 1;
        }
        let is_written = records.put(sequence, &record, 0).await?;
        if is_written && record.generation > 0 {
            let references = &self.streams.references;
            references.add(sequence, record.generation).await?;
        }
        Ok(())
    }
}
