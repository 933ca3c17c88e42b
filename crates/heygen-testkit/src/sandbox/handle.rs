//! [`Sandbox`]: the handle of a running sandbox.

use std::{error::Error, fmt, sync::Arc};

use tokio::task::JoinHandle;

use super::{
    api_error::{Api, ApiError},
    endpoint::Endpoint,
    input,
    misbehaviour::Misbehaviour,
    outgoing::Outgoing,
    record::Delivery,
    registration::NewEndpoint,
    shared::Shared,
};

/// A running sandbox. Drop stops it immediately; [`stop`](Self::stop) waits for pending work.
pub struct Sandbox {
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl Sandbox {
    pub(super) fn new(shared: Arc<Shared>, server: JoinHandle<()>) -> Self {
        Self { shared, server }
    }

    /// The base URL without a trailing slash. A client uses it instead of `https://api.heygen.com`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// Registers a URL for all events, with a probe, as the v3 operation does.
    ///
    /// # Errors
    ///
    /// [`RegisterError`] if the URL is neither `https` nor on loopback, or does not pass the probe.
    pub async fn register(&self, url: impl Into<String>) -> Result<Endpoint, RegisterError> {
        let url = url.into();
        input::address(&url, Api::V3).map_err(RegisterError)?;
        let new = NewEndpoint {
            url,
            events: None,
            entity_id: None,
            secret: None,
        };
        self.shared
            .create_endpoint(new)
            .await
            .map_err(RegisterError)
    }

    /// The registered endpoints, in order of creation.
    #[must_use]
    pub fn endpoints(&self) -> Vec<Endpoint> {
        self.shared.state().endpoints.clone()
    }

    /// Sets the status of an endpoint, which no operation of HeyGen does. Only `enabled` gets
    /// deliveries. Returns `false` if the endpoint does not exist.
    pub fn set_status(&self, endpoint_id: &str, status: impl Into<String>) -> bool {
        match self.shared.state().endpoint_mut(endpoint_id) {
            Ok(endpoint) => {
                endpoint.status = status.into();
                true
            }
            Err(_) => false,
        }
    }

    /// Plays the renderer: delivers an event to every subscribed endpoint, and returns its id in
    /// the log.
    ///
    /// Deliveries run independently in the background: `POST` with a timeout of 10 s, retried for
    /// 24 h until the answer is 2xx.
    ///
    /// # Source
    ///
    /// HeyGen documentation, “Webhooks” (v3): documented, except for the delays between attempts:
    /// see [`RetryPolicy`]. Assumed: a delivery ends when its endpoint is deleted, and a retry uses
    /// the URL and the secret of that moment.
    ///
    /// [`RetryPolicy`]: crate::RetryPolicy
    pub fn send(&self, event: impl Into<Outgoing>) -> String {
        self.shared.send(&event.into()).event_id
    }

    /// Every delivery with its attempts, in order of creation.
    ///
    /// The newest 10,000 are kept. Older ones are removed after they have ended.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.shared.state().deliveries.values().cloned().collect()
    }

    /// Waits until every job has sent its event and every delivery has ended: accepted, given up or
    /// cancelled. Events that are held for reordering are released, including those sent during the
    /// wait.
    ///
    /// A URL that accepts nothing is retried for 24 h.
    /// [`Builder::time_scale`](super::Builder::time_scale) shortens that.
    pub async fn settled(&self) {
        self.shared.settled().await;
    }

    /// Waits until `wanted` is true for the deliveries. It is checked after every attempt and every
    /// end of a delivery.
    ///
    /// `wanted` may call the sandbox, for example to send an event.
    pub async fn until(&self, mut wanted: impl FnMut(&[Delivery]) -> bool) {
        let mut changes = self.shared.changes();
        // The closure may call the sandbox: nothing is locked while it runs.
        while !wanted(&self.deliveries()) {
            changes.next().await;
        }
    }

    /// Sets the misbehaviour. It replaces the one before.
    pub fn misbehave(&self, misbehaviour: Misbehaviour) {
        self.shared.misbehave(misbehaviour);
    }

    /// The misbehaviour in force. Faults of the API have the number of calls that are left.
    #[must_use]
    pub fn misbehaviour(&self) -> Misbehaviour {
        self.shared.state().misbehaviour.clone()
    }

    /// Notes about unusual requests: two kinds of key, another body with the same `Idempotency-Key`,
    /// a path that does not exist. The newest 100 are kept.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.shared.state().notes().iter().cloned().collect()
    }

    /// Removes everything and cancels every delivery, as after the start.
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// Stops listening, answers pending requests, waits for running attempts, and cancels the rest.
    ///
    /// It waits for incomplete requests and unread answers for the timeout of a probe plus 1 s at
    /// most.
    pub async fn stop(mut self) {
        self.shared.stop();
        // It fails only if the task panicked, which was reported then.
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
            .field("url", &self.shared.url)
            .finish_non_exhaustive()
    }
}

/// Why a URL was not registered.
#[derive(Debug)]
pub struct RegisterError(ApiError);

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message())
    }
}

impl Error for RegisterError {}
