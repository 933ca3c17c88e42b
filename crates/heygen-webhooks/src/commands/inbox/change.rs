//! `inbox replay`, `inbox dead-letter` and `inbox delete`: what an operator does with deliveries that were chosen.

use std::pin::pin;
use std::time::{Duration, SystemTime};

use heygen_inbox::{DeliveryId, InboxAdmin as _};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::chosen::Chosen;
use super::{open_beside, size};
use crate::cli::{ChangeByHand, Replay, Selection};
use crate::commands::confirm::confirm;
use crate::commands::progress;
use crate::failure::Failure;
use crate::output;
use crate::process::signals::asked_to_stop;
use crate::settings::location::InboxFile;
use crate::settings::span::Rate;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Change {
    Replay,
    DeadLetter,
    Delete,
}

/// What is to be done, and with what.
#[derive(Debug)]
struct Request<'a> {
    change: Change,
    file: &'a InboxFile,
    ids: &'a [String],
    selection: &'a Selection,
    /// Whether everything is chosen; `None` for a command that has no such option.
    all: Option<bool>,
    rate: Option<Rate>,
    dry_run: bool,
    yes: bool,
    json: bool,
}

#[derive(Debug, Default)]
struct Outcome {
    changed: usize,
    acknowledged: usize,
    claimed: usize,
    missing: usize,
    /// How many were not reached, because of a signal or an error.
    left: usize,
    is_failed: bool,
}

pub(super) async fn replay(options: &Replay) -> Result<(), Failure> {
    let request = Request {
        change: Change::Replay,
        file: &options.file,
        ids: &options.ids,
        selection: &options.selection,
        all: Some(options.all),
        rate: options.rate,
        dry_run: options.dry_run,
        yes: options.yes,
        json: options.json,
    };
    request.run().await
}

pub(super) async fn by_hand(options: &ChangeByHand, change: Change) -> Result<(), Failure> {
    let request = Request {
        change,
        file: &options.file,
        ids: &options.ids,
        selection: &options.selection,
        all: None,
        rate: None,
        dry_run: options.dry_run,
        yes: options.yes,
        json: options.json,
    };
    request.run().await
}

impl Request<'_> {
    async fn run(&self) -> Result<(), Failure> {
        let choice = (self.ids, self.selection, self.all);
        let chosen = Chosen::show(self.file, choice, self.json).await?;
        let mut outcome = Outcome::default();
        let mut ended = Ok(());
        if !self.dry_run && !chosen.ids.is_empty() {
            if !self.yes && self.asks(chosen.ids.len()) {
                confirm(&self.change.question(chosen.ids.len() as u64))?;
            }
            ended = self.change_all(&chosen.ids, &mut outcome).await;
            outcome.is_failed = ended.is_err();
            // Nothing was begun.
            if outcome.is_failed && outcome.left == 0 {
                return ended;
            }
        }
        outcome.missing += chosen.missing.len();
        // What was changed before a failure stays so.
        match self.json {
            true => output::json(&outcome.json(self, &chosen))?,
            false => output::write(outcome.text(self))?,
        }
        ended?;
        // A chosen delivery that is gone is no failure; a named one is, as is one that was left.
        let is_left = outcome.claimed + outcome.acknowledged > 0;
        let is_refused = is_left && !self.ids.is_empty() && self.change != Change::Replay;
        Failure::unless(chosen.missing.is_empty() && outcome.left == 0 && !is_refused)
    }

    fn asks(&self, number: usize) -> bool {
        // `last` may be another than the one that was looked at.
        let is_named = !self.ids.is_empty() && self.ids.iter().all(|id| id != "last");
        match self.change {
            Change::Replay => number > ASK_ABOVE,
            // A replay undoes it.
            Change::DeadLetter => !is_named,
            Change::Delete => true,
        }
    }

    /// In small steps, so that what waits at a server gets its turn.
    async fn change_all(&self, ids: &[DeliveryId], outcome: &mut Outcome) -> Result<(), Failure> {
        let inbox = open_beside(self.file).await?;
        let progress = progress::deliveries(ids.len() as u64)?;
        let mut stop = pin!(asked_to_stop(Vec::new())?);
        // From here on even a failure of the first step may have changed some.
        outcome.left = ids.len();
        let begun_at = Instant::now();
        let due_after = |number: usize| {
            let due_after = |rate: Rate| rate.due_after(number as u64);
            self.rate.map_or(Duration::ZERO, due_after)
        };
        while outcome.left > 0 {
            let done = ids.len() - outcome.left;
            let pause = if done > 0 { PAUSE } else { Duration::ZERO };
            let wait = due_after(done).saturating_sub(begun_at.elapsed());
            // A signal that has come is noticed here also when there is nothing to wait for.
            tokio::task::yield_now().await;
            tokio::select! {
                biased;
                _ = &mut stop => break,
                () = sleep(wait.max(pause)) => {}
            }
            let elapsed = begun_at.elapsed();
            let is_due = |more: &usize| due_after(done + *more) <= elapsed;
            let most = outcome.left.min(AT_A_TIME);
            let count = (1..most).take_while(is_due).count() + 1;
            let chunk = ids[done..done + count].to_vec();
            let now = SystemTime::now();
            let (changed, claimed, missing) = match self.change {
                Change::Replay => {
                    let report = inbox.replay(chunk, now).await?;
                    (report.pending, report.claimed, report.missing)
                }
                Change::DeadLetter => {
                    let report = inbox.dead_letter(chunk, now).await?;
                    outcome.acknowledged += report.acknowledged;
                    (report.dead_lettered, report.claimed, report.missing)
                }
                Change::Delete => {
                    let report = inbox.delete(chunk).await?;
                    (report.deleted, report.claimed, report.missing)
                }
            };
            outcome.changed += changed;
            outcome.claimed += claimed;
            outcome.missing += missing;
            outcome.left -= count;
            progress.inc(count as u64);
        }
        progress.finish_and_clear();
        Ok(())
    }
}

impl Change {
    /// The key in JSON, and the word for people.
    fn word(self) -> &'static str {
        match self {
            Self::Replay => "replayed",
            Self::DeadLetter => "dead_lettered",
            Self::Delete => "deleted",
        }
    }

    fn question(self, number: u64) -> String {
        let deliveries = size::deliveries(number);
        match self {
            Self::Replay => format!("Replay {deliveries}?"),
            Self::DeadLetter => format!("Dead-letter {deliveries}?"),
            Self::Delete => format!(
                "Delete {deliveries}? This cannot be undone. If HeyGen sends them again, they are no longer recognised as duplicates."
            ),
        }
    }
}

impl Outcome {
    fn json(&self, request: &Request<'_>, chosen: &Chosen) -> Value {
        let mut value = json!({
            "chosen": chosen.ids.len(),
            "kinds": chosen.kinds_json(),
            (request.change.word()): self.changed,
            "claimed": self.claimed,
            "missing": self.missing,
            "not_reached": self.left,
            "dry_run": request.dry_run,
        });
        if request.change != Change::Replay {
            let ids = chosen.ids.iter().map(ToString::to_string);
            value["ids"] = ids.collect();
            value["acknowledged"] = self.acknowledged.into();
        }
        value
    }

    fn text(&self, request: &Request<'_>) -> String {
        let changed = size::deliveries(self.changed as u64);
        let mut first = match request.dry_run {
            true => "nothing was changed (dry run)".to_owned(),
            false => format!("{changed} {}", request.change.word().replace('_', "-")),
        };
        let left = size::deliveries(self.left as u64);
        match (self.left, self.is_failed) {
            (0, _) => {}
            (_, false) => first = format!("{first}\nstopped: {left} left unchanged"),
            (_, true) => first = format!("{first}\nfailed: {left} may be unchanged"),
        }
        let claimed = match request.change {
            Change::Replay => "claimed by a handler, and left unchanged",
            Change::DeadLetter | Change::Delete => {
                "claimed by a handler, and left unchanged: try again when the attempt has ended; `inbox pause` prevents another"
            }
        };
        let others = [
            (
                self.acknowledged,
                "acknowledged already, and left unchanged",
            ),
            (self.claimed, claimed),
            (self.missing, "not in this inbox"),
        ];
        size::outcome(&first, &others)
    }
}

/// Up to this many are replayed without a question.
const ASK_ABOVE: usize = 100;

/// Of one transaction, so that a running server waits only shortly.
const AT_A_TIME: usize = 200;

const PAUSE: Duration = Duration::from_millis(20);
