//! [`DeadLetters`]: a copy of each dead-lettered event, for others to subscribe to.

use async_nats::jetstream::message::PublishMessage;

use super::message::{Stored, headers};
use super::stream::Stream;
use crate::error::InboxError;
use crate::id::DeliveryId;
use crate::time::to_micros;

/// The stream of dead letters.
#[derive(Clone, Debug)]
pub(super) struct DeadLetters {
    pub(super) stream: Stream,
}

impl DeadLetters {
    /// Adds a copy of an event that was dead-lettered after so many attempts, and gives its
    /// sequence.
    pub(super) async fn add(
        &self,
        event: &Stored,
        id: DeliveryId,
        attempt: u32,
        reason: Option<&str>,
    ) -> Result<u64, InboxError> {
        let delivery = event.to_delivery();
        // Another event may have had the sequence a moment ago, as for references.
        let received_at = to_micros(event.received_at);
        let message_id = format!("{}-{attempt}-{received_at}", event.sequence);
        let mut headers = headers(&delivery, &message_id, None);
        headers.insert(DELIVERY, id.to_string().as_str());
        headers.insert(ATTEMPTS, attempt.to_string().as_str());
        if let Some(reason) = reason {
            // A header cannot hold the end of a line, nor should it be long.
            let reason: String = reason.chars().take(500).collect();
            headers.insert(REASON, reason.escape_default().to_string().as_str());
        }
        let event_type = delivery.label().event_type.as_deref();
        let letter = PublishMessage::build()
            .payload(delivery.body().clone())
            .headers(headers);
        let subject = self.stream.names.dead_letter(event_type);
        self.stream.write(subject, letter).await
    }

    /// Deletes a copy, if there is one: it may have been deleted by hand.
    pub(super) async fn remove(&self, sequence: u64) {
        if sequence > 0 {
            let _ = self.stream.delete(sequence).await;
        }
    }
}

/// Headers of a dead letter, beside those of its event.
const DELIVERY: &str = "Heygen-Inbox-Delivery";
const ATTEMPTS: &str = "Heygen-Inbox-Attempts";
const REASON: &str = "Heygen-Inbox-Reason";
