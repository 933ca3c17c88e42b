//! HeyGen's sender against an endpoint in any language: probe, deliveries as they should be, forged and odd ones, a burst.
//!
//! Every request is a real one: what the endpoint accepts, its application acts on. The bodies are samples with fresh ids,
//! and where a body may have a `callback_id` it is [`CALLBACK_ID`], so that what a drill left behind can be found.
//!
//! # Examples
//!
//! ```no_run
//! use heygen_signature::Secret;
//! use heygen_testkit::drill::{Drill, Verdict};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let drill = Drill::new("http://127.0.0.1:8080/webhooks/heygen").secret(Secret::new("whsec_test")?);
//! let scorecard = drill
//!     .run(|result| println!("{} {}: {}", result.verdict.as_str(), result.check.title(), result.seen))
//!     .await?;
//! assert!(scorecard.passed());
//! # Ok(())
//! # }
//! ```

use std::time::Duration;

use heygen_signature::Secret;

mod bodies;
mod check;
mod run;
mod scorecard;

pub use check::Check;
pub use scorecard::{CheckResult, Scorecard, Verdict};

use crate::sender::{SendError, Sender};

/// The `callback_id` of the events that a drill makes up.
pub const CALLBACK_ID: &str = "heygen-drill";

/// Checks one endpoint.
///
/// Checks go one after the other, in the order of [`Check::ALL`]. It stops by itself: no request lasts longer than its
/// time, and an endpoint that gives no answer to the plain delivery is asked no further.
#[derive(Clone, Debug)]
pub struct Drill {
    sender: Sender,
    secret: Option<Secret>,
    burst: usize,
    timeout: Duration,
    probe_timeout: Duration,
    checks: Vec<Check>,
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

    /// Makes the checks, and tells each result when it is there.
    ///
    /// It is to run on a tokio runtime with time and I/O: a burst is sent by tasks.
    ///
    /// # Errors
    ///
    /// [`SendError`] when nothing could be sent at all. An endpoint that cannot be reached is in the scorecard.
    pub async fn run(&self, on_result: impl FnMut(&CheckResult)) -> Result<Scorecard, SendError> {
        run::run(self, on_result).await
    }
}
