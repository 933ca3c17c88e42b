//! The `inbox` commands, a file each. All of them work while `serve` runs.

use heygen_inbox::{BoxInbox, InboxAdmin as _, StoredDelivery};
use serde::Serialize;
use serde_json::Value;
use tokio::runtime::Builder;

use crate::cli::Inbox;
use crate::failure::Failure;
use crate::process::runtime::run_on;
use crate::settings::location::InboxFile;
use crate::store::{self, cannot_open};

mod backup;
mod change;
mod check;
mod chosen;
mod chunks;
mod drift;
mod export;
mod id;
mod import;
mod list;
mod pause;
mod prune;
mod rejected;
mod selection;
mod show;
mod size;
mod stats;
mod tail;
mod text;

use change::Change;

pub(super) fn run(options: &Inbox) -> Result<(), Failure> {
    let mut runtime = Builder::new_multi_thread();
    // What keeps a connection to servers alive goes on while standard output or a question waits.
    run_on(runtime.worker_threads(1), async {
        match options {
            Inbox::List(options) => list::run(options).await,
            Inbox::Show(options) => show::show(options).await,
            Inbox::Attempts(options) => show::attempts(options).await,
            Inbox::Tail(options) => tail::run(options).await,
            Inbox::Stats(options) => stats::run(options).await,
            Inbox::Drift(options) => drift::run(options).await,
            Inbox::Export(options) => export::run(options).await,
            Inbox::Import(options) => import::run(options).await,
            Inbox::Replay(options) => change::replay(options).await,
            Inbox::DeadLetter(options) => change::by_hand(options, Change::DeadLetter).await,
            Inbox::Delete(options) => change::by_hand(options, Change::Delete).await,
            Inbox::Pause(options) => pause::pause(&options.file, options.json).await,
            Inbox::Resume(options) => pause::resume(&options.file, options.json).await,
            Inbox::Prune(options) => prune::run(options).await,
            Inbox::Check(options) => check::run(options).await,
            Inbox::Backup(options) => backup::run(options).await,
            Inbox::Rejected(options) => rejected::run(options).await,
        }
    })
}

/// The inbox that was named, to look into it.
async fn open_existing(file: &InboxFile) -> Result<BoxInbox, Failure> {
    let location = file.location()?;
    let opened = store::open_existing(&location, &file.nats(&location)?).await;
    opened.map_err(|error| cannot_open(&location, error))
}

/// The inbox that was named, to change it; made where there is none.
async fn open_beside(file: &InboxFile) -> Result<BoxInbox, Failure> {
    let location = file.location()?;
    Ok(store::open_beside(&location, &file.nats(&location)?).await?)
}

async fn stored(file: &InboxFile, id: &str) -> Result<StoredDelivery, Failure> {
    let inbox = open_existing(file).await?;
    let id = id::find(&inbox, id).await?;
    let stored = inbox.get(id).await?;
    let location = file.location()?;
    stored.ok_or_else(|| anyhow::anyhow!("no delivery {id} in {location}").into())
}

/// For programs: the same keys wherever one is shown.
fn to_json(shown: impl Serialize) -> Value {
    // What is shown has keys that are names, and nothing that cannot be written.
    serde_json::to_value(shown).unwrap_or_default()
}
