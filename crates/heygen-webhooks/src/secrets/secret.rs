//! The secrets of a command: from the environment, from files and from the store, never from a flag, which every process
//! list would show. [`SecretSources`] reads them again while a server runs.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use heygen_connect::{SecretStore, SecretStoreStamp, StoredSecrets};
use heygen_inbox::private_file::is_open_to_others;
use heygen_inbox::sqlite::{RejectedFile, RejectedSummary};
use heygen_receiver::ActiveSecrets;
use heygen_signature::{Secret, Secrets};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::failure::{Failure, error_chain};
use crate::settings::file::File;
use crate::settings::location;
use crate::settings::origin;
use crate::settings::written;

/// Every secret of `HEYGEN_WEBHOOK_SECRET` and of the files, in this order.
pub(crate) fn configured(files: &[PathBuf]) -> Result<Vec<Secret>, Failure> {
    let mut secrets = from_environment()?;
    for file in files {
        secrets.extend(from_file(OPTION, file)?);
    }
    Ok(secrets)
}

/// Every secret that a `serve` started now would accept: as [`configured`], and those that HeyGen gave and that were stored.
pub(crate) fn accepted(files: &[PathBuf], store: &SecretStore) -> Result<Option<Secrets>, Failure> {
    let mut secrets = configured(files)?;
    let stored = store.read(SystemTime::now())?;
    secrets.retain(|secret| !is_one_of(secret, &stored.retired));
    Ok(Secrets::collect(secrets.into_iter().chain(stored.accepted)))
}

/// The secrets of receivers, as far as a process without one knows them: those it must not sign with what HeyGen did not sign.
pub(crate) fn of_receivers(
    files: &[PathBuf],
    store: &SecretStore,
) -> Result<ActiveSecrets, Failure> {
    let known = accepted(files, store)?;
    Ok(known.map_or_else(ActiveSecrets::none, ActiveSecrets::from))
}

pub(crate) fn is_one_of(secret: &Secret, others: &[Secret]) -> bool {
    others.iter().any(|other| other.expose() == secret.expose())
}

/// Warns of each secret that could be guessed.
pub(crate) fn warn_of_short(secrets: &Secrets) {
    let short = secrets.iter();
    let short = short.filter(|secret| secret.expose().trim_start_matches("whsec_").len() < MIN_LEN);
    match short.count() {
        0 => {}
        count => tracing::warn!(
            secrets = count,
            "a signing secret has fewer than {MIN_LEN} characters and could be guessed: use a longer one"
        ),
    }
}

/// As [`accepted`] by the `serve` of the configuration file, for commands that cannot do without.
pub(crate) fn require(files: &[PathBuf], file: &File, otherwise: &str) -> Result<Secrets, Failure> {
    let store = SecretStore::beside(&location::of_serve(file)?.beside());
    accepted(files, &store)?.ok_or_else(|| {
        Failure::usage(format!(
            "no signing secret: set {VARIABLE}, or name a file with --secret-file{otherwise}"
        ))
    })
}

/// Warns once of each file that others can read.
pub(crate) fn warn_of_open_files(files: &[PathBuf]) {
    for file in files.iter().filter(|file| is_open_to_others(file)) {
        tracing::warn!(
            "other users can read secret file {0}: chmod 600 {0}",
            file.display()
        );
    }
}

/// The secrets of the file for what is sent on.
pub(crate) fn read_file(file: &Path) -> Result<Secrets, Failure> {
    let secrets = Secrets::collect(from_file(FORWARD_OPTION, file)?);
    secrets.ok_or_else(|| Failure::usage(format!("secret file {} is empty", file.display())))
}

fn from_environment() -> Result<Vec<Secret>, Failure> {
    let Some(text) = written::variable(VARIABLE)? else {
        return Ok(Vec::new());
    };
    // A name may stand before all of them.
    let all = match text.contains(',') {
        true => written::without_name(&text, written::is_webhook_secret),
        false => &text,
    };
    Ok(all
        .split(',')
        .filter_map(|text| Secret::new(value(text, VARIABLE)).ok())
        .collect())
}

/// Every secret of the file that `option` names, while a process runs: one that holds none any more, or is gone, takes them back.
/// Only what cannot be read is an error.
pub(crate) fn from_file_again(option: &str, file: &Path) -> Result<Vec<Secret>, Failure> {
    match file.try_exists() {
        Ok(false) => Ok(Vec::new()),
        Ok(true) | Err(_) => all_of(option, file),
    }
}

/// Every secret of the file that `option` names, which has one at least.
fn from_file(option: &str, file: &Path) -> Result<Vec<Secret>, Failure> {
    let secrets = all_of(option, file)?;
    if secrets.is_empty() {
        return Err(anyhow::anyhow!(
            "{}: secret file {} is empty: put one secret per line",
            origin::name(option),
            file.display()
        )
        .into());
    }
    Ok(secrets)
}

fn all_of(option: &str, file: &Path) -> Result<Vec<Secret>, Failure> {
    let source = format!("secret file {}", file.display());
    let text = written::read_of(option, "secret file", file)?;
    let values = written::lines(&text)
        .map(|(line, number)| value(line, &format!("{source}, line {number}")));
    Ok(values.filter_map(|text| Secret::new(text).ok()).collect())
}

fn value<'a>(written: &'a str, source: &str) -> &'a str {
    written::value(written, written::is_webhook_secret, "the secret", source)
}

/// Environment and files, which the user changes, and the store, which `serve` itself and `endpoints` change. Clones share
/// what is in force.
#[derive(Clone, Debug)]
pub(crate) struct SecretSources {
    files: Vec<PathBuf>,
    pub(crate) store: SecretStore,
    pub(crate) active: ActiveSecrets,
    last: Arc<Mutex<Last>>,
    /// Held while the sources are read, so that nothing older follows what is newer.
    reading: Arc<Mutex<()>>,
}

/// What each source said when it could be read last: one that cannot be read now takes nothing from the others.
#[derive(Debug, Default)]
struct Last {
    environment: Vec<Secret>,
    /// In the order of the files.
    files: Vec<Vec<Secret>>,
    stored: StoredSecrets,
    /// Of the store when it was last read.
    stamp: SecretStoreStamp,
    /// The endpoint for whose secret the only one of environment and files was taken, and that secret.
    taken: Option<(String, Secret)>,
    /// How many of environment and files are not accepted for that.
    withdrawn: usize,
    /// From HeyGen, and stored nowhere, because that failed.
    held: Vec<Secret>,
}

impl Last {
    fn configured(&self) -> impl Iterator<Item = &Secret> {
        self.environment.iter().chain(self.files.iter().flatten())
    }
}

impl SecretSources {
    /// Brings all of them into force. At the start each has to be readable.
    pub(crate) fn load(files: &[PathBuf], store: SecretStore) -> Result<Self, Failure> {
        let files_read: Result<_, Failure> =
            files.iter().map(|file| from_file(OPTION, file)).collect();
        let last = Last {
            // Before it is read, so that no change in between is missed.
            stamp: store.stamp(),
            environment: from_environment()?,
            files: files_read?,
            stored: store.read(SystemTime::now())?,
            ..Last::default()
        };
        warn_of_open_files(files);
        let sources = Self {
            files: files.to_vec(),
            store,
            active: ActiveSecrets::none(),
            last: Arc::new(Mutex::new(last)),
            reading: Arc::default(),
        };
        sources.enforce(&mut sources.last());
        Ok(sources)
    }

    /// Whether the user gave a secret, by the environment or a file.
    pub(crate) fn has_configured(&self) -> bool {
        let last = self.last();
        !last.environment.is_empty() || !last.files.is_empty()
    }

    /// Takes the secret that the user gave for that of this endpoint, which HeyGen does not show again. Where it is the only one, it
    /// ends when the endpoint's is replaced and the overlap is over.
    pub(crate) fn take_configured_for(&self, endpoint_id: &str) {
        let mut last = self.last();
        let configured: Vec<_> = last.configured().cloned().collect();
        last.taken = match configured.as_slice() {
            [only] => Some((endpoint_id.to_owned(), only.clone())),
            _ => None,
        };
    }

    /// Reads all of them again. What cannot be read counts as it was when it could be.
    pub(crate) fn refresh(&self) {
        self.read_again(false);
    }

    /// Where the user asks for it, a file that holds nothing any more, or is gone, takes its secrets back. Unasked it may be about to
    /// be written.
    fn read_again(&self, is_asked: bool) {
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        // A disk that hangs must not hold up tasks that ask what is in force: they wait for `last`.
        let (mut files_read, taken) = {
            let last = self.last();
            (last.files.clone(), last.taken.clone())
        };
        let read = match is_asked {
            true => from_file_again,
            false => from_file,
        };
        let is_read_once = match is_asked {
            true => written::stays_as_read,
            false => written::is_read_once,
        };
        let files = self.files.iter().zip(&mut files_read);
        for (file, secrets) in files.filter(|(file, _)| !is_read_once(file)) {
            match read(OPTION, file) {
                Ok(read) => {
                    if read.is_empty() && !secrets.is_empty() {
                        tracing::warn!(
                            file = %file.display(),
                            "secret file is empty now: its previous secrets are no longer accepted"
                        );
                    }
                    *secrets = read;
                }
                // One that was taken back stays so.
                Err(_) if secrets.is_empty() => {}
                Err(error) => {
                    tracing::error!(
                        "could not reload secrets, the previous ones stay in effect: {error}"
                    );
                }
            }
        }
        let is_retired = taken.is_some_and(|(endpoint_id, secret)| {
            let retired = (self.store).retire_replaced(&endpoint_id, &secret, SystemTime::now());
            retired.unwrap_or_else(|error| {
                let error = error_chain(&error);
                tracing::error!("could not record that a secret has expired: {error}");
                false
            })
        });
        // Later than whatever was written just now.
        let stored = self.store.read(SystemTime::now());
        let mut last = self.last();
        last.files = files_read;
        if is_retired {
            last.taken = None;
        }
        match stored {
            Ok(stored) => last.stored = stored,
            Err(error) => {
                let error = error_chain(&error);
                tracing::error!(
                    "could not reload secrets, the previous ones stay in effect: {error}"
                );
            }
        }
        self.enforce(&mut last);
    }

    /// Brings a secret into force that could not be stored, until the process ends.
    pub(crate) fn hold(&self, secret: Secret) {
        let mut last = self.last();
        last.held.push(secret);
        self.enforce(&mut last);
    }

    /// Looks at the store several times a second, so that a replaced secret is known before HeyGen has much to send with
    /// it, and reads everything again on SIGHUP and when the time of an old secret is over.
    ///
    /// `rejected` is the file of what was rejected: some of it may verify now. A secret that can be guessed matters where others
    /// than this machine can send, which `is_exposed` tells. `reloaded` counts what was read on SIGHUP, for what must not be read
    /// before.
    pub(crate) async fn keep_fresh(
        self,
        mut hangups: watch::Receiver<u64>,
        rejected: PathBuf,
        is_exposed: bool,
        reloaded: watch::Sender<u64>,
    ) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ticks_until_reload = RELOAD_TICKS;
        loop {
            let is_asked = tokio::select! {
                _ = ticks.tick() => false,
                changed = hangups.changed() => match changed {
                    Ok(()) => true,
                    Err(_) => return,
                },
            };
            ticks_until_reload -= 1;
            let is_due = ticks_until_reload == 0;
            let (sources, rejected, reloaded) = (self.clone(), rejected.clone(), reloaded.clone());
            // A disk that hangs holds up no other task.
            let looking = tokio::task::spawn_blocking(move || {
                let has_changed = sources.has_changed();
                if !is_asked && !has_changed && !is_due {
                    return false;
                }
                sources.read_again(is_asked);
                let secrets = sources.active.get();
                if is_asked {
                    reloaded.send_modify(|count| *count += 1);
                }
                if is_asked && is_exposed {
                    secrets.iter().for_each(|all| warn_of_short(all));
                }
                if is_asked || has_changed {
                    let secrets = secrets.map_or(0, |secrets| secrets.len());
                    tracing::info!(secrets, "secrets reloaded");
                    if is_asked && let Some(config) = origin::file() {
                        tracing::info!(
                            config = %config.display(),
                            "the configuration file is read at the start only: restart to bring its changes into force"
                        );
                    }
                    tokio::task::spawn_blocking(move || log_rejected(&rejected));
                }
                true
            });
            // A panic was logged.
            if looking.await.unwrap_or(true) {
                ticks_until_reload = RELOAD_TICKS;
            }
        }
    }

    fn has_changed(&self) -> bool {
        let now = self.store.stamp();
        let before = std::mem::replace(&mut self.last().stamp, now.clone());
        before != now
    }

    fn enforce(&self, last: &mut Last) {
        let is_withdrawn = |secret: &&Secret| is_one_of(secret, &last.stored.retired);
        let withdrawn = last.configured().filter(is_withdrawn).count();
        let all = self.in_force(last).into_iter();
        match Secrets::collect(all.map(|(_, secret)| secret)) {
            Some(secrets) => self.active.set(secrets),
            None if self.active.get().is_some() => {
                self.active.clear();
                tracing::warn!("no signing secret is left: deliveries are answered with 503");
            }
            None => {}
        }
        // Once it is so.
        if withdrawn > last.withdrawn {
            tracing::warn!(
                secrets = withdrawn,
                "a secret of HEYGEN_WEBHOOK_SECRET or a --secret-file was rotated at HeyGen and has expired: it is no longer accepted; remove it"
            );
        }
        last.withdrawn = withdrawn;
    }

    /// Every secret in force, by where it comes from.
    pub(crate) fn named(&self) -> Vec<(String, Secret)> {
        self.in_force(&self.last())
    }

    fn in_force(&self, last: &Last) -> Vec<(String, Secret)> {
        let named = |name: &str, secrets: &[Secret]| -> Vec<_> {
            let secrets = secrets.iter().cloned();
            secrets.map(|secret| (name.to_owned(), secret)).collect()
        };
        let mut all = named(VARIABLE, &last.environment);
        for (file, secrets) in self.files.iter().zip(&last.files) {
            all.extend(named(&file.display().to_string(), secrets));
        }
        all.retain(|(_, secret)| !is_one_of(secret, &last.stored.retired));
        for secrets in [&last.stored.accepted, &last.held] {
            all.extend(named("the endpoint's secret from HeyGen", secrets));
        }
        all
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Points to requests that a wrong secret may have rejected.
fn log_rejected(path: &Path) {
    // The file is looked at for a hint and nothing more: commands that need it report one that cannot be read.
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
            "rejected requests may verify now: run `inbox rejected reverify`"
        );
    }
}

const VARIABLE: &str = "HEYGEN_WEBHOOK_SECRET";

const OPTION: &str = "secret-file";
pub(crate) const FORWARD_OPTION: &str = "forward-secret-file";

/// Below this a secret can be found by trying.
const MIN_LEN: usize = 16;

const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Once a minute also without a change, for secrets whose time is over.
const RELOAD_TICKS: u32 = 240;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("secret");
        fs::write(&file, text).expect("a file");
        let read = from_file(OPTION, &file).map(|secrets| {
            secrets
                .iter()
                .map(|secret| secret.expose().to_owned())
                .collect::<Vec<_>>()
        });
        match read {
            Ok(secrets) => assert_eq!(secrets, expected),
            Err(_) => assert!(expected.is_empty(), "{text:?} was refused"),
        }
    }

    /// A pipe that no one writes to stands for a disk that hangs.
    #[cfg(unix)]
    #[test]
    fn disk_that_hangs_holds_up_no_one_who_asks_what_is_in_force() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = SecretStore::beside(&folder.path().join("inbox.db"));
        let sources = SecretSources::load(&[], store).expect("nothing to read");
        let pipe = sources.store.path().to_owned();
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo").success());
        let reader = std::thread::spawn({
            let sources = sources.clone();
            move || sources.refresh()
        });
        // It opens once someone reads, who then waits for what is never written.
        let writer = fs::OpenOptions::new().write(true).open(&pipe);
        assert!(sources.last.try_lock().is_ok());
        drop(writer.expect("a pipe"));
        reader.join().expect("no panic");
    }

    #[test]
    fn a_secret_a_line() {
        check("whsec_a", &["whsec_a"]);
        check("whsec_a\n", &["whsec_a"]);
        check(
            "# old\r\nwhsec_a==\r\n\r\n  whsec_b \r\n",
            &["whsec_a==", "whsec_b"],
        );
        check("\u{feff}whsec_a\r\n", &["whsec_a"]);
        check(
            "\u{feff}# old\nHEYGEN_WEBHOOK_SECRET=whsec_a\nwhsec_b\u{200b}\n",
            &["whsec_a", "whsec_b"],
        );
        check("", &[]);
        check("\u{feff}\n", &[]);
        check("\n \n# none\n", &[]);
    }
}
