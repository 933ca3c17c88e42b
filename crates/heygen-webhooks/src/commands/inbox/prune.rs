//! `inbox prune`: deletes old deliveries that are finished, in small steps.

use std::time::{Duration, SystemTime};

use heygen_inbox::{DeliveryId, InboxAdmin as _, PruneReport, PruneStep};
use serde_json::json;
use tokio::time::sleep;

use super::{open_beside, open_existing, size};
use crate::cli;
use crate::commands::confirm::confirm;
use crate::commands::progress;
use crate::failure::Failure;
use crate::output;
use crate::settings::when;

pub(super) async fn run(options: &cli::Prune) -> Result<(), Failure> {
    let before = options.older_than.system_time();
    let inbox = open_existing(&options.file).await?;
    let found = inbox.count_prunable(before).await?;
    let bytes_before = inbox.counts().await?.bytes;
    drop(inbox);
    let (mut deleted, mut bytes_after, mut damaged) = (0, bytes_before, Vec::<DeliveryId>::new());
    let mut ended = Ok(());
    if !options.dry_run && found > 0 {
        if !options.yes {
            confirm(&format!(
                "Delete {} older than {}? If HeyGen sends them again, they are no longer recognised as duplicates.",
                size::deliveries(found),
                when::short(before)
            ))?;
        }
        ended = prune(options, before, found, |pruned| {
            deleted += pruned.deleted as u64;
            bytes_after = pruned.bytes;
            damaged.extend(&pruned.damaged);
            deleted
        })
        .await;
        if let ([first, ..], Ok(())) = (damaged.as_slice(), &ended) {
            ended = Err(anyhow::anyhow!(
                "{} on damaged pages cannot be deleted, the first is {first}: `inbox check` tells more",
                size::deliveries(damaged.len() as u64)
            )
            .into());
        }
        // What was deleted before a failure is gone.
        if ended.is_err() && deleted == 0 {
            return ended;
        }
    }
    if options.json {
        output::json(&json!({
            "before": when::exact(before),
            "found": found,
            "deleted": deleted,
            "bytes_in_use_before": bytes_before,
            "bytes_in_use_after": bytes_after,
            "dry_run": options.dry_run,
        }))?;
        return ended;
    }
    output::write(match options.dry_run {
        true => format!(
            "{} older than {} would be deleted; nothing was changed (dry run)\n",
            size::deliveries(found),
            when::short(before)
        ),
        false => format!(
            "{} deleted; in use: {} before, {} now\nPending and claimed deliveries stay. Deleted ones are no longer recognised as duplicates.\n",
            size::deliveries(deleted),
            size::bytes(bytes_before),
            size::bytes(bytes_after)
        ),
    })?;
    ended
}

/// Passes the report of each step to `count`, which gives how many were deleted so far.
async fn prune(
    options: &cli::Prune,
    before: SystemTime,
    found: u64,
    mut count: impl FnMut(&PruneReport) -> u64,
) -> Result<(), Failure> {
    let inbox = open_beside(&options.file).await?;
    let progress = progress::deliveries(found)?;
    let mut step = PruneStep::before(before);
    loop {
        let pruned = inbox.prune(step.clone()).await?;
        progress.set_position(count(&pruned));
        if pruned.next.is_none() {
            progress.finish_and_clear();
            return Ok(());
        }
        step = step.after(pruned.next);
        // What waits at a server gets its turn.
        sleep(PAUSE).await;
    }
}

const PAUSE: Duration = Duration::from_millis(20);
