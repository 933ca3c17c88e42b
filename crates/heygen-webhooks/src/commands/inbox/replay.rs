//! `inbox replay`: dispatches deliveries again.

use std::pin::pin;
use std::time::{Duration, SystemTime};

use heygen_inbox::{DeliveryId, InboxAdmin as _, ReplayReport};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::chosen::Chosen;
use super::chunks::CHUNK;
use super::{open_beside, size};
use crate::cli::Replay;
use crate::commands::confirm::confirm;
use crate::commands::progress;
use crate::failure::Failure;
use crate::output;
use crate::process::signals::asked_to_stop;

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
    let mut stop = pin!(asked_to_stop(Vec::new())?);
    let begun_at = Instant::now();
    let due_after = |number: usize| {
        let rate = options.rate.as_ref();
        rate.map_or(Duration::ZERO, |rate| rate.due_after(number as u64))
    };
    let mut left = ids;
    while !left.is_empty() {
        let done = ids.len() - left.len();
        // A signal that has come is noticed here also when there is nothing to wait for.
        tokio::task::yield_now().await;
        tokio::select! {
            biased;
            _ = &mut stop => break,
            () = sleep(due_after(done).saturating_sub(begun_at.elapsed())) => {}
        }
        let elapsed = begun_at.elapsed();
        let is_due = |more: &usize| due_after(done + *more) <= elapsed;
        let count = (1..left.len().min(CHUNK)).take_while(is_due).count() + 1;
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
    let mut first = match options.dry_run {
        true => "nothing was changed (dry run)".to_owned(),
        false => format!("{} replayed", size::deliveries(replayed.pending as u64)),
    };
    if *left > 0 {
        let left = size::deliveries(*left as u64);
        first = format!("{first}\nstopped: {left} left unchanged");
    }
    let others = [
        (replayed.claimed, "claimed by a handler, and left unchanged"),
        (missing, "not in this inbox"),
    ];
    size::outcome(&first, &others)
}

/// Up to this many are replayed without a question.
const ASK_ABOVE: u64 = 100;
