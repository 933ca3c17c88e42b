//! [`Delivery`]: what the sandbox remembers of one event on its way to one address.

use std::time::Duration;

use bytes::Bytes;
use serde::{Serialize, Serializer};

/// One event on its way to one address.
///
/// # Wire shape
///
/// An item of `GET /sandbox/deliveries`, with the names below; the body is text.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Delivery {
    /// Counts up in the order in which deliveries were made up.
    pub delivery_id: u64,
    /// The event in the log.
    pub event_id: String,
    /// Its name, as sent.
    pub event_type: String,
    /// The endpoint it goes to; `None` for the `callback_url` of a job.
    pub endpoint_id: Option<String>,
    /// How far it is.
    pub state: DeliveryState,
    /// Every request that was made, duplicates included.
    pub attempts: Vec<DeliveryAttempt>,
    /// What is sent, byte for byte.
    #[serde(serialize_with = "as_text")]
    pub body: Bytes,
}

/// How far a delivery is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeliveryState {
    /// It waits for other events, to be sent in another order.
    Held,
    /// An attempt is under way, or waits for its time.
    Pending,
    /// It was accepted, and its duplicates are sent.
    Delivered,
    /// The time for retries is over.
    GivenUp,
    /// Its endpoint was deleted or disabled, or the sandbox stops.
    Cancelled,
}

/// One request of a delivery.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct DeliveryAttempt {
    /// Where it went.
    pub url: String,
    /// The status of the answer, if one was read.
    pub status: Option<u16>,
    /// Why none was read.
    pub error: Option<String>,
    /// Whether the delivery had been accepted before, and this one is its duplicate.
    pub duplicate: bool,
    /// How long it took, to the end of the answer or to the failure.
    #[serde(rename = "duration_ms", serialize_with = "as_millis")]
    pub duration: Duration,
}

impl Delivery {
    /// Whether nothing more will be sent.
    #[must_use]
    pub fn ended(&self) -> bool {
        match self.state {
            DeliveryState::Held | DeliveryState::Pending => false,
            DeliveryState::Delivered | DeliveryState::GivenUp | DeliveryState::Cancelled => true,
        }
    }

    /// The statuses of all attempts in order; `None` where no answer was read.
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
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
