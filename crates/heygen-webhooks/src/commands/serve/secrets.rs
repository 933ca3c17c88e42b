//! [`SecretSources`]: where `serve` gets its secrets from, and how it learns of a change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use heygen_inbox::sqlite::{RejectedFile, RejectedSummary};
use heygen_receiver::{ActiveSecrets, Secret, Secrets};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::failure::Failure;
use crate::secrets::secret;
use crate::secrets::secret_store::{SecretStore, Stamp};

/// Environment and files, which the user changes, and the store, which `serve` itself and `endpoints` change. Clones share
/// what is in force.
#[derive(Clone, Debug)]
pub(super) struct SecretSources {
    files: Vec<PathBuf>,
    store: SecretStore,
    /// Of the store when it was first read.
    stamp: Stamp,
    active: ActiveSecrets,
    last: Arc<Mutex<Last>>,
}

/// What each source said when it could be read last: one that cannot be read now takes nothing from the others.
#[derive(Debug, Default)]
struct Last {
    environment: Vec<Secret>,
    /// In the order of the files.
    files: Vec<Vec<Secret>>,
    kept: Vec<Secret>,
    /// Of the store, which knows of each of them that its time is over.
    retired: Vec<Secret>,
    /// The endpoint for whose secret the only one of environment and files was taken, and that secret.
    taken: Option<(String, Secret)>,
    /// How many of environment and files are not accepted for that.
    withdrawn: usize,
    /// Told by HeyGen and kept nowhere, because that failed.
    held: Vec<Secret>,
}

impl SecretSources {
    /// Brings all of them into force. At the start each has to be readable.
    pub(super) fn load(files: &[PathBuf], store: SecretStore) -> Result<Self, Failure> {
        // Before it is read, so that no change in between is missed.
        let stamp = store.stamp();
        let last = Last {
            environment: secret::from_environment()?,
            files: files
                .iter()
                .map(|file| secret::from_file(file))
                .collect::<Result<_, _>>()?,
            kept: store.accepted(Timestamp::now())?,
            retired: store.retired(Timestamp::now())?,
            taken: None,
            withdrawn: 0,
            held: Vec::new(),
        };
        secret::warn_of_open_files(files);
        let sources = Self {
            files: files.to_vec(),
            store,
            stamp,
            active: ActiveSecrets::none(),
            last: Arc::new(Mutex::new(last)),
        };
        sources.enforce(&mut sources.last());
        Ok(sources)
    }

    pub(super) fn active(&self) -> &ActiveSecrets {
        &self.active
    }

    pub(super) fn store(&self) -> &SecretStore {
        &self.store
    }

    /// Whether the user gave a secret, by the environment or a file.
    pub(super) fn has_configured(&self) -> bool {
        let last = self.last();
        !last.environment.is_empty() || !last.files.is_empty()
    }

    /// Takes the secret that the user gave for that of this endpoint, which HeyGen does not show again. Where it is the only one, it
    /// ends when the endpoint's is replaced and the overlap is over.
    pub(super) fn take_configured_for(&self, endpoint_id: &str) {
        let mut last = self.last();
        let mut configured = last.environment.iter().chain(last.files.iter().flatten());
        let only = configured.next().filter(|_| configured.next().is_none());
        last.taken = only.map(|secret| (endpoint_id.to_owned(), secret.clone()));
    }

    /// Writes down that the secret which was [taken](Self::take_configured_for) is over, once it is.
    fn retire_taken(&self, last: &mut Last, now: Timestamp) -> anyhow::Result<()> {
        let Some((endpoint_id, secret)) = &last.taken else {
            return Ok(());
        };
        if self.store.has_replaced(endpoint_id, now)? {
            self.store.retire(endpoint_id, secret)?;
            last.taken = None;
        }
        Ok(())
    }

    /// Reads all of them again. What cannot be read counts as it was when it could be.
    pub(super) fn refresh(&self) {
        self.read_again(secret::from_file);
    }

    /// As [`refresh`](Self::refresh), because the user asks for it: a file that holds nothing any more, or is gone, takes its secrets
    /// back. Unasked it may be about to be written.
    fn reload(&self) {
        self.read_again(secret::from_file_again);
    }

    fn read_again(&self, read: impl Fn(&Path) -> Result<Vec<Secret>, Failure>) {
        let mut last = self.last();
        for (file, secrets) in self.files.iter().zip(&mut last.files) {
            match read(file) {
                Ok(read) => {
                    if read.is_empty() && !secrets.is_empty() {
                        tracing::warn!(
                            file = %file.display(),
                            "this file holds no secret any more: those it held are no longer accepted"
                        );
                    }
                    *secrets = read;
                }
                // One that was taken back stays so.
                Err(_) if secrets.is_empty() => {}
                Err(error) => {
                    tracing::error!(
                        "secrets could not be read again, those in force stay: {error}"
                    );
                }
            }
        }
        let now = Timestamp::now();
        if let Err(error) = self.retire_taken(&mut last, now) {
            tracing::error!("a secret that is over could not be written down as that: {error:#}");
        }
        // Later than whatever was written just now.
        let now = Timestamp::now();
        match self
            .store
            .accepted(now)
            .and_then(|read| Ok((read, self.store.retired(now)?)))
        {
            Ok((kept, retired)) => {
                last.kept = kept;
                last.retired = retired;
            }
            Err(error) => {
                tracing::error!("secrets could not be read again, those in force stay: {error:#}");
            }
        }
        self.enforce(&mut last);
    }

    /// Brings a secret into force that could not be kept, until the process ends.
    pub(super) fn hold(&self, secret: Secret) {
        let mut last = self.last();
        last.held.push(secret);
        self.enforce(&mut last);
    }

    /// Looks at the store several times a second, so that a replaced secret is known before HeyGen has much to send with
    /// it, and reads everything again on SIGHUP and when the time of an old secret is over.
    ///
    /// `rejected` is the file of what was turned away: some of it may verify now. A secret that can be guessed matters where others
    /// than this machine can send, which `is_exposed` tells. `reloaded` counts what was read on SIGHUP, for what must not be read
    /// before.
    pub(super) async fn keep_fresh(
        self,
        mut hangups: watch::Receiver<u64>,
        rejected: PathBuf,
        is_exposed: bool,
        reloaded: watch::Sender<u64>,
    ) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stamp = self.stamp.clone();
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
            match is_asked {
                true => self.reload(),
                false => self.refresh(),
            }
            if is_asked {
                reloaded.send_modify(|count| *count += 1);
            }
            if is_asked && is_exposed {
                self.active
                    .get()
                    .iter()
                    .for_each(|all| secret::warn_of_short(all));
            }
            if is_asked || has_changed {
                let secrets = self.active.get().map_or(0, |secrets| secrets.len());
                tracing::info!(secrets, "secrets read again");
                let rejected = rejected.clone();
                tokio::task::spawn_blocking(move || tell_rejected(&rejected));
            }
        }
    }

    fn enforce(&self, last: &mut Last) {
        let files = last.files.iter().flatten();
        let configured = last.environment.iter().chain(files);
        let (withdrawn, all): (Vec<_>, Vec<_>) =
            configured.partition(|secret| secret::is_one_of(secret, &last.retired));
        if withdrawn.len() > last.withdrawn {
            tracing::warn!(
                secrets = withdrawn.len(),
                "a secret of HEYGEN_WEBHOOK_SECRET or a --secret-file was replaced at HeyGen and its time is over: it is no longer \
                 accepted; take it out there"
            );
        }
        last.withdrawn = withdrawn.len();
        let all = all.into_iter().chain(&last.kept).chain(&last.held).cloned();
        match Secrets::from_iter(all) {
            Some(secrets) => self.active.set(secrets),
            None if self.active.get().is_some() => {
                tracing::warn!("no signing secret is left: deliveries are answered 503");
                self.active.clear();
            }
            None => {}
        }
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Points to what a wrong secret may have turned away.
fn tell_rejected(path: &Path) {
    // The file is looked at for a hint and nothing more: one that cannot be read is told by those who need it.
    let found = RejectedFile::open(path).and_then(|file| match file {
        Some(file) => file.list(None),
        None => Ok(Vec::new()),
    });
    let found = found.unwrap_or_default();
    let may_verify = |post: &&RejectedSummary| post.is_signed && post.body_bytes.is_some();
    let posts = found.iter().filter(may_verify).count();
    if posts > 0 {
        tracing::info!(
            posts,
            "signed posts that were turned away may verify now: `inbox rejected reverify` takes them in"
        );
    }
}

const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Once a minute also without a change, for secrets whose time is over.
const RELOAD_TICKS: u32 = 240;
