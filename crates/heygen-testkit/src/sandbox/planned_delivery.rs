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
    /// What goes wrong with its requests.
    pub(super) faults: Misbehaviour,
    /// Signs every attempt. `None`: the secret at the time of the attempt.
    pub(super) old_secret: Option<Secret>,
}

#[derive(Clone, Debug)]
pub(super) enum Target {
    /// A registered endpoint, by id: its URL and secret may change between attempts.
    Endpoint(String),
    /// The `callback_url` of a job.
    Callback(String),
}
