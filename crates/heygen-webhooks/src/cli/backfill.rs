//! The options of `backfill`.

use crate::settings::api::ApiOptions;
use crate::settings::location::InboxFile;
use crate::settings::options::Options;
use crate::settings::when::When;
use clap::Args;

/// Fetch missed events from HeyGen's event log (v3 only)
///
/// HeyGen retries a delivery for 24 hours and then gives up. Backfill reads HeyGen's event log and
/// stores every event that the inbox lacks. A running `serve` picks new events up at once;
/// otherwise the next start does. An event is dispatched once, whether it arrived by POST, from
/// the log, or both.
///
/// You can interrupt and repeat it: the next run resumes where the last one stopped. Later runs
/// read back only as far as there can be something new (three days before the last complete run).
/// --since reads further back, and restores events that were deleted from the inbox. Ctrl-C stops
/// after the current page is stored.
///
/// HeyGen documents that the log holds delivered events. It does not document whether it holds
/// events that could not be delivered, how long it keeps them, or their order; backfill relies on
/// none of these.
#[derive(Args, Debug)]
#[command(
    before_help = "Examples:
  heygen-webhooks backfill
  heygen-webhooks backfill --dry-run --since 2d
  heygen-webhooks backfill --event-type avatar_video.fail --since 2026-11-01
  heygen-webhooks backfill --inbox /var/lib/heygen/inbox.db --json | jq .new",
    after_help = "Exit status: 0 when the log was read to its end; 1 when HeyGen or the inbox failed, or the run was \
            interrupted. Events stored until then are kept."
)]
pub(crate) struct Backfill {
    /// Only events created since: a time (2026-11-01, 2026-11-01T12:00:00Z) or an age (90s, 30m, 2h,
    /// 7d); events without a time are always included
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<When>,
    /// Only events with this name; `*` matches anything
    #[arg(long, value_name = "EVENT_TYPE")]
    pub(crate) event_type: Option<String>,
    /// Only events about this resource
    #[arg(long, value_name = "ID")]
    pub(crate) entity_id: Option<String>,
    /// Count the missing events and store nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the counts as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) file: InboxFile,
    #[command(flatten)]
    pub(crate) api: Options<ApiOptions>,
}
