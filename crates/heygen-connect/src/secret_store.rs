//! [`SecretStore`]: the secrets HeyGen gave us for our endpoints, in a file of their own beside the inbox.
//!
//! HeyGen shows a secret once, when an endpoint is created or its secret replaced. The file belongs to its owner alone
//! (0600) and is replaced whole, so that a reader never sees half of it.

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

/// The secrets file of one inbox. Every method reads or writes it and blocks for as long as the disk takes.
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
/// // HeyGen may retry what it signed with the replaced secret: accept that for a day.
/// store.insert("endpoint-1", "https://hooks.example/heygen", "whsec_new", Duration::from_secs(86_400))?;
/// assert_eq!(store.read(SystemTime::now())?.accepted.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SecretStore {
    path: PathBuf,
}

/// What a [`SecretStore`] holds.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct StoredSecrets {
    /// Every secret that is accepted, the newest first.
    pub accepted: Vec<Secret>,
    /// Every secret that was replaced, whose overlap has ended, and that is accepted for no other endpoint. One that is
    /// configured elsewhere too is known to be invalid only from here.
    pub retired: Vec<Secret>,
}

/// One secret of one endpoint.
#[derive(Clone, Deserialize, Serialize)]
struct Entry {
    endpoint_id: String,
    url: String,
    secret: String,
    kept_at: Timestamp,
    /// Set when another secret replaced it: until then deliveries signed with it are accepted.
    accepted_until: Option<Timestamp>,
    /// How long the secret that this one replaced is accepted, wherever that is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous_until: Option<Timestamp>,
}

#[derive(Default, Deserialize, Serialize)]
struct Content {
    secrets: Vec<Entry>,
}

/// Differs when the file of a [`SecretStore`] has changed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SecretStoreStamp(Option<(SystemTime, u64)>);

impl SecretStore {
    /// The file that belongs to this inbox: its name with `.secrets.json` added. It need not exist.
    #[must_use]
    pub fn beside(inbox: &Path) -> Self {
        Self {
            path: private_file::beside(inbox, ".secrets.json"),
        }
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is accepted at `now`, and what no longer is.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is not a file of secrets. One that is missing or empty holds none.
    pub fn read(&self, now: SystemTime) -> Result<StoredSecrets, ConnectError> {
        let now = timestamp(now);
        let mut secrets = self.content()?.secrets;
        secrets.sort_by_key(|entry| std::cmp::Reverse(entry.kept_at));
        let (accepted, mut retired): (Vec<_>, Vec<_>) = secrets
            .into_iter()
            .partition(|entry| entry.is_accepted(now));
        retired.retain(|entry| accepted.iter().all(|one| one.secret != entry.secret));
        let secrets = |entries: Vec<Entry>| {
            let secrets = entries.into_iter().map(|entry| Secret::new(entry.secret));
            secrets.filter_map(Result::ok).collect()
        };
        Ok(StoredSecrets {
            accepted: secrets(accepted),
            retired: secrets(retired),
        })
    }

    /// Whether the present secret of the endpoint is stored.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn knows(&self, endpoint_id: &str) -> Result<bool, ConnectError> {
        let secrets = self.content()?.secrets;
        Ok(secrets.iter().any(|entry| entry.is_present(endpoint_id)))
    }

    /// Proves that a secret could be stored, before HeyGen is asked for one that it shows only once.
    ///
    /// # Errors
    ///
    /// The file cannot be read or written, or is not a file of secrets.
    pub fn check_writable(&self) -> Result<(), ConnectError> {
        let _lock = self.lock()?;
        let mut content = self.content()?;
        // As much as one more would take.
        content.secrets.push(Entry {
            previous_until: Some(Timestamp::now()),
            ..Entry::new(&"0".repeat(64), &"0".repeat(1024), &"0".repeat(128))
        });
        let tried = content
            .text()
            .and_then(|text| private_file::try_replace(&self.path, &text));
        tried.map_err(|error| self.failed("write", error))
    }

    /// Stores the secret of an endpoint. One that was stored for it before is accepted for `overlap` longer, because HeyGen
    /// may retry a delivery that was signed with it.
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
    ) -> Result<(), ConnectError> {
        let until = after(overlap);
        self.change(|content| {
            content.secrets.retain(|entry| entry.secret != secret);
            for entry in &mut content.secrets {
                if entry.is_present(endpoint_id) {
                    entry.accepted_until = Some(until);
                }
            }
            content.secrets.push(Entry {
                previous_until: Some(until),
                ..Entry::new(endpoint_id, url, secret)
            });
            content.remove_old(Timestamp::now());
        })
    }

    /// Records that a secret which is configured elsewhere, and was that of this endpoint, is no longer valid, once the one
    /// that replaced it here was stored and the overlap has ended at `now`. Whether it did.
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
        let has_replaced = |entry: &Entry| entry.is_present(endpoint_id) && is_over(entry);
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

    /// Removes every accepted secret of an endpoint that was deleted; whether there was one. Those that were retired stay
    /// known as such.
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

    /// Records that HeyGen signs with a secret that was not stored here: the stored one is accepted for `overlap` longer.
    /// Whether there was one.
    ///
    /// # Errors
    ///
    /// As [`check_writable`](Self::check_writable).
    pub fn mark_replaced(
        &self,
        endpoint_id: &str,
        overlap: Duration,
    ) -> Result<bool, ConnectError> {
        self.expire(overlap, |entry| entry.endpoint_id == endpoint_id)
    }

    /// Records which endpoints HeyGen lists: secrets of this address and of other endpoints are accepted for `overlap`
    /// longer. Whether there were any.
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
        self.expire(overlap, |entry| {
            same_address(&entry.url, url) && !listed.contains(&entry.endpoint_id.as_str())
        })
    }

    /// What changes with the file, without reading it.
    #[must_use]
    pub fn stamp(&self) -> SecretStoreStamp {
        let metadata = fs::metadata(&self.path).ok();
        SecretStoreStamp(
            metadata.and_then(|metadata| Some((metadata.modified().ok()?, metadata.len()))),
        )
    }

    /// Waits until no other process changes what stands beside the inbox, and keeps them from it until the file is dropped.
    ///
    /// # Errors
    ///
    /// The file of the lock cannot be made or locked.
    pub fn lock(&self) -> Result<File, ConnectError> {
        let path = private_file::beside(&self.path, ".lock");
        let locked = private_file::open(&path).and_then(|file| file.lock().map(|()| file));
        locked.map_err(|error| self.failed("write", error))
    }

    fn content(&self) -> Result<Content, ConnectError> {
        let text = match fs::read_to_string(&self.path) {
            // Emptied, it takes back what it held, as when it is deleted.
            Ok(text) if text.trim().is_empty() => return Ok(Content::default()),
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::default()),
            Err(error) => return Err(self.failed("read", error)),
        };
        // The parser's own message could quote a secret.
        serde_json::from_str(&text).map_err(|error| {
            let (path, line) = (self.path.display(), error.line());
            let message = format!("{path} is not a file of secrets (line {line})");
            ConnectError::new(ConnectErrorKind::SecretStore, message)
        })
    }

    /// Ends what is present and meant after `overlap`; whether anything was. Otherwise nothing is written.
    fn expire(
        &self,
        overlap: Duration,
        is_meant: impl Fn(&Entry) -> bool,
    ) -> Result<bool, ConnectError> {
        let is_meant = |entry: &Entry| entry.accepted_until.is_none() && is_meant(entry);
        if !self.content()?.secrets.iter().any(is_meant) {
            return Ok(false);
        }
        let until = after(overlap);
        self.change(|content| {
            for entry in &mut content.secrets {
                if is_meant(entry) {
                    entry.accepted_until = Some(until);
                }
            }
        })?;
        Ok(true)
    }

    /// One change at a time, also over processes.
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

    /// Limits how many are remembered whose time is over, so that a secret replaced every day does not fill the file.
    fn remove_old(&mut self, now: Timestamp) {
        let mut retired = self.secrets.iter().filter(|entry| !entry.is_accepted(now));
        // The oldest stand first.
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
        }
    }

    fn is_accepted(&self, now: Timestamp) -> bool {
        self.accepted_until.is_none_or(|until| now < until)
    }

    fn is_present(&self, endpoint_id: &str) -> bool {
        self.endpoint_id == endpoint_id && self.accepted_until.is_none()
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
