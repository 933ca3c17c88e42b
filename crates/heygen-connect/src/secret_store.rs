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
use crate::secret_store_error::SecretStoreError;

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
    pub fn read(&self, now: SystemTime) -> Result<StoredSecrets, SecretStoreError> {
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
    pub fn knows(&self, endpoint_id: &str) -> Result<bool, SecretStoreError> {
        let secrets = self.content()?.secrets;
        Ok(secrets.iter().any(|entry| entry.is_present(endpoint_id)))
    }

    /// Proves that a secret could be stored, before HeyGen is asked for one that it shows only once.
    ///
    /// # Errors
    ///
    /// The file cannot be read or written, or is not a file of secrets.
    pub fn check_writable(&self) -> Result<(), SecretStoreError> {
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
        tried.map_err(|error| self.unwritten(error))
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
    ) -> Result<(), SecretStoreError> {
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

    /// Whether the secret of the endpoint replaced another whose overlap has ended at `now`.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn has_replaced(
        &self,
        endpoint_id: &str,
        now: SystemTime,
    ) -> Result<bool, SecretStoreError> {
        let now = timestamp(now);
        let is_over = |entry: &Entry| entry.previous_until.is_some_and(|until| until <= now);
        let has = |entry: &Entry| entry.is_present(endpoint_id) && is_over(entry);
        Ok(self.content()?.secrets.iter().any(has))
    }

    /// Records that a secret which was never stored here was that of this endpoint, and is no longer valid.
    ///
    /// # Errors
    ///
    /// As [`check_writable`](Self::check_writable).
    pub fn retire(&self, endpoint_id: &str, secret: &Secret) -> Result<(), SecretStoreError> {
        let secret = secret.expose();
        self.change(|content| {
            if content.secrets.iter().all(|entry| entry.secret != secret) {
                content.secrets.push(Entry {
                    accepted_until: Some(Timestamp::now()),
                    ..Entry::new(endpoint_id, "", secret)
                });
            }
        })
    }

    /// Removes every accepted secret of an endpoint that was deleted; whether there was one. Those that were retired stay
    /// known as such.
    ///
    /// # Errors
    ///
    /// As [`check_writable`](Self::check_writable).
    pub fn remove(&self, endpoint_id: &str) -> Result<bool, SecretStoreError> {
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
    ) -> Result<bool, SecretStoreError> {
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
    ) -> Result<bool, SecretStoreError> {
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
    pub fn lock(&self) -> Result<File, SecretStoreError> {
        let path = private_file::beside(&self.path, ".lock");
        let locked = private_file::open(&path).and_then(|file| file.lock().map(|()| file));
        locked.map_err(|error| self.unwritten(error))
    }

    fn content(&self) -> Result<Content, SecretStoreError> {
        let text = match fs::read_to_string(&self.path) {
            // Emptied, it takes back what it held, as when it is deleted.
            Ok(text) if text.trim().is_empty() => return Ok(Content::default()),
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::default()),
            Err(error) => return Err(SecretStoreError::unread(&self.path, error)),
        };
        // The parser's own message could quote a secret.
        serde_json::from_str(&text)
            .map_err(|error| SecretStoreError::damaged(&self.path, error.line()))
    }

    /// Ends what is present and meant after `overlap`; whether anything was. Otherwise nothing is written.
    fn expire(
        &self,
        overlap: Duration,
        is_meant: impl Fn(&Entry) -> bool,
    ) -> Result<bool, SecretStoreError> {
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
    fn change(&self, change: impl FnOnce(&mut Content)) -> Result<(), SecretStoreError> {
        let _lock = self.lock()?;
        let mut content = self.content()?;
        change(&mut content);
        let written = content
            .text()
            .and_then(|text| private_file::replace(&self.path, &text));
        written.map_err(|error| self.unwritten(error))
    }

    fn unwritten(&self, error: io::Error) -> SecretStoreError {
        SecretStoreError::unwritten(&self.path, error)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(store: &SecretStore, now: SystemTime) -> Vec<String> {
        let secrets = store.read(now).expect("readable");
        let accepted = secrets.accepted.iter();
        accepted.map(|secret| secret.expose().to_owned()).collect()
    }

    #[test]
    fn a_replaced_secret_is_accepted_for_a_while() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = SecretStore::beside(&folder.path().join("inbox.db"));
        let now = SystemTime::now();
        assert_eq!(texts(&store, now), Vec::<String>::new());
        assert!(!store.knows("e1").expect("readable"));

        let before = store.stamp();
        store
            .insert("e1", "https://a.example/", "whsec_old", Duration::ZERO)
            .expect("kept");
        assert_ne!(store.stamp(), before);
        assert!(store.knows("e1").expect("readable"));
        store
            .insert("e2", "https://b.example/", "whsec_other", Duration::ZERO)
            .expect("kept");
        store
            .insert(
                "e1",
                "https://a.example/",
                "whsec_new",
                Duration::from_secs(3600),
            )
            .expect("kept");
        assert_eq!(
            texts(&store, now),
            ["whsec_new", "whsec_other", "whsec_old"]
        );
        let later = now + Duration::from_secs(3700);
        assert_eq!(texts(&store, later), ["whsec_new", "whsec_other"]);

        assert!(store.remove("e1").expect("written"));
        assert!(!store.remove("e1").expect("nothing to do"));
        assert_eq!(texts(&store, now), ["whsec_other"]);
        assert!(!store.knows("e1").expect("readable"));
    }

    #[test]
    fn a_secret_of_an_endpoint_that_is_gone_ends() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = SecretStore::beside(&folder.path().join("inbox.db"));
        let url = "https://a.example/h";
        for (id, url) in [
            ("e1", url),
            ("e2", "https://A.example:443/h/"),
            ("e3", "https://b.example/h"),
        ] {
            store
                .insert(id, url, &format!("whsec_{id}"), Duration::ZERO)
                .expect("kept");
        }
        let hour = Duration::from_secs(3600);
        assert!(store.expire_unlisted(url, &["e1"], hour).expect("written"));
        assert!(
            !store
                .expire_unlisted(url, &["e1"], hour)
                .expect("nothing to do")
        );
        let (now, later) = (SystemTime::now(), SystemTime::now() + 2 * hour);
        assert_eq!(texts(&store, now), ["whsec_e3", "whsec_e2", "whsec_e1"]);
        assert_eq!(texts(&store, later), ["whsec_e3", "whsec_e1"]);
        assert!(!store.knows("e2").expect("readable"));

        assert!(store.mark_replaced("e3", hour).expect("written"));
        assert!(!store.mark_replaced("nobody", hour).expect("nothing to do"));
        assert_eq!(texts(&store, later), ["whsec_e1"]);
    }

    #[test]
    fn what_is_over_stays_known() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = SecretStore::beside(&folder.path().join("inbox.db"));
        let keep = |id: &str, secret: &str| {
            store.insert(id, "u", secret, Duration::ZERO).expect("kept");
        };
        let retired = || {
            let secrets = store.read(SystemTime::now()).expect("readable");
            let texts = secrets
                .retired
                .iter()
                .map(|secret| secret.expose().to_owned());
            texts.collect::<Vec<_>>()
        };
        keep("e1", "whsec_1");
        assert!(retired().is_empty());
        keep("e1", "whsec_2");
        assert_eq!(retired(), ["whsec_1"]);
        // Another endpoint may have the same.
        keep("e2", "whsec_2");
        keep("e1", "whsec_3");
        assert_eq!(retired(), ["whsec_1"]);
        store.remove("e1").expect("written");
        assert_eq!(retired(), ["whsec_1"]);
        keep("e2", "whsec_1");
        assert_eq!(retired(), ["whsec_2"], "it is good again");
        for number in 0..2 * MAX_RETIRED {
            keep("e3", &format!("whsec_many_{number}"));
        }
        assert_eq!(retired().len(), MAX_RETIRED);
        assert!(texts(&store, SystemTime::now()).contains(&"whsec_1".to_owned()));

        fs::write(store.path(), " \n").expect("emptied");
        assert!(texts(&store, SystemTime::now()).is_empty() && retired().is_empty());
    }

    #[test]
    fn what_cannot_be_written_is_seen_before() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = SecretStore::beside(&folder.path().join("inbox.db"));
        store.check_writable().expect("it can");
        assert!(!store.path().exists(), "nothing is kept yet");
        store
            .insert("e1", "u", "whsec_x", Duration::ZERO)
            .expect("kept");
        store.check_writable().expect("it can");
        assert_eq!(texts(&store, SystemTime::now()), ["whsec_x"]);
        let in_the_way = private_file::beside(store.path(), ".new");
        fs::create_dir(in_the_way).expect("a folder");
        assert!(store.check_writable().is_err());
        let nowhere = SecretStore::beside(&folder.path().join("none/inbox.db"));
        assert!(nowhere.check_writable().is_err());
    }

    #[test]
    fn a_damaged_file_is_told_and_not_quoted() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = SecretStore::beside(&folder.path().join("inbox.db"));
        fs::write(store.path(), "{\"secrets\": \"whsec_x\"").expect("a file");
        let error = store.read(SystemTime::now()).expect_err("damaged");
        assert!(!format!("{error:#}").contains("whsec_x"), "{error:#}");
        assert!(
            store.insert("e", "u", "s", Duration::ZERO).is_err(),
            "nor is it written over"
        );
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = SecretStore::beside(&folder.path().join("inbox.db"));
        store
            .insert("e1", "https://a.example/", "whsec_x", Duration::ZERO)
            .expect("kept");
        let mode = fs::metadata(store.path())
            .expect("a file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
