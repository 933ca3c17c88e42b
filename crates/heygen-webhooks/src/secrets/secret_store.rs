//! [`SecretStore`]: the secrets HeyGen gave us for our endpoints, in a file of their own beside the inbox.
//!
//! HeyGen shows a secret once, when an endpoint is created or its secret replaced, so whoever learns one has to keep it.
//! The file is its owner's alone (0600) and is replaced whole, so that a reader never sees half of it.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use heygen_signature::Secret;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::secrets::private_file;
use crate::settings::address::same_address;

/// The secrets file of one inbox.
#[derive(Clone, Debug)]
pub(crate) struct SecretStore {
    path: PathBuf,
}

/// One secret of one endpoint.
#[derive(Clone, Deserialize, Serialize)]
struct Entry {
    endpoint_id: String,
    url: String,
    secret: String,
    kept_at: Timestamp,
    /// Set when another secret took its place: until then deliveries signed with it are still taken.
    accepted_until: Option<Timestamp>,
    /// How long the one whose place this took is still taken, wherever that stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous_until: Option<Timestamp>,
}

#[derive(Default, Deserialize, Serialize)]
struct Content {
    secrets: Vec<Entry>,
}

/// Tells whether the file has changed since it was last looked at.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Stamp(Option<(SystemTime, u64)>);

impl SecretStore {
    /// The file that belongs to this inbox. It need not exist.
    pub(crate) fn beside(inbox: &Path) -> Self {
        Self {
            path: private_file::beside(inbox, ".secrets.json"),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Every secret that is accepted at `now`, the newest first.
    pub(crate) fn accepted(&self, now: Timestamp) -> anyhow::Result<Vec<Secret>> {
        let mut secrets = self.read()?.secrets;
        secrets.retain(|entry| entry.is_accepted(now));
        secrets.sort_by_key(|entry| std::cmp::Reverse(entry.kept_at));
        Ok(secrets
            .into_iter()
            .filter_map(|entry| Secret::new(entry.secret).ok())
            .collect())
    }

    /// Every secret whose time was over at `now`, and that is accepted for no other endpoint. One that stands in the environment too
    /// is known to be HeyGen's no more only from here.
    pub(crate) fn retired(&self, now: Timestamp) -> anyhow::Result<Vec<Secret>> {
        let secrets = self.read()?.secrets;
        let (accepted, retired): (Vec<_>, Vec<_>) = secrets
            .into_iter()
            .partition(|entry| entry.is_accepted(now));
        let is_accepted = |entry: &Entry| accepted.iter().any(|one| one.secret == entry.secret);
        Ok(retired
            .into_iter()
            .filter(|entry| !is_accepted(entry))
            .filter_map(|entry| Secret::new(entry.secret).ok())
            .collect())
    }

    /// Whether the endpoint's present secret is known.
    pub(crate) fn knows(&self, endpoint_id: &str) -> anyhow::Result<bool> {
        let is_present =
            |entry: &Entry| entry.endpoint_id == endpoint_id && entry.accepted_until.is_none();
        Ok(self.read()?.secrets.iter().any(is_present))
    }

    /// Proves that a secret could be kept, before HeyGen is asked for one that it shows only once.
    pub(crate) fn prepare(&self) -> anyhow::Result<()> {
        let _lock = self.lock()?;
        let mut content = self.read()?;
        // As much as one more would take.
        content.secrets.push(Entry {
            endpoint_id: "0".repeat(64),
            url: "0".repeat(1024),
            secret: "0".repeat(128),
            kept_at: Timestamp::now(),
            accepted_until: None,
            previous_until: Some(Timestamp::now()),
        });
        let text = serde_json::to_string_pretty(&content).with_context(|| self.failed())?;
        private_file::try_replace(&self.path, &text).with_context(|| self.failed())
    }

    /// Keeps an endpoint's secret. One that was kept for it before is accepted for `overlap` longer: a delivery that HeyGen
    /// tries again may be signed with either.
    pub(crate) fn keep(
        &self,
        endpoint_id: &str,
        url: &str,
        secret: &str,
        overlap: Duration,
    ) -> anyhow::Result<()> {
        let now = Timestamp::now();
        let until = now.checked_add(overlap).unwrap_or(Timestamp::MAX);
        self.change(|content| {
            content.secrets.retain(|entry| entry.secret != secret);
            let present = content
                .secrets
                .iter_mut()
                .filter(|entry| entry.endpoint_id == endpoint_id);
            for entry in present.filter(|entry| entry.accepted_until.is_none()) {
                entry.accepted_until = Some(until);
            }
            content.secrets.push(Entry {
                endpoint_id: endpoint_id.to_owned(),
                url: url.to_owned(),
                secret: secret.to_owned(),
                kept_at: now,
                accepted_until: None,
                previous_until: Some(until),
            });
            content.forget_old(now);
        })
    }

    /// Whether the endpoint's secret took the place of another whose time was over at `now`.
    pub(crate) fn has_replaced(&self, endpoint_id: &str, now: Timestamp) -> anyhow::Result<bool> {
        let has = |entry: &Entry| {
            entry.endpoint_id == endpoint_id
                && entry.accepted_until.is_none()
                && entry.previous_until.is_some_and(|until| until <= now)
        };
        Ok(self.read()?.secrets.iter().any(has))
    }

    /// Says that a secret that was never kept here was this endpoint's, and that its time is over.
    pub(crate) fn retire(&self, endpoint_id: &str, secret: &Secret) -> anyhow::Result<()> {
        let now = Timestamp::now();
        self.change(|content| {
            if content
                .secrets
                .iter()
                .any(|entry| entry.secret == secret.expose())
            {
                return;
            }
            content.secrets.push(Entry {
                endpoint_id: endpoint_id.to_owned(),
                url: String::new(),
                secret: secret.expose().to_owned(),
                kept_at: now,
                accepted_until: Some(now),
                previous_until: None,
            });
        })
    }

    /// Forgets every secret of an endpoint that is no more; whether there was one. Nothing is written otherwise. Those whose time was
    /// over stay known as that.
    pub(crate) fn forget(&self, endpoint_id: &str) -> anyhow::Result<bool> {
        let now = Timestamp::now();
        let is_its = |entry: &Entry| entry.endpoint_id == endpoint_id && entry.is_accepted(now);
        if !self.read()?.secrets.iter().any(is_its) {
            return Ok(false);
        }
        self.change(|content| content.secrets.retain(|entry| !is_its(entry)))?;
        Ok(true)
    }

    /// Says that HeyGen signs with a secret that was not kept here: the one that is kept is accepted for `overlap` longer.
    /// Whether one was kept.
    pub(crate) fn mark_replaced(
        &self,
        endpoint_id: &str,
        overlap: Duration,
    ) -> anyhow::Result<bool> {
        self.expire(overlap, |entry| entry.endpoint_id == endpoint_id)
    }

    /// Says which endpoints HeyGen lists: secrets kept for this address and another endpoint are accepted for `overlap`
    /// longer. Whether there were any.
    pub(crate) fn expire_unlisted(
        &self,
        url: &str,
        listed: &[&str],
        overlap: Duration,
    ) -> anyhow::Result<bool> {
        self.expire(overlap, |entry| {
            same_address(&entry.url, url) && !listed.contains(&entry.endpoint_id.as_str())
        })
    }

    /// What tells a change of the file, without reading it.
    pub(crate) fn stamp(&self) -> Stamp {
        let metadata = fs::metadata(&self.path).ok();
        Stamp(metadata.and_then(|metadata| Some((metadata.modified().ok()?, metadata.len()))))
    }

    fn read(&self) -> anyhow::Result<Content> {
        let text = match fs::read_to_string(&self.path) {
            // Emptied, it takes back what it held, as when it is deleted.
            Ok(text) if text.trim().is_empty() => return Ok(Content::default()),
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Content::default()),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", self.path.display()));
            }
        };
        // The parser's own message could quote what stands there.
        serde_json::from_str(&text).map_err(|error| {
            anyhow::anyhow!(
                "{} is not a file of secrets (line {})",
                self.path.display(),
                error.line()
            )
        })
    }

    /// Ends what is present and meant after `overlap`; whether anything was. Nothing is written otherwise.
    fn expire(&self, overlap: Duration, is_meant: impl Fn(&Entry) -> bool) -> anyhow::Result<bool> {
        let is_over = |entry: &Entry| entry.accepted_until.is_none() && is_meant(entry);
        if !self.read()?.secrets.iter().any(is_over) {
            return Ok(false);
        }
        let until = Timestamp::now()
            .checked_add(overlap)
            .unwrap_or(Timestamp::MAX);
        self.change(|content| {
            for entry in &mut content.secrets {
                if entry.accepted_until.is_none() && is_meant(entry) {
                    entry.accepted_until = Some(until);
                }
            }
        })?;
        Ok(true)
    }

    fn change(&self, change: impl FnOnce(&mut Content)) -> anyhow::Result<()> {
        let _lock = self.lock()?;
        let mut content = self.read()?;
        change(&mut content);
        let text = serde_json::to_string_pretty(&content).with_context(|| self.failed())?;
        private_file::replace(&self.path, &format!("{text}\n")).with_context(|| self.failed())
    }

    /// One change at a time, also over processes: `serve` and `endpoints` may both have one.
    pub(crate) fn lock(&self) -> anyhow::Result<File> {
        let lock = private_file::open(&private_file::beside(&self.path, ".lock"))
            .with_context(|| self.failed())?;
        lock.lock().with_context(|| self.failed())?;
        Ok(lock)
    }

    fn failed(&self) -> String {
        format!("cannot write {}", self.path.display())
    }
}

impl Content {
    /// Keeps the newest of those whose time is over, so that a secret that is replaced every day does not fill the file.
    fn forget_old(&mut self, now: Timestamp) {
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

const MAX_RETIRED: usize = 100;

impl Entry {
    fn is_accepted(&self, now: Timestamp) -> bool {
        self.accepted_until.is_none_or(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(store: &SecretStore, now: Timestamp) -> Vec<String> {
        let secrets = store.accepted(now).expect("readable");
        secrets
            .iter()
            .map(|secret| secret.expose().to_owned())
            .collect()
    }

    #[test]
    fn a_replaced_secret_is_accepted_for_a_while() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = SecretStore::beside(&folder.path().join("inbox.db"));
        let now = Timestamp::now();
        assert_eq!(texts(&store, now), Vec::<String>::new());
        assert!(!store.knows("e1").expect("readable"));

        let before = store.stamp();
        store
            .keep("e1", "https://a.example/", "whsec_old", Duration::ZERO)
            .expect("kept");
        assert_ne!(store.stamp(), before);
        assert!(store.knows("e1").expect("readable"));
        store
            .keep("e2", "https://b.example/", "whsec_other", Duration::ZERO)
            .expect("kept");
        store
            .keep(
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

        assert!(store.forget("e1").expect("written"));
        assert!(!store.forget("e1").expect("nothing to do"));
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
                .keep(id, url, &format!("whsec_{id}"), Duration::ZERO)
                .expect("kept");
        }
        let hour = Duration::from_secs(3600);
        assert!(store.expire_unlisted(url, &["e1"], hour).expect("written"));
        assert!(
            !store
                .expire_unlisted(url, &["e1"], hour)
                .expect("nothing to do")
        );
        let (now, later) = (Timestamp::now(), Timestamp::now() + 2 * hour);
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
            store.keep(id, "u", secret, Duration::ZERO).expect("kept");
        };
        let retired = || {
            let secrets = store.retired(Timestamp::now()).expect("readable");
            let texts = secrets.iter().map(|secret| secret.expose().to_owned());
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
        store.forget("e1").expect("written");
        assert_eq!(retired(), ["whsec_1"]);
        keep("e2", "whsec_1");
        assert_eq!(retired(), ["whsec_2"], "it is good again");
        for number in 0..2 * MAX_RETIRED {
            keep("e3", &format!("whsec_many_{number}"));
        }
        assert_eq!(retired().len(), MAX_RETIRED);
        assert!(texts(&store, Timestamp::now()).contains(&"whsec_1".to_owned()));

        fs::write(store.path(), " \n").expect("emptied");
        assert!(texts(&store, Timestamp::now()).is_empty() && retired().is_empty());
    }

    #[test]
    fn what_cannot_be_written_is_seen_before() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = SecretStore::beside(&folder.path().join("inbox.db"));
        store.prepare().expect("it can");
        assert!(!store.path().exists(), "nothing is kept yet");
        store
            .keep("e1", "u", "whsec_x", Duration::ZERO)
            .expect("kept");
        store.prepare().expect("it can");
        assert_eq!(texts(&store, Timestamp::now()), ["whsec_x"]);
        let in_the_way = private_file::beside(store.path(), ".new");
        fs::create_dir(in_the_way).expect("a folder");
        assert!(store.prepare().is_err());
        let nowhere = SecretStore::beside(&folder.path().join("none/inbox.db"));
        assert!(nowhere.prepare().is_err());
    }

    #[test]
    fn a_damaged_file_is_told_and_not_quoted() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = SecretStore::beside(&folder.path().join("inbox.db"));
        fs::write(store.path(), "{\"secrets\": \"whsec_x\"").expect("a file");
        let error = store.accepted(Timestamp::now()).expect_err("damaged");
        assert!(!format!("{error:#}").contains("whsec_x"), "{error:#}");
        assert!(
            store.keep("e", "u", "s", Duration::ZERO).is_err(),
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
            .keep("e1", "https://a.example/", "whsec_x", Duration::ZERO)
            .expect("kept");
        let mode = fs::metadata(store.path())
            .expect("a file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
