//! `inbox replay`: dispatches deliveries again.

use std::time::SystemTime;

use heygen_inbox::{DeliveryId, InboxAdmin as _, ReplayReport};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use super::chosen::Chosen;
use super::chunks::CHUNK;
use super::{open_beside, progress, size};
use crate::cli::Replay;
use crate::commands::confirm::confirm;
use crate::failure::Failure;
use crate::output;
use crate::process::signals::{interrupted, until_true};
use crate::settings::span::Rate;

pub(super) async fn run(options: &Replay) -> Result<(), Failure> {
    let choice = (&*options.ids, &options.selection, Some(options.all));
    let chosen = Chosen::show(&options.file, choice, options.json).await?;
    if options.dry_run {
        return report(options, &chosen, &Outcome::default());
    }
    let number = chosen.ids.len() as u64;
    if number > ASK_ABOVE && !options.yes {
        let deliveries = size::deliveries(number);
        confirm(&format!("Replay {deliveries}?"))?;
    }
    let outcome = replay(options, &chosen.ids).await?;
    report(options, &chosen, &outcome)
}

/// What became of a replay.
#[derive(Debug, Default)]
struct Outcome {
    replayed: ReplayReport,
    /// How many were not reached because the replay was stopped.
    left: usize,
}

async fn replay(options: &Replay, ids: &[DeliveryId]) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::default();
    if ids.is_empty() {
        return Ok(outcome);
    }
    let inbox = open_beside(&options.file).await?;
    let progress = progress::deliveries(ids.len() as u64)?;
    let mut pace = Pace::start(options.rate)?;
    let mut left = ids;
    while !left.is_empty() {
        let Some(count) = pace.next(left.len().min(CHUNK)).await else {
            break;
        };
        let (chunk, rest) = left.split_at(count);
        let replayed = inbox.replay(chunk.to_vec(), SystemTime::now()).await?;
        outcome.replayed.pending += replayed.pending;
        outcome.replayed.claimed += replayed.claimed;
        outcome.replayed.missing += replayed.missing;
        left = rest;
        progress.inc(count as u64);
    }
    progress.finish_and_clear();
    outcome.left = left.len();
    Ok(outcome)
}

/// How many at a time, so that no more are replayed than was asked for, and whether it is to stop.
struct Pace {
    rate: Option<Rate>,
    begun_at: Instant,
    count: u64,
    is_stopped: watch::Receiver<bool>,
}

impl Pace {
    fn start(rate: Option<Rate>) -> Result<Self, Failure> {
        let (stop, is_stopped) = watch::channel(false);
        let interrupted = interrupted()?;
        tokio::spawn(async move {
            interrupted.await;
            let _ = stop.send(true);
        });
        Ok(Self {
            rate,
            begun_at: Instant::now(),
            count: 0,
            is_stopped,
        })
    }

    /// How many may be replayed now, one at least and `most` at the most; `None` once someone has asked to stop.
    async fn next(&mut self, most: usize) -> Option<usize> {
        // A signal that has come is noticed here also when there is nothing to wait for.
        tokio::task::yield_now().await;
        if let Some(rate) = self.rate {
            let due_at = self.begun_at.checked_add(rate.due_after(self.count));
            tokio::select! {
                biased;
                () = until_true(self.is_stopped.clone()) => return None,
                () = async {
                    match due_at {
                        Some(due_at) => tokio::time::sleep_until(due_at).await,
                        None => std::future::pending().await,
                    }
                } => {}
            }
        }
        if *self.is_stopped.borrow() {
            return None;
        }
        let elapsed = self.begun_at.elapsed();
        let is_due = |more: &usize| {
            let number = self.count + *more as u64;
            self.rate
                .is_none_or(|rate| rate.due_after(number) <= elapsed)
        };
        let count = (1..most).take_while(is_due).count() + 1;
        self.count += count as u64;
        Some(count)
    }
}

/// A missing id that was named is a failure; a chosen delivery that is gone is not.
fn report(options: &Replay, chosen: &Chosen, outcome: &Outcome) -> Result<(), Failure> {
    let Outcome { replayed, left } = outcome;
    let missing = chosen.missing.len() + replayed.missing;
    if options.json {
        output::json(&json!({
            "chosen": chosen.ids.len(),
            "kinds": chosen.kinds_json(),
            "replayed": replayed.pending,
            "claimed": replayed.claimed,
            "missing": missing,
            "not_reached": left,
            "dry_run": options.dry_run,
        }))?;
    } else {
        output::write(outcome_text(options, outcome, missing))?;
    }
    Failure::unless(chosen.missing.is_empty() && *left == 0)
}

fn outcome_text(options: &Replay, outcome: &Outcome, missing: usize) -> String {
    let Outcome { replayed, left } = outcome;
    let mut lines = Vec::new();
    if options.dry_run {
        lines.push("nothing was changed (dry run)".to_owned());
    } else {
        let deliveries = size::deliveries(replayed.pending as u64);
        lines.push(format!("{deliveries} replayed"));
    }
    if *left > 0 {
        lines.push(format!(
            "stopped: {} left unchanged",
            size::deliveries(*left as u64)
        ));
    }
    if replayed.claimed > 0 {
        lines.push(format!(
            "{} claimed by a handler, and left unchanged",
            size::deliveries(replayed.claimed as u64)
        ));
    }
    if missing > 0 {
        lines.push(format!(
            "{} not in this inbox",
            size::deliveries(missing as u64)
        ));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Up to this many are replayed without a question.
const ASK_ABOVE: u64 = 100;
