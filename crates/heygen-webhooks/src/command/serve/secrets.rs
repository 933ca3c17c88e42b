//! [`SecretSources`]: where `serve` gets its secrets from, and how it learns of a change.

use std::path::PathBuf;
use std::time::Duration;

use heygen_receiver::{ActiveSecrets, Secrets};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::failure::Failure;
use crate::secret;
use crate::secret_store::SecretStore;

/// Environment and files, which the user changes, and the store, which `serve` itself and `endpoints` change.
#[derive(Clone, Debug)]
pub(super) struct SecretSources {
    pub(super) files: Vec<PathBuf>,
    pub(super) store: SecretStore,
}

impl SecretSources {
    /// Reads all of them into `active`. Where there is no secret at all, what is active stays.
    pub(super) fn load_into(&self, active: &ActiveSecrets) -> Result<(), Failure> {
        let mut all: Vec<_> = secret::load(&self.files)?
            .iter()
            .flat_map(Secrets::iter)
            .cloned()
            .collect();
        all.extend(self.store.accepted(Timestamp::now())?);
        if let Some(secrets) = Secrets::from_iter(all) {
            active.set(secrets);
        }
        Ok(())
    }

    /// Looks at the store several times a second, so that a replaced secret is known before HeyGen has much to send with
    /// it, and reads everything again on SIGHUP and when the time of an old secret is over.
    pub(super) async fn keep_fresh(self, active: ActiveSecrets, mut hangups: watch::Receiver<u64>) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stamp = self.store.stamp();
        let mut ticks_until_reload = RELOAD_TICKS;
        loop {
            let is_asked = tokio::select! {
                _ = ticks.tick() => false,
                changed = hangups.changed() => match changed {
                    Ok(()) => true,
                    Err(_) => return,
                },
            };
            let now = self.store.stamp();
            let has_changed = now != stamp;
            ticks_until_reload -= 1;
            if !is_asked && !has_changed && ticks_until_reload > 0 {
                continue;
            }
            stamp = now;
            ticks_until_reload = RELOAD_TICKS;
            match self.load_into(&active) {
                Ok(()) if is_asked || has_changed => {
                    let secrets = active.get().map_or(0, |secrets| secrets.len());
                    tracing::info!(secrets, "secrets read again");
                }
                Ok(()) => {}
                Err(error) => {
                    tracing::error!(
                        "secrets could not be read again, those in force stay: {error}"
                    );
                }
            }
        }
    }
}

const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Once a minute also without a change, for secrets whose time is over.
const RELOAD_TICKS: u32 = 240;
