//! The options of the `inbox` commands by which an operator steps in: dead-letter, delete, pause.

use clap::Args;

use super::Selection;
use crate::settings::location::InboxFile;

/// Dead-letter pending deliveries by hand: keep them, but do not dispatch them again
///
/// The attempts show who gave the delivery up, and `inbox replay` dispatches it again. Claimed and
/// acknowledged deliveries are left unchanged. An interrupted delivery, which ended with its
/// process, can be dead-lettered while no `serve` runs. Deliveries chosen by options, or by `last`,
/// are confirmed first.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  heygen-webhooks inbox dead-letter 01jd…
  heygen-webhooks inbox dead-letter --subject VIDEO_ID --yes
  heygen-webhooks inbox dead-letter --state pending --event-type '*.fail' \\
    --dry-run")]
pub(crate) struct DeadLetter {
    #[command(flatten)]
    pub(crate) change: ChangeByHand,
}

/// Delete deliveries with their bodies and attempts
///
/// Claimed deliveries are left unchanged. A deleted delivery is no longer recognised as a
/// duplicate: if HeyGen sends the event again, or a backfill finds it, it is stored as new and
/// dispatched; to prevent that, dead-letter it instead. Asks first.
///
/// The bytes remain in free pages of the file, and in backups, until they are overwritten.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  heygen-webhooks inbox delete 01jd… --yes
  heygen-webhooks inbox delete --subject VIDEO_ID --dry-run
  heygen-webhooks inbox delete --callback-id customer-42")]
pub(crate) struct Delete {
    #[command(flatten)]
    pub(crate) change: ChangeByHand,
}

/// What `dead-letter` and `delete` have in common.
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

/// Pause dispatch: deliveries are received and stored, and wait
///
/// Pauses every process of the inbox, running ones within a second or two, until `inbox resume`, also
/// over restarts. Running attempts go on to their end. `inbox stats`, `doctor`, /readyz and the metric
/// heygen_webhooks_dispatch_paused show the pause. Retries that fall due are dispatched after it; the
/// pause does not count towards their time.
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  heygen-webhooks inbox pause
  heygen-webhooks inbox pause --inbox nats://nats.internal:4222/HEYGEN")]
pub(crate) struct Pause {
    #[command(flatten)]
    pub(crate) file: InboxFile,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Resume dispatch after `inbox pause`
#[derive(Args, Debug)]
#[command(before_help = "Examples:
  heygen-webhooks inbox resume")]
pub(crate) struct Resume {
    #[command(flatten)]
    pub(crate) file: InboxFile,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
