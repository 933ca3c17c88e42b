//! [`SecretStore`]: the secrets HeyGen gave us for our endpoints, in a file of their own beside the inbox.
//!
//! HeyGen shows a secret once, when an endpoint is created or its secret replaced, so whoever learns one has to keep it.
//! The file is its owner's alone (0600) and is replaced whole, so that a reader never sees half of it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use heygen_signature::Secret;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::private_file;

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

    /// Whether the endpoint's present secret is known.
    pub(crate) fn knows(&self, endpoint_id: &str) -> anyhow::Result<bool> {
        let is_present =
            |entry: &Entry| entry.endpoint_id == endpoint_id && entry.accepted_until.is_none();
        Ok(self.read()?.secrets.iter().any(is_present))
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
            content
                .secrets
                .retain(|entry| entry.is_accepted(now) && entry.secret != secret);
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
            });
        })
    }

    /// Forgets an endpoint that is no more.
    pub(crate) fn forget(&self, endpoint_id: &str) -> anyhow::Result<()> {
        if !self.path.exists() {
            return Ok(());
        }
        self.change(|content| {
            content
                .secrets
                .retain(|entry| entry.endpoint_id != endpoint_id);
        })
    }

    /// What tells a change of the file, without reading it.
    pub(crate) fn stamp(&self) -> Stamp {
        let metadata = fs::metadata(&self.path).ok();
        Stamp(metadata.and_then(|metadata| Some((metadata.modified().ok()?, metadata.len()))))
    }

    fn read(&self) -> anyhow::Result<Content> {
        let text = match fs::read_to_string(&self.path) {
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

    /// One change at a time, also over processes: `serve` and `endpoints` may both have one.
    fn change(&self, change: impl FnOnce(&mut Content)) -> anyhow::Result<()> {
        let failed = || format!("cannot write {}", self.path.display());
        let lock =
            private_file::open(&private_file::beside(&self.path, ".lock")).with_context(failed)?;
        lock.lock().with_context(failed)?;
        let mut content = self.read()?;
        change(&mut content);
        let text = serde_json::to_string_pretty(&content).with_context(failed)?;
        private_file::replace(&self.path, &format!("{text}\n")).with_context(failed)
    }
}

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

        store.forget("e1").expect("written");
        assert_eq!(texts(&store, now), ["whsec_other"]);
        assert!(!store.knows("e1").expect("readable"));
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
