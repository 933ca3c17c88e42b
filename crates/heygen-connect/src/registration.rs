//! [`Registration`]: finds or creates the endpoint of an address at HeyGen, and stores its secret.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use heygen_api::{
    ApiError, Client, Endpoint, EndpointId, EndpointSecret, EndpointStatus, ErrorKind, Events,
    IdempotencyKey, v3,
};
use heygen_signature::Secret;
use tokio::sync::watch;

use crate::address::same_address;
use crate::backoff::Backoff;
use crate::error::{ConnectError, ConnectErrorKind};
use crate::secret_store::SecretStore;

/// How long HeyGen retries a delivery, and so how long a replaced secret is accepted beside the new one: 24 h.
pub const DEFAULT_OVERLAP: Duration = Duration::from_secs(24 * 3600);

/// What to do where the endpoint exists and its secret is not stored: HeyGen does not show it again.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum UnknownSecret {
    /// Registering fails with [`UnknownSecret`](ConnectErrorKind::UnknownSecret).
    #[default]
    Fail,
    /// The receiver has a secret from elsewhere, which is taken for that of the endpoint.
    Assume,
    /// HeyGen replaces it. Another receiver that still uses the old one fails at once.
    Replace,
}

/// What a registration did or found.
#[derive(Debug)]
#[non_exhaustive]
pub enum RegistrationEvent<'a> {
    /// HeyGen could not be asked; it is asked again until it answers. Reported once.
    Delayed(&'a ConnectError),
    /// So many endpoints at HeyGen have this address: every event is delivered that often.
    Ambiguous(usize),
    /// Stored secrets of endpoints that HeyGen no longer lists are accepted for [`DEFAULT_OVERLAP`] longer.
    UnlistedExpire,
    /// That could not be recorded.
    UnlistedNotExpired(&'a ConnectError),
    /// The endpoint was created at this address, as HeyGen has it.
    Created(&'a EndpointId, &'a str),
    /// The endpoint exists at this address, as HeyGen has it.
    Found(&'a EndpointId, &'a str),
    /// HeyGen has disabled the endpoint, and no operation is known that enables it.
    Disabled(&'a EndpointId),
    /// Another set of events was subscribed to; whether HeyGen shows that it took it over.
    SubscriptionReplaced(&'a EndpointId, bool),
    /// A secret was stored: it has to be accepted from now on.
    SecretStored(&'a EndpointId),
    /// A secret could not be stored. It has to be accepted all the same: HeyGen does not show it again, and signs with it.
    SecretNotStored(&'a EndpointId, Secret, &'a ConnectError),
    /// The secret of the endpoint was replaced.
    SecretReplaced(&'a EndpointId),
    /// The secret that the receiver has from elsewhere is taken for that of the endpoint.
    SecretAssumed(&'a EndpointId),
}

type OnEvent = Box<dyn Fn(RegistrationEvent<'_>) + Send + Sync>;

/// Finds or creates the endpoint of an address at HeyGen, and stores its secret.
///
/// Idempotent: a stored secret and the address find the endpoint again. A creation whose answer was lost is repeated under
/// its idempotency key, with which HeyGen gives the secret again.
pub struct Registration {
    client: Client,
    store: SecretStore,
    url: String,
    events: Option<Events>,
    unknown_secret: UnknownSecret,
    on_event: OnEvent,
    endpoint_id: Mutex<Option<EndpointId>>,
    /// The last creation that was not answered as it should be.
    creation: Mutex<Option<Creation>>,
    /// While HeyGen makes a secret that it will show once.
    awaits_secret: watch::Sender<bool>,
}

/// A creation that may have been carried out all the same.
#[derive(Clone, Debug)]
struct Creation {
    /// With it HeyGen gives the first answer again, and with that the secret.
    key: IdempotencyKey,
    /// Whether HeyGen did not answer at all, so that it may be at work on it still.
    is_open: bool,
}

impl Registration {
    /// Has HeyGen send to `url`, and keeps the secret in `store`.
    #[must_use]
    pub fn new(client: Client, store: SecretStore, url: impl Into<String>) -> Self {
        Self {
            client,
            store,
            url: url.into(),
            events: None,
            unknown_secret: UnknownSecret::default(),
            on_event: Box::new(|_| {}),
            endpoint_id: Mutex::default(),
            creation: Mutex::default(),
            awaits_secret: watch::Sender::new(false),
        }
    }

    /// What to subscribe to, on an existing endpoint too. Default: `None`, everything on a new endpoint, and whatever an
    /// existing one has.
    #[must_use]
    pub fn events(mut self, events: Option<Events>) -> Self {
        self.events = events;
        self
    }

    /// What to do where the endpoint exists and its secret is not stored. Default: fail.
    #[must_use]
    pub fn unknown_secret(mut self, unknown_secret: UnknownSecret) -> Self {
        self.unknown_secret = unknown_secret;
        self
    }

    /// Calls this with everything the registration does or finds, in order. It must not block.
    #[must_use]
    pub fn on_event(
        mut self,
        on_event: impl Fn(RegistrationEvent<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.on_event = Box::new(on_event);
        self
    }

    /// Registers, as [`try_register`](Self::try_register) does, and tries again for as long as that can help: after 5 s,
    /// then after delays that double up to 5 min, or when HeyGen asks to be asked again, within an hour.
    ///
    /// # Errors
    ///
    /// The first one that trying again does not change.
    pub async fn register(&self) -> Result<(), ConnectError> {
        let mut backoff = Backoff::new(INITIAL_DELAY, MAX_DELAY);
        let mut is_reported = false;
        loop {
            let error = match self.try_register().await {
                Ok(()) => return Ok(()),
                Err(error) if !error.is_temporary() => return Err(error),
                Err(error) => error,
            };
            let wait = wait(
                &mut backoff,
                error.api_error().and_then(ApiError::retry_after),
            );
            if !is_reported {
                (self.on_event)(RegistrationEvent::Delayed(&error));
                is_reported = true;
            }
            tracing::debug!(seconds = wait.as_secs(), "asking HeyGen again after a wait");
            tokio::time::sleep(wait).await;
        }
    }

    /// Makes HeyGen send to the address, and stores the secret. The server has to be up: HeyGen may probe it.
    ///
    /// # Errors
    ///
    /// HeyGen refuses or cannot be asked, the secret cannot be stored, or is not known.
    pub async fn try_register(&self) -> Result<(), ConnectError> {
        let endpoints = self.client.v3().endpoints_all().into_vec().await?;
        self.expire_unlisted(&endpoints).await;
        let mut ours: Vec<Endpoint> = endpoints
            .into_iter()
            .filter(|endpoint| same_address(&endpoint.url, &self.url))
            .collect();
        if ours.len() > 1 {
            (self.on_event)(RegistrationEvent::Ambiguous(ours.len()));
        }
        let mut known = None;
        for (place, endpoint) in ours.iter().enumerate() {
            let id = endpoint.endpoint_id.clone();
            if known.is_none() && self.in_store(move |store| store.knows(id.as_str())).await? {
                known = Some(place);
            }
        }
        let pending = lock(&self.creation).clone();
        match (known, pending) {
            (Some(place), _) => self.adopt(ours.swap_remove(place), true).await,
            // Most likely the one that was made before the answer was lost.
            (None, Some(creation)) if creation.is_open || !ours.is_empty() => {
                self.create(creation.key).await
            }
            (None, _) if ours.is_empty() => self.create(IdempotencyKey::generate()?).await,
            (None, _) => self.adopt(ours.swap_remove(0), false).await,
        }
    }

    /// Waits until a secret that HeyGen is making is known, and stored: a process that ends before loses it.
    pub async fn secret_received(&self) {
        let mut awaits = self.awaits_secret.subscribe();
        // It cannot be closed: we hold the other end.
        let _open = awaits.wait_for(|awaits| !awaits).await;
    }

    /// The endpoint that was registered, and not deregistered since.
    #[must_use]
    pub fn endpoint_id(&self) -> Option<EndpointId> {
        lock(&self.endpoint_id).clone()
    }

    /// Deletes the endpoint that was registered, if there is one, and removes its secret from the store.
    ///
    /// # Errors
    ///
    /// HeyGen refuses or cannot be asked; or, after HeyGen has deleted it, the secret cannot be removed.
    pub async fn deregister(&self) -> Result<(), ConnectError> {
        let Some(endpoint_id) = lock(&self.endpoint_id).take() else {
            return Ok(());
        };
        self.client.v3().delete_endpoint(&endpoint_id).await?;
        self.in_store(move |store| store.remove(endpoint_id.as_str()))
            .await?;
        Ok(())
    }

    /// What HeyGen no longer lists sends nothing new: after the last retry nobody but a thief can use its secret.
    async fn expire_unlisted(&self, endpoints: &[Endpoint]) {
        let ids = endpoints.iter().map(|endpoint| &endpoint.endpoint_id);
        let ids: Vec<_> = ids.map(|id| id.as_str().to_owned()).collect();
        let url = self.url.clone();
        let expired = self.in_store(move |store| {
            let listed: Vec<_> = ids.iter().map(String::as_str).collect();
            store.expire_unlisted(&url, &listed, DEFAULT_OVERLAP)
        });
        match expired.await {
            Ok(true) => (self.on_event)(RegistrationEvent::UnlistedExpire),
            Ok(false) => {}
            Err(error) => (self.on_event)(RegistrationEvent::UnlistedNotExpired(&error)),
        }
    }

    async fn adopt(&self, endpoint: Endpoint, secret_is_known: bool) -> Result<(), ConnectError> {
        let id = &endpoint.endpoint_id;
        if !secret_is_known {
            self.find_secret(id).await?;
        }
        // Not before: an endpoint whose secret is not known here is not ours to delete.
        *lock(&self.endpoint_id) = Some(id.clone());
        if endpoint.status == Some(EndpointStatus::Disabled) {
            (self.on_event)(RegistrationEvent::Disabled(id));
        }
        if let Some(events) = &self.events
            && !events.is_same_set(&endpoint.events)
        {
            let update = v3::EndpointUpdate::events(events.clone());
            let updated = self.client.v3().update_endpoint(id, &update).await?;
            let is_taken_over = events.is_same_set(&updated.events);
            (self.on_event)(RegistrationEvent::SubscriptionReplaced(id, is_taken_over));
        }
        (self.on_event)(RegistrationEvent::Found(id, &endpoint.url));
        Ok(())
    }

    async fn create(&self, key: IdempotencyKey) -> Result<(), ConnectError> {
        self.in_store(|store| store.check_writable()).await?;
        let events = self.events.clone().unwrap_or(Events::All);
        let new = v3::NewEndpoint::new(&self.url).events(events);
        let client = self.client.v3();
        let creating = async {
            let endpoint = match client.create_endpoint_with_key(&new, &key).await {
                Ok(endpoint) => endpoint,
                Err(error) => {
                    // HeyGen that has failed may answer the same under this key for a day.
                    let is_open = error.outcome_unknown() && error.kind() != ErrorKind::Server;
                    *lock(&self.creation) = Some(Creation { key, is_open });
                    return Err(error.into());
                }
            };
            *lock(&self.creation) = None;
            let id = endpoint.endpoint_id;
            *lock(&self.endpoint_id) = Some(id.clone());
            let Some(secret) = endpoint.secret else {
                let message = format!("HeyGen created endpoint {id} without giving its secret");
                let error = ConnectError::new(ConnectErrorKind::NoSecret, message);
                return Err(error.with_endpoint(id));
            };
            self.keep_secret(&id, &secret, Duration::ZERO).await;
            Ok((id, endpoint.url))
        };
        let (id, url) = self.awaiting_secret(creating).await?;
        (self.on_event)(RegistrationEvent::Created(&id, &url));
        Ok(())
    }

    async fn find_secret(&self, id: &EndpointId) -> Result<(), ConnectError> {
        match self.unknown_secret {
            UnknownSecret::Fail => {
                let message = format!(
                    "endpoint {id} at HeyGen has this URL, and its secret is not known here: HeyGen shows it only once"
                );
                let error = ConnectError::new(ConnectErrorKind::UnknownSecret, message);
                return Err(error.with_endpoint(id.clone()));
            }
            UnknownSecret::Assume => (self.on_event)(RegistrationEvent::SecretAssumed(id)),
            UnknownSecret::Replace => {
                self.in_store(|store| store.check_writable()).await?;
                let client = self.client.v3();
                let rotating = async {
                    let rotated = client.rotate_secret(id).await?;
                    self.keep_secret(id, &rotated.secret, DEFAULT_OVERLAP).await;
                    Ok(())
                };
                self.awaiting_secret(rotating).await?;
                (self.on_event)(RegistrationEvent::SecretReplaced(id));
            }
        }
        Ok(())
    }

    /// Stores a secret, and says either way that it has to be accepted.
    async fn keep_secret(&self, id: &EndpointId, secret: &EndpointSecret, overlap: Duration) {
        let (url, text) = (self.url.clone(), secret.expose().to_owned());
        let endpoint_id = id.clone();
        let stored =
            self.in_store(move |store| store.insert(endpoint_id.as_str(), &url, &text, overlap));
        match (stored.await, Secret::new(secret.expose())) {
            (Ok(()), _) => (self.on_event)(RegistrationEvent::SecretStored(id)),
            (Err(error), Ok(secret)) => {
                (self.on_event)(RegistrationEvent::SecretNotStored(id, secret, &error));
            }
            // An empty one: nothing is signed with it.
            (Err(_), Err(_)) => {}
        }
    }

    /// Marks what must not be broken off when the process is asked to stop.
    async fn awaiting_secret<T>(
        &self,
        work: impl Future<Output = Result<T, ConnectError>>,
    ) -> Result<T, ConnectError> {
        self.awaits_secret.send_replace(true);
        let done = work.await;
        self.awaits_secret.send_replace(false);
        done
    }

    /// The store blocks for as long as the disk takes.
    async fn in_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&SecretStore) -> Result<T, ConnectError> + Send + 'static,
    ) -> Result<T, ConnectError> {
        let store = self.store.clone();
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        done.unwrap_or_else(|error| {
            let error =
                ConnectError::new(ConnectErrorKind::SecretStore, "no answer").with_source(error);
            Err(error)
        })
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("url", &self.url)
            .field("endpoint_id", &self.endpoint_id)
            .finish_non_exhaustive()
    }
}

fn wait(backoff: &mut Backoff, retry_after: Option<Duration>) -> Duration {
    let delay = backoff.next();
    retry_after.map_or(delay, |asked| asked.clamp(MIN_RETRY_AFTER, MAX_RETRY_AFTER))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const INITIAL_DELAY: Duration = Duration::from_secs(5);
const MAX_DELAY: Duration = Duration::from_secs(5 * 60);

/// `Retry-After: 0` does not invite to ask without a pause.
const MIN_RETRY_AFTER: Duration = Duration::from_secs(1);

/// A server that mistakes a unit must not keep the receiver unregistered for days.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_heygen_asks_for_comes_first() {
        for (asked, expected) in [(0, 1), (17, 17), (1200, 1200), (86_400, 3600)] {
            let mut backoff = Backoff::new(INITIAL_DELAY, MAX_DELAY);
            let wait = wait(&mut backoff, Some(Duration::from_secs(asked)));
            assert_eq!(wait.as_secs(), expected);
        }
    }
}
