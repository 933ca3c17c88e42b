//! [`Drill`]: which endpoint is checked, and how.

use std::time::Duration;

use heygen_signature::Secret;

use super::check::Check;
use crate::sender::Sender;

/// Checks one endpoint.
///
/// Checks go one after the other, in the order of [`Check::ALL`]. It stops by itself: no request lasts longer than its
/// time, and an endpoint that gives no answer to the plain delivery is asked no further.
#[derive(Clone, Debug)]
pub struct Drill {
    pub(super) sender: Sender,
    pub(super) secret: Option<Secret>,
    pub(super) burst: usize,
    pub(super) timeout: Duration,
    pub(super) probe_timeout: Duration,
    pub(super) checks: Vec<Check>,
}

impl Drill {
    /// How many deliveries a burst has by default: 50.
    pub const BURST: usize = 50;

    /// Checks the endpoint at this address; `https` needs the feature `tls`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            sender: Sender::new(url),
            secret: None,
            burst: Self::BURST,
            timeout: Sender::TIMEOUT,
            probe_timeout: Sender::PROBE_TIMEOUT,
            checks: Check::ALL.to_vec(),
        }
    }

    /// The secret that the endpoint checks signatures with. Default: none, and whatever needs one is skipped.
    #[must_use]
    pub fn secret(mut self, secret: Secret) -> Self {
        self.secret = Some(secret);
        self
    }

    /// How many deliveries a burst has. Default: [`BURST`](Self::BURST); at 0 there is none.
    #[must_use]
    pub fn burst(mut self, deliveries: usize) -> Self {
        self.burst = deliveries;
        self
    }

    /// Makes these checks alone. Default: all.
    ///
    /// What most of them rest on, one plain delivery, is sent whether or not it is among them.
    #[must_use]
    pub fn only(mut self, checks: &[Check]) -> Self {
        self.checks.retain(|check| checks.contains(check));
        self
    }

    /// Leaves these checks out.
    #[must_use]
    pub fn skip(mut self, checks: &[Check]) -> Self {
        self.checks.retain(|check| !checks.contains(check));
        self
    }

    /// The time for the whole answer to a delivery. Default: [`Sender::TIMEOUT`].
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The time for the whole answer to a probe. Default: [`Sender::PROBE_TIMEOUT`].
    #[must_use]
    pub fn probe_timeout(mut self, timeout: Duration) -> Self {
        self.probe_timeout = timeout;
        self
    }
}
