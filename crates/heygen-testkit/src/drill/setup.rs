//! [`Drill`]: configures the check of an endpoint.

use std::time::Duration;

use heygen_signature::Secret;

use super::check::Check;
use crate::sender::Sender;

/// Checks one endpoint.
///
/// Checks run one after the other, in the order of [`Check::ALL`]. Every request has a timeout. If
/// the plain delivery is not accepted, signatures with common mistakes are tried instead, up to 120 and
/// for as long as the timeout, and the checks that depend on it are skipped. Nothing more is sent when
/// the endpoint cannot be reached.
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
    /// The default number of deliveries of a burst: 50.
    pub const BURST: usize = 50;

    /// A drill of the endpoint at this URL. `https` needs the feature `tls`.
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

    /// Sets the secret of the endpoint. Default: none; checks that need one are skipped.
    #[must_use]
    pub fn secret(mut self, secret: Secret) -> Self {
        self.secret = Some(secret);
        self
    }

    /// Sets the number of deliveries of a burst. Default: [`BURST`](Self::BURST). 0 sends none.
    #[must_use]
    pub fn burst(mut self, deliveries: usize) -> Self {
        self.burst = deliveries;
        self
    }

    /// Runs only these checks. Default: all.
    ///
    /// The plain delivery, on which most of them depend, is always sent.
    #[must_use]
    pub fn only(mut self, checks: &[Check]) -> Self {
        self.checks.retain(|check| checks.contains(check));
        self
    }

    /// Skips these checks.
    #[must_use]
    pub fn skip(mut self, checks: &[Check]) -> Self {
        self.checks.retain(|check| !checks.contains(check));
        self
    }

    /// Sets the timeout for the whole answer to a delivery. Default: [`Sender::TIMEOUT`].
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the timeout for the whole answer to a probe. Default: [`Sender::PROBE_TIMEOUT`].
    #[must_use]
    pub fn probe_timeout(mut self, timeout: Duration) -> Self {
        self.probe_timeout = timeout;
        self
    }
}
