//! The options of `inbox`, a file for each family of commands.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use heygen_inbox::State;

use crate::settings::when::When;

mod by_hand;
mod change;
mod maintenance;
mod query;
mod rejected;
mod transfer;

pub(crate) use by_hand::{ChangeByHand, Pause};
pub(crate) use change::{Prune, Replay};
pub(crate) use maintenance::{Backup, Check};
pub(crate) use query::{Attempts, Drift, List, Show, Stats, Tail};
pub(crate) use rejected::{ListRejected, Rejected, RejectedId, Reverify, ShowRejected};
pub(crate) use transfer::{Export, Format, Import};

/// Inspect, replay, pause, export and maintain stored deliveries
///
/// All of these commands also work while `serve` runs.
#[derive(Debug, Subcommand)]
#[command(before_help = "Examples:
  heygen-webhooks inbox list --since 2h --event-type avatar_video.fail
  heygen-webhooks inbox show last
  heygen-webhooks inbox replay --state dead_lettered --since 2h")]
pub(crate) enum Inbox {
    List(List),
    Show(Show),
    Attempts(Attempts),
    Tail(Tail),
    Stats(Stats),
    Drift(Drift),
    Replay(Replay),
    /// Dead-letter pending deliveries by hand: keep them, but do not dispatch them again
    ///
    /// The attempts show who gave the delivery up, and `inbox replay` dispatches it again. Claimed and
    /// acknowledged deliveries are left unchanged. An interrupted delivery, which ended with its
    /// process, can be dead-lettered while no `serve` runs. Deliveries chosen by options, or by `last`,
    /// are confirmed first.
    #[command(before_help = "Examples:
  heygen-webhooks inbox dead-letter 01jd…
  heygen-webhooks inbox dead-letter --subject VIDEO_ID --yes
  heygen-webhooks inbox dead-letter --state pending --event-type '*.fail' \\
    --dry-run")]
    DeadLetter(ChangeByHand),
    /// Delete deliveries with their bodies and attempts
    ///
    /// Claimed deliveries are left unchanged. A deleted delivery is no longer recognised as a
    /// duplicate: if HeyGen sends the event again, or a backfill finds it, it is stored as new and
    /// dispatched; to prevent that, dead-letter it instead. Asks first.
    ///
    /// The bytes remain in free pages of the file, and in backups, until they are overwritten.
    #[command(before_help = "Examples:
  heygen-webhooks inbox delete 01jd… --yes
  heygen-webhooks inbox delete --subject VIDEO_ID --dry-run
  heygen-webhooks inbox delete --callback-id customer-42")]
    Delete(ChangeByHand),
    /// Pause dispatch: deliveries are received and stored, and wait
    ///
    /// Pauses every process of the inbox, running ones within a second or two, until `inbox resume`, also
    /// over restarts. Running attempts go on to their end. `inbox stats`, `doctor`, /readyz and the metric
    /// heygen_webhooks_dispatch_paused show the pause. Retries that fall due are dispatched after it; the
    /// pause does not count towards their time.
    #[command(before_help = "Examples:
  heygen-webhooks inbox pause
  heygen-webhooks inbox pause --inbox nats://nats.internal:4222/HEYGEN")]
    Pause(Pause),
    /// Resume dispatch after `inbox pause`
    #[command(before_help = "Examples:
  heygen-webhooks inbox resume")]
    Resume(Pause),
    Export(Export),
    Import(Import),
    Prune(Prune),
    Check(Check),
    Backup(Backup),
    #[command(subcommand)]
    Rejected(Rejected),
}

/// The options that choose deliveries, shared by every command that takes a choice.
#[derive(Args, Debug, Default, PartialEq)]
pub(crate) struct Selection {
    /// Only events with this name; `*` matches anything
    #[arg(long, value_name = "EVENT_TYPE")]
    pub(crate) event_type: Option<String>,
    /// Only deliveries in this state
    #[arg(long, value_name = "STATE", value_parser = states())]
    pub(crate) state: Option<State>,
    /// Only events about this subject (video id, session id, ...)
    #[arg(long, value_name = "ID")]
    pub(crate) subject: Option<String>,
    /// Only events of jobs that were started with this callback id
    #[arg(long, value_name = "ID")]
    pub(crate) callback_id: Option<String>,
    /// Only deliveries received since: a time (2026-11-01, 2026-11-01T12:00:00Z) or an age (90s,
    /// 30m, 2h, 7d)
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<When>,
    /// Only deliveries received before: a time or an age
    #[arg(long, value_name = "WHEN")]
    pub(crate) until: Option<When>,
}

fn states() -> impl TypedValueParser<Value = State> {
    let meanings = [
        "Waiting for an attempt",
        "A handler is working on it",
        "`serve` ended during an attempt; the next start delivers it again (files only)",
        "Acknowledged by the handler",
        "Dead-lettered: given up, and kept for a replay",
    ];
    let states = State::ALL.into_iter().zip(meanings);
    let values = states.map(|(state, meaning)| PossibleValue::new(state.as_str()).help(meaning));
    PossibleValuesParser::new(values).try_map(|name| name.parse::<State>())
}
