//! The signing secrets: whether each of our endpoints has one, and who can read them.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use heygen_api::Endpoint;
use heygen_connect::SecretStore;
use heygen_inbox::private_file::is_open_to_others;
use heygen_signature::Secret;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::account::Account;
use super::endpoints::{knows, name, ours};
use super::finding::Finding;
use super::inputs::Inputs;
use crate::failure::error_chain;
use crate::secrets::secret;

/// Every secret that a receiver started here would accept.
#[derive(Debug)]
pub(super) struct Known {
    configured: Vec<Secret>,
    stored: Vec<Secret>,
    errors: Vec<String>,
}

impl Known {
    /// A disk that hangs holds up a thread alone.
    pub(super) async fn load(inputs: &mut Inputs) -> Self {
        let (files, store) = (inputs.secret_files.clone(), inputs.store.clone());
        let read = spawn_blocking(move || Self::read(&files, store.as_ref()));
        match timeout(TIME, read).await {
            Ok(Ok(known)) => known,
            Ok(Err(_)) | Err(_) => {
                inputs.store = None;
                Self {
                    configured: Vec::new(),
                    stored: Vec::new(),
                    errors: vec![LATE.to_owned()],
                }
            }
        }
    }

    fn read(files: &[PathBuf], store: Option<&SecretStore>) -> Self {
        let mut errors = Vec::new();
        let mut configured = secret::configured(files).unwrap_or_else(|failure| {
            errors.push(failure.to_string());
            Vec::new()
        });
        let stored = store.map(|store| store.read(SystemTime::now()));
        let stored = stored.transpose().unwrap_or_else(|error| {
            errors.push(error_chain(&error));
            None
        });
        let stored = stored.unwrap_or_default();
        // Wherever it is configured, a receiver no longer accepts it.
        configured.retain(|secret| !secret::is_one_of(secret, &stored.retired));
        Self {
            configured,
            stored: stored.accepted,
            errors,
        }
    }

    /// What HeyGen would sign a delivery to our address with, as far as HeyGen says.
    pub(super) fn for_sample(&self, inputs: &Inputs, account: Option<&Account>) -> Option<&Secret> {
        let ours = account.map_or_else(Vec::new, |account| ours(inputs, &account.endpoints()));
        let shown = account.and_then(|account| {
            ours.iter()
                .find_map(|endpoint| self.find(account.shown_secret(endpoint)?))
        });
        let is_stored = ours.iter().any(|endpoint| knows(inputs, endpoint));
        let (first, second) = match is_stored {
            true => (&self.stored, &self.configured),
            false => (&self.configured, &self.stored),
        };
        shown.or_else(|| first.first()).or_else(|| second.first())
    }

    fn find(&self, text: &str) -> Option<&Secret> {
        self.all().find(|secret| secret.expose() == text)
    }

    fn all(&self) -> impl Iterator<Item = &Secret> {
        self.configured.iter().chain(&self.stored)
    }

    /// Whether the secret of the endpoint is known here, as far as HeyGen says, and in words.
    fn standing(
        &self,
        inputs: &Inputs,
        account: &Account,
        endpoint: &Endpoint,
    ) -> (bool, &'static str) {
        match account.shown_secret(endpoint) {
            Some(shown) if self.find(shown).is_some() => {
                (true, "known, and identical to the one HeyGen shows")
            }
            Some(_) if self.all().next().is_some() => {
                (false, "HeyGen signs with a secret that is not known here")
            }
            None if knows(inputs, endpoint) => (true, "known"),
            None if !self.configured.is_empty() => {
                (true, "possibly the configured one: HeyGen does not show it")
            }
            Some(_) | None => (false, "not known here"),
        }
    }
}

pub(super) fn findings(inputs: &Inputs, account: &Account, known: &Known) -> Vec<Finding> {
    vec![present(inputs, account, known), files(inputs)]
}

fn present(inputs: &Inputs, account: &Account, known: &Known) -> Finding {
    const ID: &str = "secrets";
    if !known.errors.is_empty() {
        return Finding::problem(
            ID,
            "cannot be read",
            "correct the file, or name another one",
        )
        .items(known.errors.clone());
    }
    let count = known.all().count();
    let ours = ours(inputs, &account.endpoints());
    if ours.is_empty() {
        return match count {
            0 => Finding::bad(ID, inputs.address.is_some(), NONE, GET_ONE),
            _ => Finding::ok(
                ID,
                format!("{count} known; cannot tell which endpoint they belong to"),
            ),
        };
    }
    let mut all_known = true;
    let items = ours.iter().map(|endpoint| {
        let (is_known, says) = known.standing(inputs, account, endpoint);
        all_known &= is_known;
        format!("{}: {says}", name(endpoint))
    });
    let items: Vec<_> = items.collect();
    match all_known {
        true => Finding::ok(ID, "known for each of our endpoints"),
        false => Finding::problem(
            ID,
            "our endpoints whose secret is not known here: their deliveries are rejected",
            GET_ONE,
        ),
    }
    .items(items)
}

fn files(inputs: &Inputs) -> Finding {
    const ID: &str = "secrets.files";
    let Some(store) = &inputs.store else {
        return Finding::skipped(ID, LATE);
    };
    let mut files: Vec<&Path> = inputs.secret_files.iter().map(PathBuf::as_path).collect();
    files.push(store.path());
    files.retain(|file| file.exists());
    if files.is_empty() {
        return Finding::skipped(ID, "there is no secrets file here");
    }
    let open: Vec<_> = files
        .iter()
        .filter(|file| is_open_to_others(file))
        .map(|file| file.display().to_string())
        .collect();
    match open.is_empty() {
        true => Finding::ok(ID, "only their owner can read them"),
        false => Finding::warn(
            ID,
            "other users of this machine can read them",
            "chmod 600 FILE",
        )
        .items(open),
    }
}

const LATE: &str = "the secrets could not be read in time";
const NONE: &str =
    "no secret is known here: a receiver started here answers every delivery with 503";
const GET_ONE: &str = "set HEYGEN_WEBHOOK_SECRET, name a file with --secret-file or the receiver's --inbox, or rotate the secret with `serve --public-url URL --rotate-secret`";

/// Before anything else is looked into.
const TIME: Duration = Duration::from_secs(3);
