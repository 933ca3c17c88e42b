//! [`NewSecret`]: a secret that HeyGen gives this once, to be shown or kept, and never lost in between.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use heygen_api::EndpointSecret;
use heygen_events::id::EndpointId;
use jiff::Timestamp;

use crate::failure::Failure;
use crate::output::{self, tame};
use crate::secret_store::SecretStore;

/// A secret that HeyGen gives this once.
#[derive(Debug)]
pub(super) struct NewSecret {
    pub(super) endpoint_id: EndpointId,
    pub(super) url: String,
    pub(super) secret: EndpointSecret,
}

impl NewSecret {
    /// Keeps it. Where that fails the secret is printed after all: HeyGen will not tell it again.
    pub(super) fn keep(&self, store: &SecretStore, overlap: Duration) -> Result<(), Failure> {
        let kept = store.keep(
            self.endpoint_id.as_str(),
            &self.url,
            self.secret.expose(),
            overlap,
        );
        let Err(error) = kept else {
            return Ok(());
        };
        output::write(self.text())?;
        Err(error
            .context(format!(
                "the secret of endpoint {} could not be kept, so it is printed: put it into a --secret-file of `serve`",
                tame(self.endpoint_id.as_str())
            ))
            .into())
    }

    /// For people: the secret, and what it is.
    pub(super) fn text(&self) -> String {
        format!(
            "\nSigning secret, shown this once; HeyGen signs every delivery to this endpoint with it:\n\n  {}\n",
            tame(self.secret.expose())
        )
    }
}

/// What to do with a secret that is not kept for `serve`.
pub(super) const WHAT_TO_DO: &str = "
Keep it as you keep passwords, and give it to the receiver: `serve` reads HEYGEN_WEBHOOK_SECRET and the files named with
--secret-file, and reads these again on SIGHUP.
";

/// The secrets file of this inbox, proven readable before HeyGen gives what has to go in there.
pub(super) fn store(inbox: Option<&Path>) -> Result<SecretStore, Failure> {
    let store = SecretStore::beside(&inbox_file(inbox));
    store.accepted(Timestamp::now())?;
    Ok(store)
}

/// Read here and not by the parser, to which a set variable would be the same as the option.
pub(super) fn inbox_file(option: Option<&Path>) -> PathBuf {
    let variable = || env::var_os("HEYGEN_WEBHOOKS_INBOX").filter(|path| !path.is_empty());
    match option {
        Some(path) => path.to_owned(),
        None => variable().map_or_else(|| "./heygen-inbox.db".into(), PathBuf::from),
    }
}
