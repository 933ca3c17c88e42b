//! [`Delivery`]: the record of one event on its way to one address.

use std::time::Duration;

use bytes::Bytes;
use serde::{Serialize, Serializer};

use super::clock::millis;

/// One event on its way to one address.
///
/// # Wire shape
///
/// An item of `GET /sandbox/deliveries`, with the names below; the body is text.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Delivery {
    /// Grows in order of creation.
    pub delivery_id: u64,
    /// The event in the log.
    pub event_id: String,
    /// The event name as sent.
    pub event_type: String,
    /// The endpoint. `None` for the `callback_url` of a job.
    pub endpoint_id: Option<String>,
    /// The state.
    pub state: DeliveryState,
    /// Every request, including duplicates.
    pub attempts: Vec<DeliveryAttempt>,
    /// The body as sent.
    #[serde(serialize_with = "as_text")]
    pub body: Bytes,
}

/// The state of a delivery.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeliveryState {
    /// Held for reordering.
    Held,
    /// An attempt is running or scheduled.
    Pending,
    /// It was accepted, and its duplicates were sent.
    Delivered,
    /// All retries failed.
    GivenUp,
    /// Its endpoint was deleted or disabled, the sandbox stopped, or a listener panicked.
    Cancelled,
}

/// One request of a delivery.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct DeliveryAttempt {
    /// The URL.
    pub url: String,
    /// The status of the answer, if one was read.
    pub status: Option<u16>,
    /// Why there is no status.
    pub error: Option<String>,
    /// Whether this is a duplicate of an accepted delivery.
    pub duplicate: bool,
    /// The time until the end of the answer, or until the failure.
    #[serde(rename = "duration_ms", serialize_with = "as_millis")]
    pub duration: Duration,
}

impl Delivery {
    /// Whether the delivery has ended.
    #[must_use]
    pub fn ended(&self) -> bool {
        match self.state {
            DeliveryState::Held | DeliveryState::Pending => false,
            DeliveryState::Delivered | DeliveryState::GivenUp | DeliveryState::Cancelled => true,
        }
    }

    /// In a few words, for one that has not ended.
    pub(super) fn summary(&self) -> String {
        let Some(last) = self.attempts.last() else {
            return format!("{} ({}), not attempted yet", self.event_type, self.event_id);
        };
        let result = match (last.status, &last.error) {
            (Some(status), _) => format!("answered {status}"),
            (None, Some(error)) => error.clone(),
            (None, None) => "no answer".to_owned(),
        };
        format!(
            "{} ({}) to {}, attempt {}: {result}",
            self.event_type,
            self.event_id,
            last.url,
            self.attempts.len()
        )
    }

    /// The status of every attempt, in order. `None`: no answer was read.
    #[must_use]
    pub fn statuses(&self) -> Vec<Option<u16>> {
        let statuses = self.attempts.iter().map(|attempt| attempt.status);
        statuses.collect()
    }
}

impl DeliveryAttempt {
    /// Whether it was answered with 2xx.
    #[must_use]
    pub fn accepted(&self) -> bool {
        self.status
            .is_some_and(|status| (200..300).contains(&status))
    }
}

fn as_text<S: Serializer>(body: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(body))
}

fn as_millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(millis(*duration))
}
