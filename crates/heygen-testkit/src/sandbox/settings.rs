//! [`Settings`]: the configuration of a sandbox.

use std::{sync::Arc, time::Duration};

use heygen_signature::Secret;

use super::{misbehaviour::Misbehaviour, record::Delivery};
use crate::sender::{RetryPolicy, Sender};

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) api_key: Option<String>,
    /// Of every new endpoint. `None`: a new one for each.
    pub(super) secret: Option<Secret>,
    /// Under which it answers besides addresses and `localhost`.
    pub(super) hosts: Vec<String>,
    pub(super) time_scale: f64,
    pub(super) retry: RetryPolicy,
    pub(super) delivery_timeout: Duration,
    pub(super) probe_timeout: Duration,
    pub(super) probe: bool,
    pub(super) misbehaviour: Misbehaviour,
    pub(super) on_attempt: Option<OnAttempt>,
}

/// Called after every attempt.
pub(super) type OnAttempt = Arc<dyn Fn(&Delivery) + Send + Sync>;

impl Default for Settings {
    fn default() -> Self {
        Self {
            api_key: None,
            secret: None,
            hosts: Vec::new(),
            time_scale: 1.0,
            retry: RetryPolicy::default(),
            delivery_timeout: Sender::TIMEOUT,
            probe_timeout: Sender::PROBE_TIMEOUT,
            probe: true,
            misbehaviour: Misbehaviour::default(),
            on_attempt: None,
        }
    }
}

impl Settings {
    pub(super) fn retry_policy(&self) -> RetryPolicy {
        self.retry.with_scale(self.time_scale)
    }

    /// A duration of HeyGen, scaled.
    pub(super) fn scaled(&self, time: Duration) -> Duration {
        Duration::try_from_secs_f64(time.as_secs_f64() * self.time_scale).unwrap_or(Duration::MAX)
    }
}
