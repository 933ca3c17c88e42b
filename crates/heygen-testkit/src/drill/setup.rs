//! [`Drill`]: configures the check of an endpoint.

use std::time::Duration;

use heygen_signature::Secret;

use super::check::Check;
use crate::sender::Sender;
use crate::setters::setters;

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
}

setters! {
    impl Drill;

    /// Sets the secret of the endpoint. Default: none; checks that need one are skipped.
    secret(secret: Secret) sets secret: Some(secret);

    /// Sets the number of deliveries of a burst. Default: [`BURST`](Self::BURST). 0 sends none.
    burst(deliveries: usize) sets burst: deliveries;

    /// Sets the timeout for the whole answer to a delivery. Default: [`Sender::TIMEOUT`].
    timeout(timeout: Duration) sets timeout: timeout;

    /// Sets the timeout for the whole answer to a probe. Default: [`Sender::PROBE_TIMEOUT`].
    probe_timeout(timeout: Duration) sets probe_timeout: timeout;
}
