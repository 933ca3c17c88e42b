//! Handing out anew, taking in what another inbox had, and marks of how far work has come.

use std::time::SystemTime;

use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::LastRawMessageErrorKind;

use super::JetStreamInbox;
use super::appending::Published;
use super::record::{Record, Word};
use crate::dedup::rule::Link;
use crate::inbox::Inbox as _;
use crate::time::to_micros;
use crate::{
    Appended, AttemptResult, Completion, DeliveryId, Imported, InboxError, NewDelivery, Replayed,
    State,
};

impl JetStreamInbox {
    /// Makes these due at `now`, whatever became of them before, with as many attempts as a new delivery has.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when it could not be written; those before may be due then.
    pub(super) async fn replay_all(
        &self,
        ids: &[DeliveryId],
        now: SystemTime,
    ) -> Result<Replayed, InboxError> {
        let mut replayed = Replayed::default();
        for id in ids {
            match self.replay_one(*id, to_micros(now)).await? {
                Some(State::Claimed | State::Interrupted) => replayed.claimed += 1,
                Some(State::Pending | State::Done | State::Dead) => replayed.pending += 1,
                None => replayed.missing += 1,
            }
        }
        if replayed.pending > 0 {
            self.tell_appended();
        }
        Ok(replayed)
    }

    /// The state it was in before; `None` when it is not there.
    async fn replay_one(&self, id: DeliveryId, now: i64) -> Result<Option<State>, InboxError> {
        let shared = &self.shared;
        let link = &shared.link;
        let Some(sequence) = link.sequence(id) else {
            return Ok(None);
        };
        let Some(event) = link.event(sequence).await? else {
            return Ok(None);
        };
        loop {
            let progress = shared.progress().await?;
            let found = link.record(sequence).await?;
            let record = found.as_ref().map(|found| &found.record);
            let state = shared.state(&event, record, &progress);
            let is_untouched =
                state == State::Pending && record.is_none_or(|record| record.generation == 0);
            // What was never handed out is due as it is.
            if state == State::Claimed || is_untouched {
                return Ok(Some(state));
            }
            let (mut record, revision) = match found {
                Some(found) => (found.record, found.revision),
                None => (Record::new(), 0),
            };
            let buried = std::mem::take(&mut record.dead_sequence);
            record.replay(now);
            let written = link.write_record(sequence, &record, revision).await?;
            if written.is_none() {
                continue;
            }
            shared.refer(sequence, record.generation).await?;
            if buried > 0 {
                // It may have been deleted by hand.
                let _ = link.delete(link.names.dead(), buried).await;
            }
            return Ok(Some(state));
        }
    }

    /// Keeps these with their past. One that is here already stays as it is. Begun again after a failure, it goes on where it
    /// ended.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when one could not be written; those before are kept then.
    pub(super) async fn import_all(
        &self,
        deliveries: &[Imported],
    ) -> Result<Vec<Appended>, InboxError> {
        self.caught_up().await;
        let mut appended = Vec::with_capacity(deliveries.len());
        for imported in deliveries {
            appended.push(self.import_one(imported).await?);
        }
        Ok(appended)
    }

    async fn import_one(&self, imported: &Imported) -> Result<Appended, InboxError> {
        let shared = &self.shared;
        let link = &shared.link;
        link.check_connected()?;
        // Unlike an append's, a duplicate tells of nothing that came: it is not counted.
        if let Some(sequence) = shared.find_and_link(&imported.delivery).await? {
            self.import_rest(sequence, imported).await?;
            return Ok(Appended::Duplicate(link.id(sequence)));
        }
        let past = match imported.state {
            // It is finished until the record says otherwise, so that nobody is handed it before that.
            State::Done | State::Dead => imported.state,
            State::Pending | State::Claimed | State::Interrupted => State::Pending,
        };
        let sequence = match shared.publish(&imported.delivery, Some(past)).await? {
            Published::New(sequence) => sequence,
            Published::Known(sequence) => {
                self.import_rest(sequence, imported).await?;
                return Ok(Appended::Duplicate(link.id(sequence)));
            }
        };
        self.import_past(sequence, imported, past).await?;
        self.tell_appended();
        Ok(Appended::New(link.id(sequence)))
    }

    /// Does what an import that ended in the middle did not come to.
    async fn import_rest(&self, sequence: u64, imported: &Imported) -> Result<(), InboxError> {
        let link = &self.shared.link;
        let Some(event) = link.event(sequence).await? else {
            return Ok(());
        };
        // What came another way is not an import's.
        let Some(past) = event.past.filter(|_| event.is_of(&imported.delivery)) else {
            return Ok(());
        };
        match link.record(sequence).await?.map(|found| found.record) {
            None => self.import_past(sequence, imported, past).await,
            Some(record) if record.state == Word::Pending && record.generation > 0 => {
                self.shared
                    .refer_if_missing(sequence, record.generation)
                    .await
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
        let (shared, link) = (&self.shared, &self.shared.link);
        let mut record = Record::new();
        record.set_state(past);
        record.handed_out = imported.handed_out;
        record.set_attempts(&imported.attempts);
        record.set_repeats(&imported.repeats);
        if let Some(matched) = imported.matched() {
            record.set_matched(&matched);
        }
        if let Some(post) = imported.signed_delivery() {
            record.link(Link::Post, &post);
        }
        if past == State::Dead && !imported.is_replayed {
            record.dead_sequence = self.bury_imported(sequence, imported).await?;
        }
        let is_finished = matches!(record.state, Word::Done | Word::Dead);
        if imported.is_replayed && is_finished {
            record.replay(to_micros(SystemTime::now()));
        } else if imported.is_replayed {
            record.first_attempt = record.handed_out + 1;
        }
        let written = link.write_record(sequence, &record, 0).await?;
        if written.is_some() && record.generation > 0 {
            shared.refer(sequence, record.generation).await?;
        }
        Ok(())
    }

    async fn bury_imported(&self, sequence: u64, imported: &Imported) -> Result<u64, InboxError> {
        let shared = &self.shared;
        let Some(event) = shared.link.event(sequence).await? else {
            return Ok(0);
        };
        let last = imported.attempts.last();
        let finish = Completion {
            id: shared.link.id(sequence),
            attempt: imported.handed_out,
            started_at: event.received_at,
            duration: std::time::Duration::ZERO,
            result: AttemptResult::Dead,
            detail: last.and_then(|attempt| attempt.detail.clone()),
            due_at: event.received_at,
            elapsed: std::time::Duration::ZERO,
            is_counted: true,
            is_released: false,
        };
        shared.bury(&event, &finish).await
    }

    /// Says for each under which id the same event is here already, and adds nothing. Knows as far back as it remembers.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when the stream could not be read.
    pub(super) async fn find_all(
        &self,
        deliveries: &[NewDelivery],
    ) -> Result<Vec<Option<DeliveryId>>, InboxError> {
        self.caught_up().await;
        let mut found = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let one = self.shared.find(delivery, &[]).await?;
            found.push(one.map(|(sequence, _)| self.shared.link.id(sequence)));
        }
        Ok(found)
    }

    /// How far work that goes on over restarts has come.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when the stream could not be read.
    pub(super) async fn read_bookmark(&self, name: &str) -> Result<Option<String>, InboxError> {
        let link = &self.shared.link;
        link.check_connected()?;
        let subject = link.names.bookmark(name);
        match link.records.get_last_raw_message_by_subject(&subject).await {
            Ok(message) => {
                let value = String::from_utf8_lossy(&message.payload).into_owned();
                Ok(Some(value).filter(|value| !value.is_empty()))
            }
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(link.cannot("read from", error)),
        }
    }

    /// Keeps how far work that goes on over restarts has come; `None` forgets it.
    ///
    /// # Errors
    ///
    /// [`Storage`](crate::InboxErrorKind::Storage) when it could not be written.
    pub(super) async fn write_bookmark(
        &self,
        name: &str,
        value: Option<&str>,
    ) -> Result<(), InboxError> {
        let link = &self.shared.link;
        let message = PublishMessage::build()
            .payload(value.unwrap_or_default().to_owned().into())
            .expected_stream(link.names.records());
        self.shared
            .publish_to(link.names.bookmark(name), message)
            .await?;
        Ok(())
    }
}
