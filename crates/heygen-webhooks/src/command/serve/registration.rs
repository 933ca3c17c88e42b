//! [`Registration`]: `serve --public-url` finds or makes its own endpoint at HeyGen and keeps the secret.

use std::time::Duration;

use heygen_api::{ApiError, Client, Endpoint, EndpointStatus, Events, v3};
use heygen_events::id::EndpointId;

use crate::address::same_address;
use crate::api::{self, error_chain};
use crate::cli::ApiVersion;
use crate::failure::Failure;
use crate::secret_store::SecretStore;

/// What is wanted at HeyGen.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) client: Client,
    pub(super) store: SecretStore,
    /// The address HeyGen is to send to.
    pub(super) url: String,
    /// What to subscribe to; `None` for everything on a new endpoint, and whatever an existing one has.
    pub(super) events: Option<Events>,
    /// Whether a secret that nobody knows may be replaced.
    pub(super) rotate: bool,
    /// Whether the user gave a secret of their own, which may be this endpoint's.
    pub(super) has_configured_secret: bool,
}

impl Registration {
    /// Sees to it that HeyGen sends here, and that the secret is known. The server has to be up: HeyGen probes it.
    pub(super) async fn ensure(&self) -> Result<EndpointId, Failure> {
        let endpoints = self
            .client
            .v3()
            .endpoints_all()
            .into_vec()
            .await
            .map_err(api_failure)?;
        let mut ours: Vec<Endpoint> = endpoints
            .into_iter()
            .filter(|endpoint| self.is_ours(endpoint))
            .collect();
        let known = ours.iter().position(|endpoint| {
            self.store
                .knows(endpoint.endpoint_id.as_str())
                .unwrap_or(false)
        });
        if ours.len() > 1 {
            tracing::warn!(
                endpoints = ours.len(),
                url = self.url,
                "several endpoints at HeyGen have this URL: every event comes that often, and only deliveries of a known \
                 secret are taken; delete the others with `endpoints delete ID`"
            );
        }
        match (known, ours.is_empty()) {
            (_, true) => self.create().await,
            (Some(place), _) => self.adopt(ours.swap_remove(place), true).await,
            (None, _) => self.adopt(ours.swap_remove(0), false).await,
        }
    }

    /// Ends the registration, for an address that will not be there again.
    pub(super) async fn end(&self, endpoint_id: &EndpointId) {
        match self.client.v3().delete_endpoint(endpoint_id).await {
            Ok(()) => tracing::info!(%endpoint_id, "deregistered at HeyGen"),
            Err(error) => {
                tracing::error!(%endpoint_id, "could not be deregistered, delete it with `endpoints delete`: {}", error_chain(&error));
                return;
            }
        }
        if let Err(error) = self.store.forget(endpoint_id.as_str()) {
            tracing::error!("the secret of the deleted endpoint could not be forgotten: {error:#}");
        }
    }

    async fn create(&self) -> Result<EndpointId, Failure> {
        let new =
            v3::NewEndpoint::new(&self.url).events(self.events.clone().unwrap_or(Events::All));
        let endpoint = self
            .client
            .v3()
            .create_endpoint(&new)
            .await
            .map_err(api_failure)?;
        let endpoint_id = endpoint.endpoint_id;
        let Some(secret) = endpoint.secret else {
            return Err(anyhow::anyhow!(
                "HeyGen made endpoint {endpoint_id} without telling its secret: run again with --rotate-secret"
            )
            .into());
        };
        self.store.keep(
            endpoint_id.as_str(),
            &self.url,
            secret.expose(),
            Duration::ZERO,
        )?;
        tracing::info!(%endpoint_id, url = self.url, secrets_file = %self.store.path().display(), "registered at HeyGen");
        Ok(endpoint_id)
    }

    async fn adopt(
        &self,
        endpoint: Endpoint,
        secret_is_known: bool,
    ) -> Result<EndpointId, Failure> {
        let endpoint_id = endpoint.endpoint_id.clone();
        if !secret_is_known {
            self.find_secret(&endpoint_id).await?;
        }
        if endpoint.status == Some(EndpointStatus::Disabled) {
            tracing::warn!(%endpoint_id, "HeyGen has disabled this endpoint and no operation is known that enables it: delete it and start again");
        }
        match &self.events {
            Some(events) if !events.is_same_set(&endpoint.events) => {
                let update = v3::EndpointUpdate::events(events.clone());
                let updated = self
                    .client
                    .v3()
                    .update_endpoint(&endpoint_id, &update)
                    .await
                    .map_err(api_failure)?;
                if !events.is_same_set(&updated.events) {
                    tracing::warn!(%endpoint_id, "HeyGen did not take over the events that were asked for");
                }
                tracing::info!(%endpoint_id, "subscription replaced");
            }
            _ => {}
        }
        tracing::info!(%endpoint_id, url = self.url, "found at HeyGen");
        Ok(endpoint_id)
    }

    async fn find_secret(&self, endpoint_id: &EndpointId) -> Result<(), Failure> {
        if self.rotate {
            let rotated = self
                .client
                .v3()
                .rotate_secret(endpoint_id)
                .await
                .map_err(api_failure)?;
            self.store.keep(
                endpoint_id.as_str(),
                &self.url,
                rotated.secret.expose(),
                OVERLAP,
            )?;
            tracing::info!(%endpoint_id, secrets_file = %self.store.path().display(), "secret replaced");
            return Ok(());
        }
        if self.has_configured_secret {
            tracing::info!(%endpoint_id, "taking the configured secret for this endpoint's: HeyGen does not show it again");
            return Ok(());
        }
        Err(anyhow::anyhow!(
            "endpoint {endpoint_id} at HeyGen has this URL, and its secret is not known here: HeyGen shows it only once. \
             Give it with HEYGEN_WEBHOOK_SECRET or --secret-file, or replace it with --rotate-secret (what still uses the \
             old one then fails at once)"
        )
        .into())
    }

    fn is_ours(&self, endpoint: &Endpoint) -> bool {
        same_address(&endpoint.url, &self.url)
    }
}

fn api_failure(error: ApiError) -> Failure {
    api::failure(ApiVersion::V3, error)
}

/// HeyGen tries a delivery again for 24 hours, and it is not known which secret then signs it.
const OVERLAP: Duration = Duration::from_secs(24 * 3600);
