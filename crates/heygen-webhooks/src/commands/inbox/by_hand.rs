//! `inbox dead-letter` and `inbox delete`: an operator gives deliveries up, or removes them.

use std::time::{Duration, SystemTime};

use heygen_inbox::{DeliveryId, InboxAdmin as _};
use serde_json::json;
use tokio::time::sleep;

use super::chosen::Chosen;
use super::{open_beside, size};
use crate::cli::ChangeByHand;
use crate::commands::confirm::confirm;
use crate::commands::progress;
use crate::failure::Failure;
use crate::output;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Change {
    DeadLetter,
    Delete,
}

#[derive(Debug, Default)]
struct Outcome {
    changed: usize,
    acknowledged: usize,
    claimed: usize,
    missing: usize,
}

pub(super) async fn run(options: &ChangeByHand, change: Change) -> Result<(), Failure> {
    let choice = (&*options.ids, &options.selection, None);
    let chosen = Chosen::show(&options.file, choice, options.json).await?;
    let mut outcome = Outcome::default();
    if !options.dry_run && !chosen.ids.is_empty() {
        // `last` may be another than the one that was looked at.
        let is_named = !options.ids.is_empty() && options.ids.iter().all(|id| id != "last");
        let may_be_undone = change == Change::DeadLetter && is_named;
        if !options.yes && !may_be_undone {
            confirm(&change.question(chosen.ids.len() as u64))?;
        }
        outcome = change.of_all(options, &chosen.ids).await?;
    }
    outcome.missing += chosen.missing.len();
    if options.json {
        output::json(&json!({
            "chosen": chosen.ids.len(),
            "ids": chosen.ids.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "kinds": chosen.kinds_json(),
            (change.word()): outcome.changed,
            "acknowledged": outcome.acknowledged,
            "claimed": outcome.claimed,
            "missing": outcome.missing,
            "dry_run": options.dry_run,
        }))?;
    } else {
        output::write(outcome.text(change, options.dry_run))?;
    }
    // As for a replay, a chosen delivery that is gone is no failure; a named one that was left is.
    let is_done = chosen.missing.is_empty()
        && (options.ids.is_empty() || outcome.claimed + outcome.acknowledged == 0);
    Failure::unless(is_done)
}

impl Change {
    /// The key in JSON, and the word for people.
    fn word(self) -> &'static str {
        match self {
            Self::DeadLetter => "dead_lettered",
            Self::Delete => "deleted",
        }
    }

    fn question(self, number: u64) -> String {
        let deliveries = size::deliveries(number);
        match self {
            Self::DeadLetter => format!("Dead-letter {deliveries}?"),
            Self::Delete => format!(
                "Delete {deliveries}? This cannot be undone. If HeyGen sends them again, they are no longer recognised as duplicates."
            ),
        }
    }

    async fn of_all(self, options: &ChangeByHand, ids: &[DeliveryId]) -> Result<Outcome, Failure> {
        let inbox = open_beside(&options.file).await?;
        let progress = progress::deliveries(ids.len() as u64)?;
        let mut outcome = Outcome::default();
        for (number, chunk) in ids.chunks(AT_A_TIME).enumerate() {
            if number > 0 {
                // What waits at a server gets its turn.
                sleep(PAUSE).await;
            }
            let ids = chunk.to_vec();
            match self {
                Self::DeadLetter => {
                    let report = inbox.dead_letter(ids, SystemTime::now()).await?;
                    outcome.changed += report.dead_lettered;
                    outcome.acknowledged += report.acknowledged;
                    outcome.claimed += report.claimed;
                    outcome.missing += report.missing;
                }
                Self::Delete => {
                    let report = inbox.delete(ids).await?;
                    outcome.changed += report.deleted;
                    outcome.claimed += report.claimed;
                    outcome.missing += report.missing;
                }
            }
            progress.inc(chunk.len() as u64);
        }
        progress.finish_and_clear();
        Ok(outcome)
    }
}

impl Outcome {
    fn text(&self, change: Change, is_dry_run: bool) -> String {
        let changed = size::deliveries(self.changed as u64);
        let first = match (is_dry_run, change) {
            (true, _) => "nothing was changed (dry run)".to_owned(),
            (false, Change::DeadLetter) => format!("{changed} dead-lettered"),
            (false, Change::Delete) => format!("{changed} deleted"),
        };
        let others = [
            (
                self.acknowledged,
                "acknowledged already, and left unchanged",
            ),
            (
                self.claimed,
                "claimed by a handler, and left unchanged: try again when the attempt has ended; `inbox pause` prevents another",
            ),
            (self.missing, "not in this inbox"),
        ];
        size::outcome(&first, &others)
    }
}

/// Of one transaction, so that a running server waits only shortly.
const AT_A_TIME: usize = 200;

const PAUSE: Duration = Duration::from_millis(20);
