//! The options of the `inbox` commands by which an operator steps in: dead-letter, delete, pause.

use clap::Args;

use super::Selection;
use crate::settings::location::InboxFile;

// What `dead-letter` and `delete` have in common.
#[derive(Args, Debug)]
pub(crate) struct ChangeByHand {
    /// Ids of deliveries, from `inbox list`
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,
    #[command(flatten)]
    pub(crate) file: InboxFile,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// List the deliveries, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask for confirmation
    #[arg(long)]
    pub(crate) yes: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

// What `pause` and `resume` have in common.
#[derive(Args, Debug)]
pub(crate) struct Pause {
    #[command(flatten)]
    pub(crate) file: InboxFile,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
