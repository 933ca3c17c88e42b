//! [`ForwardSecret`]: what forwarded deliveries are signed with: a secret that only we and the application know.
//!
//! It is not HeyGen's: with that, anyone who sees what we sign of a callback could present it as a delivery of HeyGen's, and the
//! application would have to follow each rotation.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use heygen_connect::SecretStore;
use heygen_inbox::private_file;
use heygen_receiver::ActiveSecrets;
use heygen_signature::Secrets;
use tokio::sync::watch;

use crate::failure::Failure;
use crate::process::signals::on_each;
use crate::secrets::secret::{self, FORWARD_OPTION};
use crate::settings::written;
use crate::store::location::InboxLocation;

/// The file with the secret for forwarding, and the secret once it is in force. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct ForwardSecret {
    pub(crate) file: PathBuf,
    /// Of a file beside the inbox, which is ours to make; one that was named is there or is an error.
    inbox: Option<PathBuf>,
    /// In force once it was [begun](Self::begin) with.
    pub(crate) active: ActiveSecrets,
}

impl ForwardSecret {
    /// The file that was named, or else the one beside this inbox. What is on streams is shared by workers, each of which would make
    /// a secret of its own: there one has to be named.
    pub(crate) fn of(named: Option<&Path>, inbox: &InboxLocation) -> Result<Self, Failure> {
        let (file, inbox) = match (named, inbox) {
            (Some(file), _) => (file.to_owned(), None),
            (None, InboxLocation::File(inbox)) => (
                private_file::with_suffix(inbox, ".forward-secret"),
                Some(inbox.clone()),
            ),
            (None, InboxLocation::Streams(_)) => return Err(Failure::usage(NAME_ONE)),
        };
        Ok(Self {
            file,
            inbox,
            active: ActiveSecrets::none(),
        })
    }

    /// Where the user finds it.
    pub(crate) fn hint(&self) -> String {
        let (file, option) = match &self.inbox {
            Some(inbox) => (&self.file, format!("--inbox {}", inbox.display())),
            None => (
                &self.file,
                format!("--forward-secret-file {}", self.file.display()),
            ),
        };
        format!(
            "the secret in {}; show it with `heygen-webhooks secrets forward {option}`",
            file.display()
        )
    }

    /// Reads it; `None` where it is to be beside the inbox and was not made yet.
    pub(crate) fn read(&self) -> Result<Option<Secrets>, Failure> {
        match self.inbox.is_some() && !self.file.exists() {
            true => Ok(None),
            false => secret::read_file(&self.file).map(Some),
        }
    }

    /// Reads it, and makes it where it is ours to make; whether it was made.
    pub(crate) fn read_or_make(&self) -> Result<(Secrets, bool), Failure> {
        if let Some(secrets) = self.read()? {
            return Ok((secrets, false));
        }
        let inbox = self.inbox.as_deref().unwrap_or(&self.file);
        // Two processes that start at a time must not each make one.
        let _lock = SecretStore::beside(inbox).lock()?;
        if let Some(secrets) = self.read()? {
            return Ok((secrets, false));
        }
        private_file::replace(&self.file, &format!("{}\n", generate()?))
            .with_context(|| format!("cannot write {}", self.file.display()))?;
        Ok((secret::read_file(&self.file)?, true))
    }

    /// Brings it into force. `receivers` are the secrets that deliveries are verified with.
    pub(crate) fn begin(&self, receivers: &ActiveSecrets) -> Result<(), Failure> {
        let (secrets, is_new) = self.read_or_make()?;
        if is_new {
            tracing::warn!(
                file = %self.file.display(),
                "created a secret for forwarding: your application must verify with it, not with HeyGen's secret"
            );
        }
        secret::warn_of_open_files(std::slice::from_ref(&self.file));
        self.enforce(secrets, receivers);
        Ok(())
    }

    /// Reads it again each time the receiver's secrets were, on SIGHUP. One that is gone or empty is no longer signed with: deliveries wait for another.
    pub(crate) async fn keep_fresh(self, receivers: ActiveSecrets, reloads: watch::Receiver<u64>) {
        on_each(reloads, move || self.read_again(&receivers)).await;
    }

    fn read_again(&self, receivers: &ActiveSecrets) {
        if written::stays_as_read(&self.file) {
            return;
        }
        match secret::from_file_again(FORWARD_OPTION, &self.file).map(Secrets::collect) {
            Ok(Some(secrets)) => self.enforce(secrets, receivers),
            Ok(None) => {
                tracing::warn!(
                    file = %self.file.display(),
                    "the secret for forwarding is gone: nothing is forwarded until its file holds one again"
                );
                self.active.clear();
            }
            Err(error) => tracing::error!(
                "could not reload the secret for forwarding, the previous one stays in effect: {error}"
            ),
        }
    }

    fn enforce(&self, secrets: Secrets, receivers: &ActiveSecrets) {
        let receivers = receivers.get();
        let mut receivers = receivers.iter().flat_map(|all| all.iter());
        let first = secrets.iter().next();
        if receivers.any(|own| first.is_some_and(|first| first.expose() == own.expose())) {
            tracing::warn!(
                file = %self.file.display(),
                "the secret for forwarding is also a receiver's secret: deliveries that HeyGen did not sign (callbacks, imported and backfilled ones) are forwarded unsigned; put another secret there"
            );
        }
        self.active.set(secrets);
    }
}

/// 32 random bytes, in the form of HeyGen's secrets.
fn generate() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("the system provides no random numbers")?;
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    Ok(format!("whsec_{}", digits.collect::<String>()))
}

const NAME_ONE: &str = "forwarding from an inbox on NATS needs --forward-secret-file, because all workers must sign with the same secret. Create one with (umask 077; echo \"whsec_$(openssl rand -hex 32)\" > forward-secret), and give it to every worker and to your application";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_at_a_time_make_one() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let inbox = InboxLocation::File(folder.path().join("inbox.db"));
        let secret = ForwardSecret::of(None, &inbox).expect("a file");
        let made: Vec<_> = std::thread::scope(|scope| {
            let make = || secret.read_or_make().expect("made");
            let all: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            let made = all.into_iter().map(|one| one.join().expect("no panic"));
            made.collect()
        });
        assert_eq!(made.iter().filter(|(_, is_new)| *is_new).count(), 1);
        let text = |secrets: &Secrets| -> String {
            secrets
                .iter()
                .map(heygen_signature::Secret::expose)
                .collect()
        };
        let first = text(&made[0].0);
        assert!(made.iter().all(|(secrets, _)| text(secrets) == first));
    }
}
