//! The `inbox` commands, a file each. All of them work while `serve` runs.

use std::fs;
use std::path::Path;

use heygen_inbox::{DeliveryId, Kept, State};

use crate::cli::{Inbox, InboxFile, StateOption};
use crate::failure::Failure;
use crate::output::tame;

mod attempts;
mod backup;
mod check;
mod chunks;
mod confirm;
mod drift;
mod export;
mod import;
mod json;
mod list;
mod progress;
mod prune;
mod rejected;
mod replay;
mod selection;
mod show;
mod size;
mod stats;
mod tail;
mod text;

pub(super) fn run(options: &Inbox) -> Result<(), Failure> {
    match options {
        Inbox::List(options) => list::run(options),
        Inbox::Show(options) => show::run(options),
        Inbox::Attempts(options) => attempts::run(options),
        Inbox::Tail(options) => tail::run(options),
        Inbox::Stats(options) => stats::run(options),
        Inbox::Drift(options) => drift::run(options),
        Inbox::Export(options) => export::run(options),
        Inbox::Import(options) => import::run(options),
        Inbox::Replay(options) => replay::run(options),
        Inbox::Prune(options) => prune::run(options),
        Inbox::Check(options) => check::run(options),
        Inbox::Backup(options) => backup::run(options),
        Inbox::Rejected(options) => rejected::run(options),
    }
}

fn delivery_id(text: &str) -> Result<DeliveryId, Failure> {
    text.parse()
        .map_err(|error| Failure::usage(format!("`{}`: {error}", tame(text))))
}

/// The one delivery that a command is about.
fn kept(file: &InboxFile, id: &str) -> Result<Kept, Failure> {
    let id = delivery_id(id)?;
    let kept = file.reader()?.get(id)?;
    let place = file.place()?;
    kept.ok_or_else(|| anyhow::anyhow!("there is no delivery {id} in {place}").into())
}

/// Whether both paths lead to one file.
fn is_same_file(one: &Path, other: &Path) -> bool {
    match (fs::canonicalize(one), fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

impl From<StateOption> for State {
    fn from(option: StateOption) -> Self {
        match option {
            StateOption::Pending => Self::Pending,
            StateOption::Claimed => Self::Claimed,
            StateOption::Interrupted => Self::Interrupted,
            StateOption::Done => Self::Done,
            StateOption::Dead => Self::Dead,
        }
    }
}
