//! The end of a handing-out: recorded, and only then acknowledged, with a reference to what is to be handed out again and a copy of
//! what is given up.

use std::sync::atomic::Ordering;

use async_nats::Subject;
use async_nats::jetstream::AckKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use serde::{Deserialize, Serialize};

use super::hand::Out;
use super::message::{Stored, headers};
use super::record::Record;
use super::{JetStreamInbox, Shared};
use crate::time::to_micros;
use crate::{Completion, InboxError, State};

/// The payload of a reference.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Reference {
    generation: u32,
}

impl Reference {
    /// The generation that a payload tells.
    pub(super) fn read(payload: &[u8]) -> Option<u32> {
        let reference: Self = serde_json::from_slice(payload).ok()?;
        Some(reference.generation)
    }
}

impl JetStreamInbox {
    pub(super) async fn end(&self, finish: &Completion) -> Result<(), InboxError> {
        let shared = &self.shared;
        let Some(sequence) = shared.link.sequence(finish.id) else {
            return Ok(());
        };
        let out = shared.hand().out(sequence).cloned();
        let out = out.filter(|out| out.attempt == finish.attempt);
        let event = match &out {
            Some(out) => out.event.clone(),
            // It comes late, or is about nothing that ever was.
            None => match shared.link.event(sequence).await? {
                Some(event) => event,
                None => return Ok(()),
            },
        };
        let record = shared.record_end(&event, finish, out.as_ref()).await?;
        if let Some(out) = out {
            shared.settle(&record, &out, finish, sequence).await?;
            shared.hand().ended(sequence, finish.attempt);
        }
        Ok(())
    }
}

impl Shared {
    async fn record_end(
        &self,
        event: &Stored,
        finish: &Completion,
        out: Option<&Out>,
    ) -> Result<Record, InboxError> {
        let sequence = event.sequence;
        let started_at = to_micros(finish.started_at);
        // The first time nothing is there yet, which is tried without looking.
        let mut found = match out {
            Some(out) if !out.is_recorded => None,
            Some(_) | None => self.link.record(sequence).await?,
        };
        loop {
            let (mut record, revision) = match found {
                Some(found) => (found.record, found.revision),
                None => (Record::new(), 0),
            };
            let is_unrecorded = out.is_none_or(|out| !out.is_recorded);
            if is_unrecorded && record.handed_out < finish.attempt {
                record.begin(finish.attempt, started_at);
            }
            record.end(finish);
            let obsolete = record.take_obsolete_letter();
            if record.state() == State::Dead && record.dead_sequence == 0 {
                record.dead_sequence = self.bury(event, finish).await?;
            }
            let written = self.link.write_record(sequence, &record, revision).await?;
            if written.is_some() {
                if let Some(letter) = obsolete {
                    // It may have been deleted by hand.
                    let _ = self.link.delete(self.link.names.dead(), letter).await;
                }
                return Ok(record);
            }
            found = self.link.record(sequence).await?;
        }
    }

    /// Does what follows from an end that is recorded. It may be done twice.
    async fn settle(
        &self,
        record: &Record,
        out: &Out,
        finish: &Completion,
        sequence: u64,
    ) -> Result<(), InboxError> {
        let is_ours = record.handed_out == out.attempt - u32::from(finish.is_released);
        match record.state() {
            State::Done | State::Dead => {}
            State::Pending if is_ours => {
                self.refer(sequence, record.generation).await?;
                self.may_be_references.store(true, Ordering::Relaxed);
            }
            // Another worker has it under the same acknowledgement, or had it and may have ended before it made a reference.
            State::Pending | State::Claimed | State::Interrupted => return Ok(()),
        }
        self.say(&out.ticket.reply, AckKind::Ack).await
    }

    /// The same, where there may be one from longer ago than the servers know duplicates.
    pub(super) async fn refer_if_missing(
        &self,
        sequence: u64,
        generation: u32,
    ) -> Result<(), InboxError> {
        let subject = self.link.names.reference(sequence);
        let newest = self.link.again.get_last_raw_message_by_subject(&subject);
        match newest.await {
            Ok(message) if Reference::read(&message.payload) >= Some(generation) => Ok(()),
            Ok(_) => self.refer(sequence, generation).await,
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
                self.refer(sequence, generation).await
            }
            Err(error) => Err(self.link.cannot("read from", error)),
        }
    }

    /// Sees to it that there is a reference of this generation.
    pub(super) async fn refer(&self, sequence: u64, generation: u32) -> Result<(), InboxError> {
        let payload = serde_json::to_vec(&Reference { generation });
        let payload = payload.map_err(|error| self.link.cannot("write to", error))?;
        let message = PublishMessage::build()
            .payload(payload.into())
            .message_id(format!("{sequence}-{generation}"))
            .expected_stream(self.link.names.again());
        let written = self
            .publish_to(self.link.names.reference(sequence), message)
            .await?;
        self.referred_to.fetch_max(written, Ordering::Relaxed);
        Ok(())
    }

    /// Puts a copy among the dead letters; its place there.
    pub(super) async fn bury(
        &self,
        event: &Stored,
        finish: &Completion,
    ) -> Result<u64, InboxError> {
        let delivery = event.to_delivery();
        let id = format!("{}-{}", event.sequence, finish.attempt);
        let mut headers = headers(&delivery, &id, None);
        headers.insert(DELIVERY, finish.id.to_string().as_str());
        headers.insert(ATTEMPTS, finish.attempt.to_string().as_str());
        if let Some(detail) = &finish.detail {
            // A header cannot hold the end of a line, nor should it be long.
            let detail: String = detail.chars().take(500).collect();
            headers.insert(REASON, detail.escape_default().to_string().as_str());
        }
        let subject = self
            .link
            .names
            .dead_letter(delivery.label().event_type.as_deref());
        let letter = PublishMessage::build()
            .payload(delivery.body().clone())
            .headers(headers);
        self.publish_to(subject, letter.expected_stream(self.link.names.dead()))
            .await
    }

    pub(super) async fn publish_to(
        &self,
        subject: String,
        message: PublishMessage,
    ) -> Result<u64, InboxError> {
        self.link.check_connected()?;
        let acknowledged = self.link.publish(subject, message).await;
        let acknowledgement = acknowledged.map_err(|error| self.link.cannot("write to", error))?;
        Ok(acknowledgement.sequence)
    }

    /// Tells a consumer how it stands with something it gave out.
    pub(super) async fn say(&self, reply: &Subject, kind: AckKind) -> Result<(), InboxError> {
        let saying = self.link.client.publish(reply.clone(), kind.into());
        // It waits while much is to be written to a server that reads nothing.
        let said = tokio::time::timeout(self.options.answer_time, saying).await;
        let said = said.map_err(|error| self.link.cannot("write to", error))?;
        said.map_err(|error| self.link.cannot("write to", error))
    }
}

/// Headers of a dead letter, beside those of its event.
const DELIVERY: &str = "Heygen-Inbox-Delivery";
const ATTEMPTS: &str = "Heygen-Inbox-Attempts";
const REASON: &str = "Heygen-Inbox-Reason";
