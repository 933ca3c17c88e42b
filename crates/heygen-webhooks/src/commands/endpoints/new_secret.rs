//! [`NewSecret`]: a secret that HeyGen shows only once, printed or stored but never lost.

use std::io;
use std::path::Path;
use std::time::Duration;

use heygen_api::Secret;
use heygen_connect::SecretStore;
use heygen_events::id::EndpointId;

use crate::failure::Failure;
use crate::output::{self, tame};

#[derive(Debug)]
pub(super) struct NewSecret {
    pub(super) endpoint_id: EndpointId,
    pub(super) url: String,
    pub(super) secret: Secret,
}

impl NewSecret {
    /// Stores it. Whether one before was stored, which ends after `overlap`. If it fails the secret is printed after all: HeyGen
    /// will not tell it again.
    pub(super) fn keep(&self, store: &SecretStore, overlap: Duration) -> Result<bool, Failure> {
        let stored = store.insert(
            self.endpoint_id.as_str(),
            &self.url,
            self.secret.expose(),
            overlap,
        );
        let error = match stored {
            Ok(has_replaced) => return Ok(has_replaced),
            Err(error) => error,
        };
        self.printed(output::write(self.text()))?;
        Err(anyhow::Error::from(error)
            .context(format!(
                "could not store the secret of endpoint {}, so it is printed: put it into a --secret-file of `serve`",
                tame(self.endpoint_id.as_str())
            ))
            .into())
    }

    /// What printing it came to: a secret that no one saw is lost, also where the reader just went away.
    pub(super) fn printed(&self, written: io::Result<()>) -> Result<(), Failure> {
        written.map_err(|error| {
            let id = tame(self.endpoint_id.as_str());
            anyhow::anyhow!(
                "could not print the secret of endpoint {id} ({error}), and HeyGen does not show it again: rotate it with `endpoints rotate-secret {id}`"
            )
            .into()
        })
    }

    pub(super) fn text(&self) -> String {
        format!(
            "\nSigning secret, shown only once; HeyGen signs every delivery to this endpoint with it:\n\n  {}\n",
            tame(self.secret.expose())
        )
    }
}

/// What to do with a secret that is not stored for `serve`.
pub(super) const WHAT_TO_DO: &str = "
Keep it like a password, and give it to the receiver: `serve` reads HEYGEN_WEBHOOK_SECRET and the files of
--secret-file, which SIGHUP reloads.
";

/// The secrets file of this inbox, proven good before HeyGen gives what has to go in there.
pub(super) fn store(inbox: &Path) -> Result<SecretStore, Failure> {
    let store = SecretStore::beside(inbox);
    store.check_writable()?;
    Ok(store)
}
