//! `inbox rejected`: the posts that `serve` turned away lately, a file for each command.

use heygen_connect::SecretStore;
use heygen_inbox::sqlite::{RejectedFile, rejected_path};

use crate::cli::Rejected;
use crate::failure::Failure;
use crate::secrets::secret;
use crate::settings::location::InboxFile;
use crate::settings::options::Options;
use crate::settings::secrets::SecretFiles;
use crate::store::place::Place;

mod json;
mod list;
mod outcome;
mod reverify;
mod show;
mod text;

pub(super) async fn run(options: &Rejected) -> Result<(), Failure> {
    match options {
        Rejected::List(options) => list::run(options),
        Rejected::Show(options) => show::run(options),
        Rejected::Reverify(options) => reverify::run(options).await,
    }
}

/// What was turned away from the inbox at `inbox`; `None` when nothing was.
fn open(inbox: &Place) -> Result<Option<RejectedFile>, Failure> {
    let file = RejectedFile::open(&rejected_path(&inbox.beside()))?;
    if file.is_none() && !inbox.may_exist() {
        return Err(anyhow::anyhow!(
            "there is no inbox at {inbox}: `serve` makes one, or name it with --inbox"
        )
        .into());
    }
    Ok(file)
}

/// Every secret that `serve` would accept now; `None` when there is none.
fn secrets(
    file: &InboxFile,
    options: &Options<SecretFiles>,
) -> Result<Option<heygen_signature::Secrets>, Failure> {
    let files = options.over(&file.config.read()?)?.files();
    secret::accepted(&files, &SecretStore::beside(&file.place()?.beside()))
}

fn missing(id: u64, inbox: &Place) -> String {
    let path = rejected_path(&inbox.beside());
    format!(
        "there is no post {id} in {}, or not any more",
        path.display()
    )
}

const NOTHING: &str = "nothing was turned away\n";
