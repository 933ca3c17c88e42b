//! [`Sandbox`]: what a test holds of a running one.

use std::{error::Error, fmt, sync::Arc};

use tokio::task::JoinHandle;

use super::{
    endpoint::Endpoint,
    input,
    misbehaviour::Misbehaviour,
    outgoing::Outgoing,
    record::Delivery,
    refusal::{Api, Refusal},
    registration::NewEndpoint,
    shared::Shared,
};

/// A running sandbox. Dropping it ends it at once; [`stop`](Self::stop) lets it finish what it has begun.
pub struct Sandbox {
    url: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl Sandbox {
    pub(super) fn new(url: String, shared: Arc<Shared>, server: JoinHandle<()>) -> Self {
        Self {
            url,
            shared,
            server,
        }
    }

    /// The base address, without a slash at its end: what a client takes for `https://api.heygen.com`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Registers an address for all events, as the v3 operation does, probe included.
    ///
    /// # Errors
    ///
    /// [`Refused`] when the address is neither `https` nor on loopback, or does not pass the probe.
    pub async fn register(&self, url: impl Into<String>) -> Result<Endpoint, Refused> {
        let url = url.into();
        input::address(&url, Api::V3).map_err(Refused)?;
        let new = NewEndpoint {
            url,
            events: None,
            entity_id: None,
        };
        self.shared.create_endpoint(new).await.map_err(Refused)
    }

    /// What is registered, in the order in which it was.
    #[must_use]
    pub fn endpoints(&self) -> Vec<Endpoint> {
        self.shared.state().endpoints.clone()
    }

    /// Sets the status of an endpoint, which no operation of HeyGen does; only `enabled` gets deliveries. Whether there is
    /// such an endpoint.
    pub fn set_status(&self, endpoint_id: &str, status: impl Into<String>) -> bool {
        match self.shared.state().endpoint_mut(endpoint_id) {
            Ok(endpoint) => {
                endpoint.status = status.into();
                true
            }
            Err(_) => false,
        }
    }

    /// Plays the renderer: delivers an event to every endpoint that wants it, and returns its id in the log.
    ///
    /// Deliveries go on in the background, each on its own: `POST`, 10 s for the answer, and again after anything but a 2xx
    /// until 24 h have passed.
    ///
    /// # Source
    ///
    /// HeyGen documentation, “Webhooks” (v3): documented, except for the waits between attempts; see [`RetryPolicy`]. That
    /// a delivery ends when its endpoint is deleted, and that a retry goes to the address and under the secret of that
    /// moment, is assumed.
    ///
    /// [`RetryPolicy`]: crate::RetryPolicy
    pub fn send(&self, event: impl Into<Outgoing>) -> String {
        self.shared.send(&event.into()).event_id
    }

    /// Every delivery with every attempt, in the order in which they were made up.
    ///
    /// The newest 10,000 are remembered; older ones are forgotten once they have ended.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.shared.state().deliveries.values().cloned().collect()
    }

    /// Waits until every delivery has ended: accepted, given up or cancelled. What is held back to be sent in another order
    /// is let go, also what is sent during the wait.
    ///
    /// An address that accepts nothing is tried for 24 h; [`Builder::time_scale`](super::Builder::time_scale) makes that short.
    pub async fn settled(&self) {
        self.shared.settled().await;
    }

    /// Waits until the deliveries are as wanted. It looks after every attempt and every end.
    ///
    /// `wanted` may ask the sandbox, and may be what makes it send.
    pub async fn until(&self, mut wanted: impl FnMut(&[Delivery]) -> bool) {
        let mut changes = self.shared.changes();
        // The closure is not ours: nothing is locked while it runs.
        while !wanted(&self.deliveries()) {
            changes.next().await;
        }
    }

    /// Misbehaves in this way, and no longer in the one before.
    pub fn misbehave(&self, misbehaviour: Misbehaviour) {
        self.shared.misbehave(misbehaviour);
    }

    /// What was odd about requests without being refused: both kinds of key, another body under the same
    /// `Idempotency-Key`. The newest 100.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.shared.state().notes().iter().cloned().collect()
    }

    /// Forgets everything, and ends every delivery: as after the start.
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// Stops listening, answers what was asked, lets attempts under way end, and cancels the rest.
    ///
    /// A request that is not complete, or whose answer is not read, is not waited for longer than a second beyond the
    /// probe's time.
    pub async fn stop(mut self) {
        self.shared.stop();
        // It can only fail by a panic, which was reported when it happened.
        let _ended = (&mut self.server).await;
        self.shared.join().await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.server.abort();
        self.shared.abort();
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// Why an address was not registered.
#[derive(Debug)]
pub struct Refused(Refusal);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message())
    }
}

impl Error for Refused {}
