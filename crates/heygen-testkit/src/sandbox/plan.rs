//! [`Plan`]: what a delivery is going to do.

use std::time::Duration;

use bytes::Bytes;
use heygen_signature::Secret;

use crate::sender::RetryPolicy;

/// What a delivery does; fixed when its event is sent.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) delivery_id: u64,
    pub(super) event_position: u64,
    pub(super) event_id: String,
    pub(super) to: To,
    pub(super) body: Bytes,
    /// It begins when each of these was tried.
    pub(super) after: Vec<u64>,
    pub(super) delay: Duration,
    pub(super) retry: RetryPolicy,
    pub(super) duplicates: u32,
    pub(super) drop_answers: u32,
    pub(super) mid_2026_headers: bool,
    /// Signs every attempt; without it, the secret of that moment does.
    pub(super) old_secret: Option<Secret>,
}

#[derive(Clone, Debug)]
pub(super) enum To {
    /// A registered endpoint, by its id: its address and secret may change between attempts.
    Endpoint(String),
    /// The `callback_url` of a job.
    Callback(String),
}
