//! [`Registration`]: finds or creates the endpoint of a URL at HeyGen, and stores its secret.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use heygen_api::{
    ApiError, ApiErrorKind, Client, Endpoint, EndpointId, EndpointStatus, IdempotencyKey,
    Subscription, v3,
};
use heygen_signature::Secret;
use tokio::sync::watch;

use crate::address::same_address;
use crate::backoff::{Backoff, MAX_RETRY_AFTER};
use crate::error::{ConnectError, ConnectErrorKind, is_temporary};
use crate::secret_store::SecretStore;

/// How long a replaced secret is accepted along with the new one: 24 h, HeyGen's retry time.
pub const DEFAULT_OVERLAP: Duration = Duration::from_secs(24 * 3600);

/// What to do if the endpoint exists and its secret is not stored. HeyGen does not show it again.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum UnknownSecret {
    /// Registering fails with [`UnknownSecret`](ConnectErrorKind::UnknownSecret).
    #[default]
    Fail,
    /// Assumes that the receiver has the secret from another source.
    Assume,
    /// Rotates the secret. Another receiver with the old one fails immediately.
    Replace,
}

/// An event of a registration.
#[derive(Debug)]
#[non_exhaustive]
pub enum RegistrationEvent<'a> {
    /// HeyGen could not be reached. The request is retried until it succeeds. Reported once.
    Delayed(&'a ConnectError),
    /// This many endpoints at HeyGen have the URL: every event is delivered that often.
    Ambiguous(usize),
    /// Stored secrets of endpoints that HeyGen no longer lists expire after [`DEFAULT_OVERLAP`].
    UnlistedExpire,
    /// That expiry could not be stored.
    UnlistedNotExpired(&'a ConnectError),
    /// The endpoint was created, with this URL as HeyGen returned it.
    Created(&'a EndpointId, &'a str),
    /// The endpoint exists, with this URL as HeyGen returned it.
    Found(&'a EndpointId, &'a str),
    /// The endpoint is disabled, and no operation is known that enables it.
    Disabled(&'a EndpointId),
    /// The subscription was replaced. Whether HeyGen's answer confirms it.
    SubscriptionReplaced(&'a EndpointId, bool),
    /// A secret was stored. Accept it from now on.
    SecretStored(&'a EndpointId),
    /// A secret could not be stored. Accept it anyway: HeyGen signs with it and does not show it
    /// again.
    SecretNotStored(&'a EndpointId, Secret, &'a ConnectError),
    /// The secret of the endpoint was replaced.
    SecretReplaced(&'a EndpointId),
    /// The receiver is assumed to have the secret from another source.
    SecretAssumed(&'a EndpointId),
}

type OnEvent = Box<dyn Fn(RegistrationEvent<'_>) + Send + Sync>;

/// Finds or creates the endpoint of a URL at HeyGen, and stores its secret.
///
/// Idempotent: it finds its endpoint again by URL and stored secret. A creation whose answer was
/// lost, also by an earlier process, is repeated with its idempotency key, and HeyGen returns the
/// secret again.
pub struct Registration {
    client: Client,
    store: SecretStore,
    url: String,
    events: Option<Subscription>,
    unknown_secret: UnknownSecret,
    on_event: OnEvent,
    endpoint_id: Mutex<Option<EndpointId>>,
    /// The last creation without a complete answer.
    creation: Mutex<Option<Creation>>,
    /// True while HeyGen makes a secret that it shows only once.
    awaits_secret: watch::Sender<bool>,
}

/// A creation that HeyGen may have carried out.
#[derive(Clone, Debug)]
struct Creation {
    /// HeyGen repeats the first answer for it, with the secret.
    key: IdempotencyKey,
    /// When HeyGen was first asked.
    begun_at: SystemTime,
    progress: Progress,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Progress {
    /// HeyGen was not asked.
    New,
    /// HeyGen did not answer, so it may still be working on it.
    Open,
    /// HeyGen answered 5xx, which it may repeat for the same key for a day. The key is used once
    /// more if the endpoint is listed nevertheless.
    Failed,
}

/// While it lives, [`secret_received`](Registration::secret_received) waits.
struct AwaitedSecret<'a>(&'a watch::Sender<bool>);

impl Drop for AwaitedSecret<'_> {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}

impl Registration {
    /// A registration of `url`, with its secret in `store`.
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

    /// Sets the subscription, also of an existing endpoint. Default: `None`, which means all events
    /// for a new endpoint and no change of an existing one.
    #[must_use]
    pub fn events(mut self, events: Option<Subscription>) -> Self {
        self.events = events;
        self
    }

    /// Sets what to do if the endpoint exists and its secret is not stored. Default: fail.
    #[must_use]
    pub fn unknown_secret(mut self, unknown_secret: UnknownSecret) -> Self {
        self.unknown_secret = unknown_secret;
        self
    }

    /// Calls `on_event` for every event, in order. It must not block.
    #[must_use]
    pub fn on_event(
        mut self,
        on_event: impl Fn(RegistrationEvent<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.on_event = Box::new(on_event);
        self
    }

    /// Calls [`try_register`](Self::try_register) and retries temporary errors: after 5 s, then
    /// after delays that double up to 5 min. A `Retry-After` of HeyGen replaces the delay, up to
    /// one hour.
    ///
    /// # Errors
    ///
    /// The first error that is not temporary.
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
            tracing::debug!(
                seconds = wait.as_secs(),
                "registration failed, retrying after a delay"
            );
            tokio::time::sleep(wait).await;
        }
    }

    /// Registers the URL once and stores the secret. The server must be running: HeyGen may probe
    /// it.
    ///
    /// # Errors
    ///
    /// HeyGen rejects a request or cannot be reached, or the secret is unknown or cannot be stored.
    pub async fn try_register(&self) -> Result<(), ConnectError> {
        let endpoints = self.client.v3().endpoints_stream().try_collect().await?;
        self.expire_unlisted(&endpoints).await;
        let mut ours = self.ours(endpoints);
        if ours.len() > 1 {
            (self.on_event)(RegistrationEvent::Ambiguous(ours.len()));
        }
        for index in 0..ours.len() {
            let id = ours[index].endpoint_id.clone();
            if self.in_store(move |store| store.knows(id.as_str())).await? {
                return self.adopt(ours.swap_remove(index), true).await;
            }
        }
        if let Some(creation) = self.unfinished_creation(&ours).await?
            && self.create(creation, &mut ours).await?
        {
            return Ok(());
        }
        if !ours.is_empty() {
            return self.adopt(ours.swap_remove(0), false).await;
        }
        let new = Creation {
            key: IdempotencyKey::generate()?,
            begun_at: SystemTime::now(),
            progress: Progress::New,
        };
        self.create(new, &mut ours).await.map(|_created| ())
    }

    /// Waits until a secret that HeyGen is making is stored, or the future that waits for it is
    /// dropped. A process that exits earlier loses it.
    pub async fn secret_received(&self) {
        let mut awaits = self.awaits_secret.subscribe();
        // It cannot be closed: `self` holds the sender.
        let _open = awaits.wait_for(|awaits| !awaits).await;
    }

    /// The registered endpoint, until it is deregistered.
    #[must_use]
    pub fn endpoint_id(&self) -> Option<EndpointId> {
        lock(&self.endpoint_id).clone()
    }

    /// Deletes the registered endpoint, if any, and removes its secret from the store.
    ///
    /// # Errors
    ///
    /// HeyGen rejects the request or cannot be reached, or the secret cannot be removed after the
    /// deletion.
    pub async fn deregister(&self) -> Result<(), ConnectError> {
        let Some(endpoint_id) = self.endpoint_id() else {
            return Ok(());
        };
        match self.client.v3().delete_endpoint(&endpoint_id).await {
            // It was deleted elsewhere.
            Err(error) if error.kind() == ApiErrorKind::NotFound => {}
            deleted => deleted?,
        }
        *lock(&self.endpoint_id) = None;
        self.in_store(move |store| store.remove(endpoint_id.as_str()))
            .await?;
        Ok(())
    }

    fn ours(&self, mut endpoints: Vec<Endpoint>) -> Vec<Endpoint> {
        endpoints.retain(|endpoint| same_address(&endpoint.url, &self.url));
        endpoints
    }

    /// An endpoint that HeyGen no longer lists sends nothing new: its secret is useless after the
    /// last retry.
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
        // Not earlier: an endpoint with an unknown secret must not be deleted by `deregister`.
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

    /// Creates the endpoint. False if HeyGen repeats the creation of an endpoint that is gone: then
    /// `ours` is listed again.
    async fn create(
        &self,
        creation: Creation,
        ours: &mut Vec<Endpoint>,
    ) -> Result<bool, ConnectError> {
        let (url, key, begun_at) = (self.url.clone(), creation.key.clone(), creation.begun_at);
        let begun = self.in_store(move |store| {
            store.check_writable()?;
            store.begin_creation(&url, key.as_str(), begun_at)
        });
        begun.await?;
        let events = self.events.clone().unwrap_or(Subscription::All);
        let new = v3::NewEndpoint::new(&self.url).with_events(events);
        let client = self.client.v3();
        let creating = async {
            // HeyGen may carry it out even if this future is dropped.
            *lock(&self.creation) = Some(Creation {
                progress: Progress::Open,
                ..creation.clone()
            });
            let endpoint = match client.create_endpoint_with_key(&new, &creation.key).await {
                Ok(endpoint) => endpoint,
                Err(error) => {
                    self.continue_creation(creation.after(&error)).await;
                    return Err(error.into());
                }
            };
            let id = endpoint.endpoint_id;
            let may_be_gone = creation.progress != Progress::New && creation.is_listed_by_now();
            let is_gone = may_be_gone && !self.is_listed(&id, ours).await?;
            if is_gone || endpoint.secret.is_none() {
                self.continue_creation(None).await;
            }
            if is_gone {
                return Ok(None);
            }
            *lock(&self.creation) = None;
            *lock(&self.endpoint_id) = Some(id.clone());
            let Some(secret) = endpoint.secret else {
                let message = format!("HeyGen created endpoint {id} without giving its secret");
                let error = ConnectError::new(ConnectErrorKind::NoSecret, message);
                return Err(error.with_endpoint(id));
            };
            self.store_secret(&id, &secret, Duration::ZERO).await;
            Ok(Some((id, endpoint.url)))
        };
        let created = self.awaiting_secret(creating).await?;
        if let Some((id, url)) = &created {
            (self.on_event)(RegistrationEvent::Created(id, url));
        }
        Ok(created.is_some())
    }

    /// Whether the endpoint still exists. `ours` is listed again if it does not have it.
    async fn is_listed(
        &self,
        id: &EndpointId,
        ours: &mut Vec<Endpoint>,
    ) -> Result<bool, ConnectError> {
        let is_it = |endpoint: &Endpoint| endpoint.endpoint_id == *id;
        if ours.iter().any(is_it) {
            return Ok(true);
        }
        let endpoints = self.client.v3().endpoints_stream().try_collect().await?;
        let is_listed = endpoints.iter().any(is_it);
        let listed_before = std::mem::replace(ours, self.ours(endpoints)).len();
        if ours.len() > listed_before.max(1) {
            (self.on_event)(RegistrationEvent::Ambiguous(ours.len()));
        }
        Ok(is_listed)
    }

    /// Records, here and for a later process, what a creation without a secret has come to.
    async fn continue_creation(&self, creation: Option<Creation>) {
        let progress = creation.as_ref().map(|creation| creation.progress);
        *lock(&self.creation) = creation;
        let url = self.url.clone();
        let recorded = self.in_store(move |store| match progress {
            // As it was begun.
            Some(Progress::New | Progress::Open) => Ok(()),
            Some(Progress::Failed) => store.fail_creation(&url),
            None => store.end_creation(&url),
        });
        if let Err(error) = recorded.await {
            // At worst a later process asks HeyGen in vain.
            tracing::debug!(%error, "the end of a creation was not stored");
        }
    }

    /// A creation whose secret may still be obtained, also one of an earlier process.
    async fn unfinished_creation(
        &self,
        ours: &[Endpoint],
    ) -> Result<Option<Creation>, ConnectError> {
        let mut creation = lock(&self.creation).clone();
        // With `Assume`, who made the endpoint is known to have its secret. A process that was
        // killed before it asked HeyGen left a key that would make a second one.
        if creation.is_none() && (ours.is_empty() || self.unknown_secret != UnknownSecret::Assume) {
            creation = self.stored_creation().await?;
        }
        Ok(creation
            .filter(Creation::is_remembered)
            .filter(|creation| creation.progress != Progress::Failed || !ours.is_empty()))
    }

    /// The creation of an earlier process, which ended before it stored the secret.
    async fn stored_creation(&self) -> Result<Option<Creation>, ConnectError> {
        let url = self.url.clone();
        let stored = self.in_store(move |store| store.creation(&url)).await?;
        Ok(stored.and_then(|stored| {
            Some(Creation {
                key: IdempotencyKey::new(stored.idempotency_key).ok()?,
                begun_at: stored.begun_at.try_into().ok()?,
                progress: if stored.is_failed {
                    Progress::Failed
                } else {
                    Progress::Open
                },
            })
        }))
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
                    self.store_secret(id, &rotated.secret, DEFAULT_OVERLAP)
                        .await;
                    Ok(())
                };
                self.awaiting_secret(rotating).await?;
                (self.on_event)(RegistrationEvent::SecretReplaced(id));
            }
        }
        Ok(())
    }

    /// Stores a secret and reports it. It must be accepted even if it cannot be stored.
    async fn store_secret(&self, id: &EndpointId, secret: &Secret, overlap: Duration) {
        let (url, text) = (self.url.clone(), secret.expose().to_owned());
        let endpoint_id = id.clone();
        let stored =
            self.in_store(move |store| store.insert(endpoint_id.as_str(), &url, &text, overlap));
        (self.on_event)(match &stored.await {
            Ok(_has_replaced) => RegistrationEvent::SecretStored(id),
            Err(error) => RegistrationEvent::SecretNotStored(id, secret.clone(), error),
        });
    }

    /// Marks work that must not be interrupted by a shutdown.
    async fn awaiting_secret<T>(
        &self,
        work: impl Future<Output = Result<T, ConnectError>>,
    ) -> Result<T, ConnectError> {
        self.awaits_secret.send_replace(true);
        let _awaited = AwaitedSecret(&self.awaits_secret);
        work.await
    }

    /// Calls the store on a blocking thread.
    async fn in_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&SecretStore) -> Result<T, ConnectError> + Send + 'static,
    ) -> Result<T, ConnectError> {
        let store = self.store.clone();
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        done.unwrap_or_else(|error| {
            let error = ConnectError::new(
                ConnectErrorKind::SecretStore,
                "the secret store did not answer",
            )
            .with_source(error);
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

impl Creation {
    /// What remains of the creation after this error: nothing if HeyGen has no secret for it.
    fn after(self, error: &ApiError) -> Option<Self> {
        let may_be_done = error.outcome_unknown() || error.has_code("request_in_progress");
        let progress = match self.progress {
            // Otherwise an error that HeyGen repeats for a day would hide that the endpoint exists.
            Progress::Failed if error.kind() == ApiErrorKind::Server => return None,
            _ if error.kind() == ApiErrorKind::Server => Progress::Failed,
            _ if may_be_done => Progress::Open,
            Progress::New => return None,
            // As after 429: it was not looked at.
            progress if is_temporary(error) => progress,
            _ => return None,
        };
        Some(Self { progress, ..self })
    }

    /// Whether the list has what it made. That takes no time as far as is known, but a second
    /// endpoint would double every event.
    fn is_listed_by_now(&self) -> bool {
        let age = SystemTime::now().duration_since(self.begun_at);
        age.is_ok_and(|age| age > LIST_LAG)
    }

    /// Whether HeyGen still knows the key. Later it would create another endpoint.
    fn is_remembered(&self) -> bool {
        // A clock that was set back a little makes it no older.
        let age = (SystemTime::now() + CLOCKS).duration_since(self.begun_at);
        age.is_ok_and(|age| age < KEY_LIFETIME + CLOCKS)
    }
}

fn wait(backoff: &mut Backoff, retry_after: Option<Duration>) -> Duration {
    let delay = backoff.next();
    retry_after.map_or(delay, |asked| asked.clamp(MIN_RETRY_AFTER, MAX_RETRY_AFTER))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Less than the 24 h for which HeyGen remembers a key.
const KEY_LIFETIME: Duration = Duration::from_secs(23 * 3600);
const CLOCKS: Duration = Duration::from_secs(3600);
const LIST_LAG: Duration = Duration::from_secs(60);

const INITIAL_DELAY: Duration = Duration::from_secs(5);
const MAX_DELAY: Duration = Duration::from_secs(5 * 60);

/// `Retry-After: 0` must not cause requests without a pause.
const MIN_RETRY_AFTER: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_replaces_the_delay_within_limits() {
        for (asked, expected) in [(0, 1), (17, 17), (1200, 1200), (86_400, 3600)] {
            let mut backoff = Backoff::new(INITIAL_DELAY, MAX_DELAY);
            let wait = wait(&mut backoff, Some(Duration::from_secs(asked)));
            assert_eq!(wait.as_secs(), expected);
        }
    }

    #[test]
    fn creation_is_open_until_heygen_answers_it() {
        let refused = |status: u16, code: &str| {
            let body = format!(r#"{{"error":{{"code":"{code}"}}}}"#);
            ApiError::from_response(status, body.as_bytes()).expect("an error")
        };
        let lost = || ApiError::new(ApiErrorKind::Timeout);
        let (new, open, failed) = (Progress::New, Progress::Open, Progress::Failed);
        for (before, error, expected) in [
            (new, lost(), Some(open)),
            (new, refused(409, "request_in_progress"), Some(open)),
            (new, refused(429, "rate_limit_exceeded"), None),
            (new, refused(429, "quota_exceeded"), None),
            (new, refused(503, "internal_error"), Some(failed)),
            (new, refused(400, "invalid_parameter"), None),
            (open, refused(429, "rate_limit_exceeded"), Some(open)),
            (open, refused(503, "internal_error"), Some(failed)),
            (open, refused(400, "invalid_parameter"), None),
            (open, refused(409, "conflict"), None),
            (failed, refused(429, "rate_limit_exceeded"), Some(failed)),
            (failed, lost(), Some(open)),
            (failed, refused(503, "internal_error"), None),
        ] {
            let creation = Creation {
                progress: before,
                ..creation(Duration::ZERO)
            };
            let after = creation.after(&error).map(|creation| creation.progress);
            assert_eq!(after, expected, "{before:?}: {error}");
        }
    }

    fn creation(age: Duration) -> Creation {
        Creation {
            key: IdempotencyKey::from_random([1; 16]),
            begun_at: SystemTime::now() - age,
            progress: Progress::New,
        }
    }

    #[test]
    fn key_is_used_for_less_than_a_day() {
        let hour = Duration::from_secs(3600);
        assert!(creation(Duration::ZERO).is_remembered() && creation(22 * hour).is_remembered());
        assert!(!creation(24 * hour).is_remembered());
        let ahead = |time: Duration| Creation {
            begun_at: SystemTime::now() + time,
            ..creation(Duration::ZERO)
        };
        assert!(ahead(hour / 2).is_remembered() && !ahead(2 * hour).is_remembered());
    }
}
