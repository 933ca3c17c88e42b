//! [`PlannedDelivery`]: an event on its way to one address, before its first attempt.

use std::time::Duration;

use bytes::Bytes;
use heygen_signature::Secret;

use super::misbehaviour::Misbehaviour;
use crate::sender::RetryPolicy;

/// What a delivery does. It is fixed when the event is sent.
#[derive(Debug)]
pub(super) struct PlannedDelivery {
    pub(super) delivery_id: u64,
    pub(super) event_position: u64,
    pub(super) event_id: String,
    pub(super) target: Target,
    pub(super) body: Bytes,
    /// It starts after each of these was attempted.
    pub(super) after: Vec<u64>,
    pub(super) delay: Duration,
    pub(super) retry: RetryPolicy,
    pub(super) faults: DeliveryFaults,
    /// Signs every attempt. `None`: the secret at the time of the attempt.
    pub(super) old_secret: Option<Secret>,
}

/// What goes wrong with the requests of one delivery.
#[derive(Debug, Default)]
pub(super) struct DeliveryFaults {
    pub(super) duplicates: u32,
    pub(super) drop_answers: u32,
    pub(super) truncate: u32,
    pub(super) slow: Duration,
    pub(super) doubled_signature: bool,
    pub(super) mid_2026_headers: bool,
}

impl From<&Misbehaviour> for DeliveryFaults {
    fn from(misbehaviour: &Misbehaviour) -> Self {
        Self {
            duplicates: misbehaviour.duplicates,
            drop_answers: misbehaviour.drop_answers,
            truncate: misbehaviour.truncate,
            slow: Duration::from_millis(misbehaviour.slow_ms),
            doubled_signature: misbehaviour.doubled_signature,
            mid_2026_headers: misbehaviour.mid_2026_headers,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Target {
    /// A registered endpoint, by id: its URL and secret may change between attempts.
    Endpoint(String),
    /// The `callback_url` of a job.
    Callback(String),
}
