//! [`Registration`]: `serve --public-url` finds or makes its own endpoint at HeyGen and keeps the secret.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use heygen_api::{Client, Endpoint, EndpointStatus, Events, IdempotencyKey, v3};
use heygen_events::id::EndpointId;
use tokio::sync::watch;
use tokio::time::timeout;

use super::secrets::SecretSources;
use crate::api::error_chain;
use crate::failure::Failure;
use crate::output::without_query;
use crate::settings::address::same_address;
use crate::settings::overlap::Overlap;

mod new_secret;
mod trouble;

use new_secret::Creation;
use trouble::{Trouble, Waits};

/// What is wanted at HeyGen.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Who is asked, for the log.
    pub(super) at: &'static str,
    /// The address HeyGen is to send to.
    pub(super) url: String,
    /// What to subscribe to; `None` for everything on a new endpoint, and whatever an existing one has.
    pub(super) events: Option<Events>,
    /// Whether a secret that nobody knows may be replaced.
    pub(super) rotate: bool,
}

/// What is wanted, and how far it has come.
#[derive(Debug)]
pub(super) struct Registration {
    client: Client,
    sources: SecretSources,
    wanted: Wanted,
    endpoint_id: Mutex<Option<EndpointId>>,
    /// The last creation that was not answered as it should be.
    creation: Mutex<Option<Creation>>,
    /// While HeyGen makes a secret that it will tell once.
    awaits_secret: watch::Sender<bool>,
}

impl Registration {
    pub(super) fn new(client: Client, sources: SecretSources, wanted: Wanted) -> Self {
        Self {
            client,
            sources,
            wanted,
            endpoint_id: Mutex::default(),
            creation: Mutex::default(),
            awaits_secret: watch::Sender::new(false),
        }
    }

    /// Sees to it that HeyGen sends here, and that the secret is known. The server has to be up: HeyGen may probe it.
    ///
    /// While HeyGen cannot be asked it tries again, for as long as it takes: what HeyGen sends meanwhile must not be missed
    /// because its API is down. Only a refusal that trying again does not mend is a failure.
    pub(super) async fn persist(&self) -> Result<(), Failure> {
        let mut waits = Waits::new();
        let mut is_told = false;
        loop {
            let (failure, retry_after) = match self.ensure().await {
                Ok(()) => return Ok(()),
                Err(Trouble::Lasting(failure)) => return Err(failure),
                Err(Trouble::Passing {
                    failure,
                    retry_after,
                }) => (failure, retry_after),
            };
            let wait = waits.next(retry_after);
            if !is_told {
                self.tell(&failure);
                is_told = true;
            }
            tracing::debug!(seconds = wait.as_secs(), "asking HeyGen again after a wait");
            tokio::time::sleep(wait).await;
        }
    }

    /// Waits until a secret that HeyGen is making is known, and kept.
    pub(super) async fn secret_told(&self) {
        let mut awaits = self.awaits_secret.subscribe();
        // It cannot be closed: we hold the other end.
        let _open = awaits.wait_for(|awaits| !awaits).await;
    }

    /// Ends the registration, for an address that will not be there again.
    pub(super) async fn end(&self) {
        let Some(endpoint_id) = lock(&self.endpoint_id).take() else {
            return;
        };
        let client = self.client.v3();
        let deletion = client.delete_endpoint(&endpoint_id);
        let problem = match timeout(END_TIME, deletion).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error_chain(&error)),
            Err(_) => Some(format!("no answer in {} s", END_TIME.as_secs())),
        };
        if let Some(problem) = problem {
            tracing::error!(%endpoint_id, "could not be deregistered, delete it with `endpoints delete`: {problem}");
            return;
        }
        tracing::info!(%endpoint_id, "deregistered at {}", self.wanted.at);
        if let Err(error) = self.sources.store().forget(endpoint_id.as_str()) {
            tracing::error!("the secret of the deleted endpoint could not be forgotten: {error:#}");
        }
    }

    fn tell(&self, failure: &Failure) {
        let meanwhile = match self.sources.active().get() {
            Some(_) => "deliveries under the secrets known here are taken meanwhile",
            None => {
                "probes pass meanwhile, and deliveries are answered 503 until a secret is known"
            }
        };
        let failure = failure.to_string().replace("\n  ", "; ");
        tracing::warn!(
            url = without_query(&self.wanted.url),
            "not registered yet, and tried again until it is; {meanwhile}: {failure}"
        );
    }

    async fn ensure(&self) -> Result<(), Trouble> {
        let endpoints = self.client.v3().endpoints_all().into_vec().await?;
        self.expire_unlisted(&endpoints);
        let mut ours: Vec<Endpoint> = endpoints
            .into_iter()
            .filter(|endpoint| same_address(&endpoint.url, &self.wanted.url))
            .collect();
        if ours.len() > 1 {
            tracing::warn!(
                endpoints = ours.len(),
                url = without_query(&self.wanted.url),
                "several endpoints at {} have this URL: every event comes that often, and only deliveries of a known \
                 secret are taken; delete the others with `endpoints delete ID`",
                self.wanted.at
            );
        }
        let mut known = None;
        for (place, endpoint) in ours.iter().enumerate() {
            if self.sources.store().knows(endpoint.endpoint_id.as_str())? {
                known = known.or(Some(place));
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

    /// What HeyGen no longer lists sends nothing new: its secret is good for nobody but a thief after the last retry.
    fn expire_unlisted(&self, endpoints: &[Endpoint]) {
        let listed: Vec<&str> = endpoints
            .iter()
            .map(|endpoint| endpoint.endpoint_id.as_str())
            .collect();
        let overlap = Overlap::DEFAULT.0;
        let store = self.sources.store();
        match store.expire_unlisted(&self.wanted.url, &listed, overlap) {
            Ok(true) => tracing::info!(
                url = without_query(&self.wanted.url),
                "a secret is kept of an endpoint that HeyGen no longer lists: it is accepted for 24 h more"
            ),
            Ok(false) => {}
            Err(error) => tracing::warn!("old secrets could not be ended: {error:#}"),
        }
    }

    async fn adopt(&self, endpoint: Endpoint, secret_is_known: bool) -> Result<(), Trouble> {
        let endpoint_id = endpoint.endpoint_id.clone();
        if !secret_is_known {
            self.find_secret(&endpoint_id).await?;
        }
        // Not before: an endpoint whose secret nobody here knows is not ours to end.
        *lock(&self.endpoint_id) = Some(endpoint_id.clone());
        if endpoint.status == Some(EndpointStatus::Disabled) {
            tracing::warn!(%endpoint_id, "HeyGen has disabled this endpoint and no operation is known that enables it: delete it and start again");
        }
        match &self.wanted.events {
            Some(events) if !events.is_same_set(&endpoint.events) => {
                let update = v3::EndpointUpdate::events(events.clone());
                let client = self.client.v3();
                let updated = client.update_endpoint(&endpoint_id, &update).await?;
                if !events.is_same_set(&updated.events) {
                    tracing::warn!(%endpoint_id, "HeyGen did not take over the events that were asked for");
                }
                tracing::info!(%endpoint_id, "subscription replaced");
            }
            _ => {}
        }
        // As HeyGen has it: that is where it sends.
        tracing::info!(%endpoint_id, url = without_query(&endpoint.url), "found at {}", self.wanted.at);
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A process that is told to stop is not to wait much longer for an API that does not answer.
const END_TIME: Duration = Duration::from_secs(10);
