//! The file of rejected requests, and the secrets to verify them with.

use anyhow::Context as _;
use heygen_connect::SecretStore;
use heygen_inbox::sqlite::{RejectedFile, rejected_path};

use crate::cli::RejectedId;
use crate::failure::Failure;
use crate::secrets::secret;
use crate::settings::location::InboxFile;
use crate::settings::options::Options;
use crate::settings::secrets::SecretFiles;
use crate::store::location::InboxLocation;

/// The rejected requests of the inbox at `inbox`; `None` when there are none.
pub(super) fn open(inbox: &InboxLocation) -> Result<Option<RejectedFile>, Failure> {
    let path = rejected_path(&inbox.beside());
    path.try_exists().with_context(|| {
        format!(
            "cannot look for {}: run this as the user that serves",
            path.display()
        )
    })?;
    let file = RejectedFile::open(&path)?;
    if file.is_none() && !inbox.may_exist() {
        return Err(anyhow::anyhow!(
            "no inbox at {inbox}: start `serve` to create one, or name another with --inbox"
        )
        .into());
    }
    Ok(file)
}

/// Every secret that `serve` would accept now; `None` when there is none.
pub(super) fn secrets(
    file: &InboxFile,
    options: &Options<SecretFiles>,
) -> Result<Option<heygen_signature::Secrets>, Failure> {
    let files = options.over(&file.config.read()?)?.files();
    secret::accepted(&files, &SecretStore::beside(&file.location()?.beside()))
}

/// The number that an id stands for; `None` for the last one where there is none.
pub(super) fn number(file: &RejectedFile, id: &RejectedId) -> Result<Option<u64>, Failure> {
    Ok(match id {
        RejectedId::Number(number) => Some(*number),
        RejectedId::Last => file.list(Some(1))?.first().map(|last| last.id),
    })
}

pub(super) fn missing(id: u64, inbox: &InboxLocation) -> String {
    let path = rejected_path(&inbox.beside());
    format!(
        "no request {id} in {}; it may have been displaced: see `inbox rejected list`",
        path.display()
    )
}

pub(super) const NOTHING: &str = "no rejected requests\n";
