//! [`SecretStore`]: the secrets of the registered endpoints, in a file next to the inbox.
//!
//! HeyGen shows a secret only once, when an endpoint is created or its secret is rotated. The file
//! has mode 0600 and is replaced atomically, so readers never see half of it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use heygen_inbox::private_file;
use heygen_signature::Secret;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::address::same_address;
use crate::error::{ConnectError, ConnectErrorKind};

/// The secrets file of one inbox. Every method does blocking file I/O.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use heygen_connect::SecretStore;
///
/// # let folder = tempfile::tempdir()?;
/// # let inbox = folder.path().join("inbox.db");
/// let store = SecretStore::beside(&inbox);
/// store.insert("endpoint-1", "https://hooks.example/heygen", "whsec_old", Duration::ZERO)?;
/// // HeyGen may retry deliveries signed with the old secret: accept it for a day.
/// store.insert("endpoint-1", "https://hooks.example/heygen", "whsec_new", Duration::from_secs(86_400))?;
/// assert_eq!(store.read(SystemTime::now())?.accepted.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SecretStore {
    path: PathBuf,
}

/// The secrets of a [`SecretStore`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct StoredSecrets {
    /// Every accepted secret, newest first.
    pub accepted: Vec<Secret>,
    /// Every replaced secret whose overlap has ended, unless another endpoint has it. If such a
    /// secret is still configured elsewhere, only this list says that it is invalid. One whose
    /// endpoint HeyGen no longer lists is not in it: the endpoint may be that of another account.
    pub retired: Vec<Secret>,
    /// The ids of the endpoints whose current secret is stored.
    pub endpoint_ids: Vec<String>,
}

/// One secret of one endpoint.
#[derive(Clone, Deserialize, Serialize)]
struct Entry {
    endpoint_id: String,
    url: String,
    secret: String,
    kept_at: Timestamp,
    /// Set when the secret is replaced: it is accepted until then.
    accepted_until: Option<Timestamp>,
    /// Until when the replaced secret is accepted, wherever it is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous_until: Option<Timestamp>,
    /// Whether it expires only because HeyGen did not list the endpoint.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_unlisted: bool,
}

/// An endpoint whose secret is not stored yet: HeyGen was asked to create it.
#[derive(Deserialize, Serialize)]
pub(crate) struct Creation {
    url: String,
    pub(crate) idempotency_key: String,
    pub(crate) begun_at: Timestamp,
    /// Whether HeyGen answered 5xx.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_failed: bool,
}

#[derive(Default, Deserialize, Serialize)]
struct Content {
    secrets: Vec<Entry>,
    /// At most one for every URL, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    creations: Vec<Creation>,
}

/// A stamp of the file of a [`SecretStore`]. It changes with the file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SecretStoreStamp(Option<(SystemTime, u64)>);

impl SecretStore {
    /// The secrets file of this inbox: its path plus `.secrets.json`. It need not exist.
    #[must_use]
    pub fn beside(inbox: &Path) -> Self {
        Self {
            path: private_file::with_suffix(inbox, ".secrets.json"),
        }
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The secrets that are accepted at `now`, and the retired ones.
    ///
    /// # Errors
    ///
    /// The file cannot be read or is not a secrets file. A missing or empty file has no secrets.
    pub fn read(&self, now: SystemTime) -> Result<StoredSecrets, ConnectError> {
        let now = timestamp(now);
        let mut secrets = self.content()?.secrets;
        secrets.sort_by_key(|entry| std::cmp::Reverse(entry.kept_at));
        let current = secrets
            .iter()
            .filter(|entry| entry.accepted_until.is_none());
        let endpoint_ids = current.map(|entry| entry.endpoint_id.clone()).collect();
        let (accepted, mut retired): (Vec<_>, Vec<_>) = secrets
            .into_iter()
            .partition(|entry| entry.is_accepted(now));
        retired.retain(|entry| {
            !entry.is_unlisted && accepted.iter().all(|one| one.secret != entry.secret)
        });
        let secrets = |entries: Vec<Entry>| {
            let secrets = entries.into_iter().map(|entry| Secret::new(entry.secret));
            secrets.filter_map(Result::ok).collect()
        };
        Ok(StoredSecrets {
            accepted: secrets(accepted),
            retired: secrets(retired),
            endpoint_ids,
        })
    }

    /// Whether the current secret of the endpoint is stored.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn knows(&self, endpoint_id: &str) -> Result<bool, ConnectError> {
        let secrets = self.content()?.secrets;
        Ok(secrets.iter().any(|entry| entry.is_current(endpoint_id)))
    }

    /// Whether a secret of an endpoint with this URL is stored and accepted at `now`: whether it was
    /// registered before.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn has_accepted(&self, url: &str, now: SystemTime) -> Result<bool, ConnectError> {
        let now = timestamp(now);
        let is_its = |entry: &Entry| entry.is_accepted(now) && same_address(&entry.url, url);
        Ok(self.content()?.secrets.iter().any(is_its))
    }

    /// Checks that a secret can be stored, before HeyGen is asked for one that it shows only once.
    ///
    /// # Errors
    ///
    /// The file cannot be read or written, or is not a secrets file.
    pub fn check_writable(&self) -> Result<(), ConnectError> {
        let _lock = self.lock()?;
        let mut content = self.content()?;
        // As large as one more secret.
        content.secrets.push(Entry {
            previous_until: Some(Timestamp::now()),
            ..Entry::new(&"0".repeat(64), &"0".repeat(1024), &"0".repeat(128))
        });
        let tried = content
            .text()
            .and_then(|text| private_file::try_replace(&self.path, &text));
        tried.map_err(|error| self.failed("write", error))
    }

    /// Records that HeyGen is asked to create the endpoint of this URL, until its secret is stored.
    pub(crate) fn begin_creation(
        &self,
        url: &str,
        idempotency_key: &str,
        begun_at: SystemTime,
    ) -> Result<(), ConnectError> {
        self.change(|content| {
            content.end_creation(url);
            let excess = (content.creations.len() + 1).saturating_sub(MAX_CREATIONS);
            content.creations.drain(..excess);
            content.creations.push(Creation {
                url: url.to_owned(),
                idempotency_key: idempotency_key.to_owned(),
                begun_at: timestamp(begun_at),
                is_failed: false,
            });
        })
    }

    /// Records that HeyGen answered 5xx to that request.
    pub(crate) fn fail_creation(&self, url: &str) -> Result<(), ConnectError> {
        self.change(|content| {
            for creation in &mut content.creations {
                creation.is_failed |= same_address(&creation.url, url);
            }
        })
    }

    /// Records that HeyGen has no secret for that request.
    pub(crate) fn end_creation(&self, url: &str) -> Result<(), ConnectError> {
        self.change(|content| content.end_creation(url))
    }

    /// The request to create the endpoint of this URL, if its secret is not stored.
    pub(crate) fn creation(&self, url: &str) -> Result<Option<Creation>, ConnectError> {
        let mut creations = self.content()?.creations.into_iter();
        Ok(creations.find(|creation| same_address(&creation.url, url)))
    }

    /// Stores the secret of an endpoint. The one before is accepted for `overlap` longer, because
    /// HeyGen may retry deliveries signed with it. Whether there was one.
    ///
    /// # Errors
    ///
    /// As [`check_writable`](Self::check_writable).
    pub fn insert(
        &self,
        endpoint_id: &str,
        url: &str,
        secret: &str,
        overlap: Duration,
    ) -> Result<bool, ConnectError> {
        let until = after(overlap);
        let mut has_replaced = false;
        self.change(|content| {
            content.secrets.retain(|entry| entry.secret != secret);
            for entry in &mut content.secrets {
                if entry.endpoint_id == endpoint_id && entry.is_replaceable() {
                    entry.accepted_until = Some(until);
                    entry.is_unlisted = false;
                    has_replaced = true;
                }
            }
            content.secrets.push(Entry {
                previous_until: Some(until),
                ..Entry::new(endpoint_id, url, secret)
            });
            content.end_creation(url);
            content.remove_old(Timestamp::now());
        })?;
        Ok(has_replaced)
    }

    /// Retires a secret of this endpoint that is configured elsewhere. It does so only if the
    /// secret that replaced it is stored here and the overlap has ended at `now`. Whether it did.
    ///
    /// # Errors
    ///
    /// As [`check_writable`](Self::check_writable).
    pub fn retire_replaced(
        &self,
        endpoint_id: &str,
        secret: &Secret,
        now: SystemTime,
    ) -> Result<bool, ConnectError> {
        let now = timestamp(now);
        let is_over = |entry: &Entry| entry.previous_until.is_some_and(|until| until <= now);
        let has_replaced = |entry: &Entry| entry.is_current(endpoint_id) && is_over(entry);
        if !self.content()?.secrets.iter().any(has_replaced) {
            return Ok(false);
        }
        let secret = secret.expose();
        self.change(|content| {
            if content.secrets.iter().all(|entry| entry.secret != secret) {
                content.secrets.push(Entry {
                    accepted_until: Some(Timestamp::now()),
                    ..Entry::new(endpoint_id, "", secret)
                });
            }
        })?;
        Ok(true)
    }

    /// Removes every accepted secret of a deleted endpoint. Whether there was one. Retired ones are
    /// kept.
    ///
    /// # Errors
    ///
    /// As [`check_writable`](Self::check_writable).
    pub fn remove(&self, endpoint_id: &str) -> Result<bool, ConnectError> {
        let now = Timestamp::now();
        let is_its = |entry: &Entry| entry.endpoint_id == endpoint_id && entry.is_accepted(now);
        if !self.content()?.secrets.iter().any(is_its) {
            return Ok(false);
        }
        self.change(|content| content.secrets.retain(|entry| !is_its(entry)))?;
        Ok(true)
    }

    /// Records that HeyGen signs with a secret that is not stored here. The stored one is accepted
    /// for `overlap` longer. Whether there was one.
    ///
    /// # Errors
    ///
    /// As [`check_writable`](Self::check_writable).
    pub fn mark_replaced(
        &self,
        endpoint_id: &str,
        overlap: Duration,
    ) -> Result<bool, ConnectError> {
        self.expire(overlap, false, |entry| entry.endpoint_id == endpoint_id)
    }

    /// Records which endpoints HeyGen lists. Secrets of unlisted endpoints with this URL are
    /// accepted for `overlap` longer. Whether there were any. An endpoint that is listed again has
    /// its secret back: the list was incomplete, or that of another account.
    ///
    /// # Errors
    ///
    /// As [`check_writable`](Self::check_writable).
    pub fn expire_unlisted(
        &self,
        url: &str,
        listed: &[&str],
        overlap: Duration,
    ) -> Result<bool, ConnectError> {
        let is_listed = |entry: &Entry| listed.contains(&entry.endpoint_id.as_str());
        let is_back = |entry: &Entry| entry.is_unlisted && is_listed(entry);
        if self.content()?.secrets.iter().any(is_back) {
            self.change(|content| content.restore(is_back))?;
        }
        self.expire(overlap, true, |entry| {
            same_address(&entry.url, url) && !is_listed(entry)
        })
    }

    /// A stamp that changes with the file. It does not read the file.
    #[must_use]
    pub fn stamp(&self) -> SecretStoreStamp {
        let metadata = fs::metadata(&self.path).ok();
        SecretStoreStamp(
            metadata.and_then(|metadata| Some((metadata.modified().ok()?, metadata.len()))),
        )
    }

    /// Locks the files next to the inbox against other processes, until the returned file is
    /// dropped. It waits for the lock.
    ///
    /// # Errors
    ///
    /// The lock file cannot be created or locked.
    pub fn lock(&self) -> Result<File, ConnectError> {
        let path = private_file::with_suffix(&self.path, ".lock");
        let locked = private_file::open(&path).and_then(|file| file.lock().map(|()| file));
        locked.map_err(|error| self.failed("write", error))
    }

    fn content(&self) -> Result<Content, ConnectError> {
        let text = match fs::read_to_string(&self.path) {
            // An emptied file has no secrets, like a deleted one.
            Ok(text) if text.trim().is_empty() => return Ok(Content::default()),
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::default()),
            Err(error) => return Err(self.failed("read", error)),
        };
        // The parser's own message could quote a secret.
        serde_json::from_str(&text).map_err(|error| {
            let (path, line) = (self.path.display(), error.line());
            let message = format!("{path} is not a secrets file (line {line})");
            ConnectError::new(ConnectErrorKind::SecretStore, message)
        })
    }

    /// Lets matching current secrets expire after `overlap`. Whether there were any; if not,
    /// nothing is written.
    fn expire(
        &self,
        overlap: Duration,
        is_unlisted: bool,
        is_match: impl Fn(&Entry) -> bool,
    ) -> Result<bool, ConnectError> {
        let is_changed = |entry: &Entry| match is_unlisted {
            true => entry.accepted_until.is_none(),
            false => entry.is_replaceable(),
        };
        let is_match = |entry: &Entry| is_changed(entry) && is_match(entry);
        if !self.content()?.secrets.iter().any(is_match) {
            return Ok(false);
        }
        let until = after(overlap);
        self.change(|content| {
            for entry in &mut content.secrets {
                if is_match(entry) {
                    entry.accepted_until = Some(until);
                    entry.is_unlisted = is_unlisted;
                }
            }
        })?;
        Ok(true)
    }

    /// Changes the file under the lock.
    fn change(&self, change: impl FnOnce(&mut Content)) -> Result<(), ConnectError> {
        let _lock = self.lock()?;
        let mut content = self.content()?;
        change(&mut content);
        let written = content
            .text()
            .and_then(|text| private_file::replace(&self.path, &text));
        written.map_err(|error| self.failed("write", error))
    }

    fn failed(&self, verb: &str, error: io::Error) -> ConnectError {
        let message = format!("cannot {verb} {}", self.path.display());
        ConnectError::new(ConnectErrorKind::SecretStore, message).with_source(error)
    }
}

impl Content {
    fn text(&self) -> io::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    fn end_creation(&mut self, url: &str) {
        self.creations
            .retain(|creation| !same_address(&creation.url, url));
    }

    /// Makes the newest matching secret of each endpoint the current one, unless it has one.
    fn restore(&mut self, is_match: impl Fn(&Entry) -> bool) {
        let current = self.secrets.iter();
        let current = current.filter(|entry| entry.accepted_until.is_none());
        let mut current: BTreeSet<_> = current.map(|entry| entry.endpoint_id.clone()).collect();
        // The newest are last.
        for entry in self.secrets.iter_mut().rev() {
            if is_match(entry) {
                entry.is_unlisted = false;
                if current.insert(entry.endpoint_id.clone()) {
                    entry.accepted_until = None;
                }
            }
        }
    }

    /// Limits the number of retired secrets, so that daily rotation does not fill the file.
    fn remove_old(&mut self, now: Timestamp) {
        let mut retired = self.secrets.iter().filter(|entry| !entry.is_accepted(now));
        // The oldest are first.
        if let Some(excess) = retired.clone().count().checked_sub(MAX_RETIRED)
            && let Some(last) = retired.nth(excess)
        {
            let last = last.kept_at;
            self.secrets
                .retain(|entry| entry.is_accepted(now) || entry.kept_at >= last);
        }
    }
}

impl Entry {
    fn new(endpoint_id: &str, url: &str, secret: &str) -> Self {
        Self {
            endpoint_id: endpoint_id.to_owned(),
            url: url.to_owned(),
            secret: secret.to_owned(),
            kept_at: Timestamp::now(),
            accepted_until: None,
            previous_until: None,
            is_unlisted: false,
        }
    }

    fn is_accepted(&self, now: Timestamp) -> bool {
        self.accepted_until.is_none_or(|until| now < until)
    }

    fn is_current(&self, endpoint_id: &str) -> bool {
        self.endpoint_id == endpoint_id && self.accepted_until.is_none()
    }

    /// Whether no other has replaced it. HeyGen may sign with an unlisted one until then.
    fn is_replaceable(&self) -> bool {
        self.accepted_until.is_none() || self.is_unlisted
    }
}

fn timestamp(time: SystemTime) -> Timestamp {
    time.try_into().unwrap_or(Timestamp::MAX)
}

fn after(overlap: Duration) -> Timestamp {
    Timestamp::now()
        .checked_add(overlap)
        .unwrap_or(Timestamp::MAX)
}

const MAX_RETIRED: usize = 100;

/// Tunnels have a new URL at every start.
const MAX_CREATIONS: usize = 16;
