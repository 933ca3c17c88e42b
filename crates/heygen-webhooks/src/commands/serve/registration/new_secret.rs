//! What makes HeyGen tell a secret, which it does once: a creation and a rotation, and what becomes of the secret.

use std::time::Duration;

use heygen_api::{EndpointSecret, ErrorKind, Events, IdempotencyKey, v3};
use heygen_events::id::EndpointId;
use heygen_receiver::Secret;

use super::trouble::Trouble;
use super::{Registration, lock};
use crate::output::without_query;
use crate::settings::overlap::Overlap;

/// A creation that may have been carried out all the same.
#[derive(Clone, Debug)]
pub(super) struct Creation {
    /// With it HeyGen gives the first answer again, and with that the secret.
    pub(super) key: IdempotencyKey,
    /// Whether HeyGen did not answer at all, so that it may be at work on it still.
    pub(super) is_open: bool,
}

impl Registration {
    pub(super) async fn create(&self, key: IdempotencyKey) -> Result<(), Trouble> {
        self.sources.store().prepare()?;
        let events = self.wanted.events.clone().unwrap_or(Events::All);
        let new = v3::NewEndpoint::new(&self.wanted.url).events(events);
        let client = self.client.v3();
        let created = self
            .awaiting_secret(async {
                let endpoint = match client.create_endpoint_with_key(&new, &key).await {
                    Ok(endpoint) => endpoint,
                    Err(error) => {
                        // HeyGen that has failed may answer the same under this key for a day.
                        let is_open =
                            error.outcome_unknown() && error.kind() != ErrorKind::Server;
                        *lock(&self.creation) = Some(Creation { key, is_open });
                        return Err(Trouble::from(error));
                    }
                };
                *lock(&self.creation) = None;
                let (endpoint_id, url) = (endpoint.endpoint_id, endpoint.url);
                *lock(&self.endpoint_id) = Some(endpoint_id.clone());
                let Some(secret) = endpoint.secret else {
                    return Err(anyhow::anyhow!(
                        "HeyGen made endpoint {endpoint_id} without telling its secret: run again with --rotate-secret"
                    )
                    .into());
                };
                self.keep(&endpoint_id, &secret, Duration::ZERO)?;
                Ok((endpoint_id, url))
            })
            .await;
        let (endpoint_id, url) = created?;
        tracing::info!(
            %endpoint_id,
            url = without_query(&url),
            secrets_file = %self.sources.store().path().display(),
            "registered at {}",
            self.wanted.at
        );
        Ok(())
    }

    pub(super) async fn find_secret(&self, endpoint_id: &EndpointId) -> Result<(), Trouble> {
        if self.wanted.rotate {
            self.sources.store().prepare()?;
            let client = self.client.v3();
            self.awaiting_secret(async {
                let rotated = client.rotate_secret(endpoint_id).await?;
                self.keep(endpoint_id, &rotated.secret, Overlap::DEFAULT.0)
            })
            .await?;
            let file = self.sources.store().path().display();
            tracing::info!(%endpoint_id, secrets_file = %file, "secret replaced");
            return Ok(());
        }
        if self.sources.has_configured() {
            self.sources.take_configured_for(endpoint_id.as_str());
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

    /// Keeps a secret and brings it into force. Into force it comes also where it cannot be kept: it is told only once, and
    /// what HeyGen sends from now on is signed with it.
    fn keep(
        &self,
        endpoint_id: &EndpointId,
        secret: &EndpointSecret,
        overlap: Duration,
    ) -> Result<(), Trouble> {
        let store = self.sources.store();
        let kept = store.keep(
            endpoint_id.as_str(),
            &self.wanted.url,
            secret.expose(),
            overlap,
        );
        let Err(error) = kept else {
            self.sources.refresh();
            return Ok(());
        };
        let secret = Secret::new(secret.expose())
            .map_err(|error| anyhow::Error::from(error).context("HeyGen told an empty secret"))?;
        self.sources.hold(secret);
        tracing::error!(
            %endpoint_id,
            "the secret of this endpoint could not be kept, and HeyGen does not tell it again: it is in force until this \
             process ends. Mend what is in the way, then replace it with `endpoints rotate-secret {endpoint_id} --apply`: {error:#}"
        );
        Ok(())
    }

    /// Marks what must not be broken off when the process is told to stop.
    async fn awaiting_secret<T>(
        &self,
        work: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        self.awaits_secret.send_replace(true);
        let done = work.await;
        self.awaits_secret.send_replace(false);
        done
    }
}
