//! The signing secrets: whether each of our endpoints has one, and who can read them.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use heygen_api::Endpoint;
use heygen_connect::{SecretStore, StoredSecrets};
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
    /// The files that exist, and whether others can read each; `None` where they did not answer in time.
    files: Option<Vec<(PathBuf, bool)>>,
}

impl Known {
    /// A disk that hangs holds up a thread alone: nothing else here reads one.
    pub(super) async fn load(inputs: &mut Inputs) -> Self {
        let (files, store) = (inputs.secret_files.clone(), inputs.store.clone());
        let read = spawn_blocking(move || Self::read(&files, &store));
        match timeout(TIME, read).await {
            Ok(Ok((known, stored_ids))) => {
                inputs.stored_ids = stored_ids;
                known
            }
            Ok(Err(_)) | Err(_) => Self {
                configured: Vec::new(),
                stored: Vec::new(),
                errors: vec![LATE.to_owned()],
                files: None,
            },
        }
    }

    fn read(files: &[PathBuf], store: &SecretStore) -> (Self, Vec<String>) {
        let mut errors = Vec::new();
        let mut configured = secret::configured(files).unwrap_or_else(|failure| {
            errors.push(failure.to_string());
            Vec::new()
        });
        let stored = store.read(SystemTime::now()).unwrap_or_else(|error| {
            errors.push(error_chain(&error));
            StoredSecrets::default()
        });
        // Wherever it is configured, a receiver no longer accepts it.
        configured.retain(|secret| !secret::is_one_of(secret, &stored.retired));
        let files = files.iter().map(PathBuf::as_path).chain([store.path()]);
        let files = files.filter(|file| file.exists());
        let files = files.map(|file| (file.to_owned(), is_open_to_others(file)));
        let known = Self {
            configured,
            stored: stored.accepted,
            errors,
            files: Some(files.collect()),
        };
        (known, stored.endpoint_ids)
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

    /// Who can read the files.
    fn readable(&self) -> Finding {
        const ID: &str = "secrets.files";
        let Some(files) = &self.files else {
            return Finding::skipped(ID, LATE);
        };
        if files.is_empty() {
            return Finding::skipped(ID, "there is no secrets file here");
        }
        let open: Vec<_> = files
            .iter()
            .filter(|(_, is_open)| *is_open)
            .map(|(file, _)| file.display().to_string())
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
    vec![present(inputs, account, known), known.readable()]
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
            REPLACE_IT,
        ),
    }
    .items(items)
}

const LATE: &str = "the secrets could not be read in time";
const NONE: &str =
    "no secret is known here: a receiver started here answers every delivery with 503";
const GET_ONE: &str = "set HEYGEN_WEBHOOK_SECRET, name a file with --secret-file or the receiver's --inbox, or rotate the secret with `serve --public-url URL --rotate-secret`";

/// `--rotate-secret` replaces none that is stored, and that is what was rotated elsewhere since.
const REPLACE_IT: &str = "replace it with `endpoints rotate-secret ID --apply` and the receiver's --inbox, which a running `serve` uses at once; or set HEYGEN_WEBHOOK_SECRET, or name a file with --secret-file";

/// Before anything else is looked into.
const TIME: Duration = Duration::from_secs(3);
