//! [`Registration`]: registers `serve --public-url` at HeyGen, and logs the result.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use heygen_api::{ApiError, ApiErrorKind, Client, EndpointId, Subscription};
use heygen_connect::{
    ConnectError, ConnectErrorKind, RegistrationEvent, SecretStore, UnknownSecret,
};
use heygen_receiver::{ActiveSecrets, ObservedRejection, Observer};
use heygen_signature::VerifyErrorKind;
use tokio::task::block_in_place;
use tokio::time::{sleep, timeout};

use crate::api;
use crate::failure::{Failure, error_chain};
use crate::output::without_query;
use crate::secrets::secret::SecretSources;
use crate::server::metrics::Registered;
use crate::settings::api::ApiVersion;

#[derive(Debug)]
pub(super) struct Wanted {
    /// Who is asked, for the log.
    pub(super) at: &'static str,
    pub(super) url: String,
    /// What to subscribe to; `None` for everything on a new endpoint, and whatever an existing one has.
    pub(super) events: Option<Subscription>,
    /// Whether a secret that is not known may be replaced.
    pub(super) rotate: bool,
}

#[derive(Debug)]
pub(super) struct Registration {
    inner: Arc<heygen_connect::Registration>,
    at: &'static str,
    url: String,
    /// Whether HeyGen said so of the endpoint.
    is_disabled: Arc<AtomicBool>,
    /// Whether it has succeeded, for the metrics.
    pub(super) registered: Registered,
    store: SecretStore,
    rotates: bool,
}

/// Logs what a registration does, and accepts the secrets it gets.
struct Reporter {
    sources: SecretSources,
    at: &'static str,
    url: String,
    is_disabled: Arc<AtomicBool>,
}

impl Registration {
    pub(super) fn new(client: Client, sources: SecretSources, wanted: Wanted) -> Self {
        let unknown_secret = match (wanted.rotate, sources.has_configured()) {
            (true, _) => UnknownSecret::Replace,
            (false, true) => UnknownSecret::Assume,
            (false, false) => UnknownSecret::Fail,
        };
        let store = sources.store.clone();
        let inner = heygen_connect::Registration::new(client, store.clone(), &wanted.url);
        let reporter = Reporter {
            sources,
            at: wanted.at,
            url: without_query(&wanted.url),
            is_disabled: Arc::default(),
        };
        let is_disabled = Arc::clone(&reporter.is_disabled);
        let inner = inner
            .events(wanted.events)
            .unknown_secret(unknown_secret)
            .on_event(move |event| reporter.report(event));
        Self {
            inner: Arc::new(inner),
            at: wanted.at,
            url: wanted.url,
            is_disabled,
            registered: Registered::default(),
            store,
            rotates: wanted.rotate,
        }
    }

    /// Says what to do about deliveries that no known secret signed.
    pub(super) fn rotation_hint(&self) -> impl Observer {
        RotationHint {
            registration: Arc::clone(&self.inner),
            said_at: Mutex::default(),
        }
    }

    /// Sees to it that HeyGen sends here, and that the secret is known. The server has to be up: HeyGen may probe it.
    ///
    /// While HeyGen cannot be asked it tries again, for as long as it takes: what HeyGen sends meanwhile must not be missed
    /// because its API is down, or because it refuses the key or answers as no API does (a page about maintenance, a redirect)
    /// and an earlier start has registered here.
    pub(super) async fn persist(&self) -> Result<(), Failure> {
        while let Err(error) = self.inner.register().await {
            if is_about_options(&error) || !self.has_registered_before() {
                return Err(failure(&error).unwrap_or_else(|| error.into()));
            }
            tracing::error!(
                "not registered at {}, tried again in an hour; deliveries signed with a known secret are accepted meanwhile: {}",
                self.at,
                in_one_line(&error)
            );
            sleep(LONG_PAUSE).await;
        }
        self.registered
            .set(!self.is_disabled.load(Ordering::Relaxed));
        Ok(())
    }

    /// Whether HeyGen once gave a secret for this address that is in force, and that is not to be replaced.
    fn has_registered_before(&self) -> bool {
        let known = self.store.has_accepted(&self.url, SystemTime::now());
        !self.rotates && known.unwrap_or_default()
    }

    /// Waits until a secret that HeyGen is making is known, and stored.
    pub(super) async fn secret_received(&self) {
        self.inner.secret_received().await;
    }

    /// Ends the registration, for an address that will not be there again.
    pub(super) async fn end(&self) {
        let Some(endpoint_id) = self.inner.endpoint_id() else {
            return;
        };
        let problem = match timeout(END_TIME, self.inner.deregister()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) if error.kind() == ConnectErrorKind::SecretStore => {
                let error = error_chain(&error);
                tracing::error!("could not remove the secret of the deleted endpoint: {error}");
                None
            }
            Ok(Err(error)) => Some(error_chain(&error)),
            Err(_) => Some(format!("no answer within {} s", END_TIME.as_secs())),
        };
        match problem {
            Some(problem) => tracing::error!(
                %endpoint_id,
                "could not deregister the endpoint, delete it with `endpoints delete`: {problem}"
            ),
            None => tracing::info!(%endpoint_id, "deregistered at {}", self.at),
        }
    }
}

/// A secret that is rotated elsewhere, by another program or at HeyGen, is not told to this one.
struct RotationHint {
    registration: Arc<heygen_connect::Registration>,
    said_at: Mutex<Option<Instant>>,
}

impl Observer for RotationHint {
    fn rejected(&self, rejected: &ObservedRejection<'_>) {
        if rejected.reason != VerifyErrorKind::Mismatch.label() {
            return;
        }
        let Some(endpoint_id) = self.registration.endpoint_id() else {
            return;
        };
        let mut said_at = self.said_at.lock().unwrap_or_else(PoisonError::into_inner);
        if said_at.is_some_and(|at| at.elapsed() < HINT_PAUSE) {
            return;
        }
        *said_at = Some(Instant::now());
        tracing::error!(
            %endpoint_id,
            "deliveries are rejected because no known secret signed them. If the secret of this endpoint was rotated elsewhere, add the new one with --secret-file, restart, and run `inbox rejected reverify`; if no one has it, `endpoints rotate-secret {endpoint_id} --apply` makes one that is used at once, and `backfill` looks for what was rejected"
        );
    }
}

impl Reporter {
    fn report(&self, event: RegistrationEvent<'_>) {
        use RegistrationEvent as Event;
        let (at, url) = (self.at, self.url.as_str());
        let secrets_file = self.sources.store.path().display();
        match event {
            Event::Delayed(error) => {
                let meanwhile = meanwhile(&self.sources.active);
                let failure = in_one_line(error);
                tracing::warn!(
                    url,
                    "registration failed and is retried; {meanwhile}: {failure}"
                );
            }
            Event::Ambiguous(endpoints) => tracing::warn!(
                endpoints,
                url,
                "several endpoints at {at} have this URL: every event arrives once for each, and only those signed with a known secret are accepted; delete the others with `endpoints delete ID`"
            ),
            Event::UnlistedExpire => tracing::warn!(
                url,
                "HeyGen no longer lists the endpoint of a stored secret: the secret is accepted for 24 h more. If the API key is that of another account now, the endpoint still sends here: delete it there, or give its secret with --secret-file"
            ),
            Event::UnlistedNotExpired(error) => {
                let error = error_chain(error);
                tracing::warn!("could not retire old secrets: {error}");
            }
            Event::Created(endpoint_id, url) => {
                let url = without_query(url);
                tracing::info!(%endpoint_id, url, %secrets_file, "registered at {at}");
            }
            Event::Found(endpoint_id, url) => {
                tracing::info!(%endpoint_id, url = without_query(url), "already registered at {at}");
            }
            Event::Disabled(endpoint_id) => {
                self.is_disabled.store(true, Ordering::Relaxed);
                tracing::warn!(
                    %endpoint_id,
                    "HeyGen has disabled this endpoint and cannot enable it again: delete it with `endpoints delete` and restart"
                );
            }
            Event::SubscriptionReplaced(endpoint_id, is_taken_over) => {
                if !is_taken_over {
                    tracing::warn!(%endpoint_id, "HeyGen did not accept the requested events: check them with `event-types`");
                }
                tracing::info!(%endpoint_id, "subscription replaced");
            }
            Event::SecretStored(_) => block_in_place(|| self.sources.refresh()),
            Event::SecretNotStored(endpoint_id, secret, error) => {
                self.sources.hold(secret);
                let error = error_chain(error);
                tracing::error!(
                    %endpoint_id,
                    "could not store the secret of this endpoint, which HeyGen does not show again: it is used until this process ends. Fix the cause, then rotate it with `endpoints rotate-secret {endpoint_id} --apply`: {error}"
                );
            }
            Event::SecretReplaced(endpoint_id) => {
                tracing::info!(%endpoint_id, %secrets_file, "secret rotated");
            }
            Event::SecretAssumed(endpoint_id) => {
                self.sources.take_configured_for(endpoint_id.as_str());
                tracing::info!(%endpoint_id, "assuming the configured secret is this endpoint's: HeyGen does not show it again");
            }
            _ => {}
        }
    }
}

/// Whether what was asked for is wrong, or this machine is, and not HeyGen's API.
fn is_about_options(error: &ConnectError) -> bool {
    use ApiErrorKind::{Config, InvalidParameter};
    let kind = error.api_error().map(ApiError::kind);
    kind.is_none_or(|kind| [Config, InvalidParameter].contains(&kind))
}

fn in_one_line(error: &ConnectError) -> String {
    failure(error).map_or_else(
        || error_chain(error),
        |failure| failure.to_string().replace("\n  ", "; "),
    )
}

fn meanwhile(active: &ActiveSecrets) -> &'static str {
    match active.get() {
        Some(_) => "deliveries signed with a known secret are accepted meanwhile",
        None => "deliveries are answered with 503 until a secret is known; probes pass",
    }
}

/// What can be done about it, where there is something.
fn failure(error: &ConnectError) -> Option<Failure> {
    let id = error.endpoint_id().map_or("", EndpointId::as_str);
    let failure = match (error.api_error(), error.kind()) {
        (Some(error), _) => api::failure(ApiVersion::V3, error),
        (None, ConnectErrorKind::NoSecret) => anyhow::anyhow!(
            "HeyGen created endpoint {id} without returning its secret: run again with --rotate-secret"
        )
        .into(),
        (None, ConnectErrorKind::UnknownSecret) => anyhow::anyhow!(
            "endpoint {id} at HeyGen has this URL, but its secret is not known here, and HeyGen shows it only once. Set it with HEYGEN_WEBHOOK_SECRET or --secret-file, or rotate it with --rotate-secret (receivers that use the old one then fail at once)"
        )
        .into(),
        (None, _) => return None,
    };
    Some(failure)
}

/// A process that is asked to stop must not wait much longer for an API that does not answer.
const END_TIME: Duration = Duration::from_secs(10);
/// Anyone can send something that does not verify.
const HINT_PAUSE: Duration = Duration::from_secs(60 * 60);
/// Who corrects a key restarts the server, or waits.
const LONG_PAUSE: Duration = Duration::from_secs(60 * 60);
