//! The options of `backfill`.

use crate::settings::api::ApiOptions;
use crate::settings::location::InboxFile;
use crate::settings::options::Options;
use crate::settings::when::When;
use clap::Args;

/// Fetch the events from HeyGen's log that are missing in the inbox (v3 alone)
///
/// For what HeyGen could not deliver: it tries for 24 hours, and then never again. Goes over HeyGen's log of events and
/// keeps those that the inbox lacks. `serve` hands them out: at once where it runs on this inbox, otherwise after its next
/// start. Whether an event came by POST or from the log, before or after, it is handed out once.
///
/// May be interrupted and repeated: the next run goes on where the last one ended, and later ones read only as far back as
/// there may be something new (three days before the last complete run). --since goes over it again, and also takes what was
/// deleted from the inbox meanwhile. Ctrl-C ends it after the page that is being kept.
///
/// HeyGen's reference says that the log has the delivered events. It does not say whether those that could not be delivered
/// are among them, how long they stay, or in which order they come: nothing here relies on either.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  heygen-webhooks backfill
  heygen-webhooks backfill --dry-run --since 2d
  heygen-webhooks backfill --event-type avatar_video.fail --since 2026-11-01
  heygen-webhooks backfill --inbox /var/lib/heygen/inbox.db --json | jq .new

Exit status: 0 when everything was gone over, 1 when HeyGen or the inbox failed, or it was interrupted.
What was taken by then is kept.")]
pub(crate) struct Backfill {
    /// Only what HeyGen made since: a time (2026-11-01, 2026-11-01T12:00:00Z) or how long ago (90s, 30m, 2h, 7d); what does not say when is taken
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<When>,
    /// Only this event, `*` for any letters
    #[arg(long, value_name = "EVENT_TYPE")]
    pub(crate) event_type: Option<String>,
    /// Only events of this resource
    #[arg(long, value_name = "ID")]
    pub(crate) entity_id: Option<String>,
    /// Count what would be new, and change nothing
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
