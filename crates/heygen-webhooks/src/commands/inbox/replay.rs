//! `inbox replay`: dispatches deliveries again.

use std::collections::BTreeMap;
use std::time::SystemTime;

use heygen_inbox::{BoxInbox, DeliveryId, DeliverySummary, InboxAdmin as _, ReplayReport, State};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use super::chunks::{CHUNK, Chunks};
use super::confirm::confirm;
use super::{delivery_id, open_beside, open_existing, progress, size};
use crate::cli::Replay;
use crate::failure::Failure;
use crate::output::{self, table, tame};
use crate::process::signals::{interrupted, until_true};
use crate::settings::span::Rate;

/// What was asked for, and what it is.
#[derive(Debug, Default)]
struct Chosen {
    ids: Vec<DeliveryId>,
    /// How many of each event and state.
    kinds: BTreeMap<(Option<String>, &'static str), u64>,
    /// Ids that were named and are not there.
    missing: Vec<DeliveryId>,
}

pub(super) async fn run(options: &Replay) -> Result<(), Failure> {
    check_use(options)?;
    let chosen = Chosen::find(&open_existing(&options.file).await?, options).await?;
    if chosen.ids.is_empty() {
        options.selection.found_nothing();
    }
    if !options.json {
        output::write(chosen.text())?;
    }
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

/// Never everything by accident.
fn check_use(options: &Replay) -> Result<(), Failure> {
    let is_chosen = !options.selection.is_everything();
    let ways = [!options.ids.is_empty(), is_chosen, options.all];
    match ways.iter().filter(|way| **way).count() {
        1 => Ok(()),
        0 => Err(Failure::usage(
            "no deliveries chosen: give ids, choose by --state, --event-type, --subject, --since or --until, or give --all",
        )),
        _ => Err(Failure::usage(
            "give either ids, or options that choose, or --all",
        )),
    }
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
        let kinds = chosen.kinds.iter().map(|((event_type, state), count)| {
            json!({"event_type": event_type, "state": state, "count": count})
        });
        output::json(&json!({
            "chosen": chosen.ids.len(),
            "kinds": kinds.collect::<Vec<_>>(),
            "replayed": replayed.pending,
            "claimed": replayed.claimed,
            "missing": missing,
            "not_reached": left,
            "dry_run": options.dry_run,
        }))?;
    } else {
        output::write(outcome_text(options, outcome, missing))?;
    }
    match chosen.missing.is_empty() && *left == 0 {
        true => Ok(()),
        false => Err(Failure::Said),
    }
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

impl Chosen {
    async fn find(inbox: &BoxInbox, options: &Replay) -> Result<Self, Failure> {
        let mut chosen = Self::default();
        if options.ids.is_empty() {
            let mut chunks = Chunks::new(inbox, options.selection.query()).await?;
            loop {
                let chunk = chunks.next().await?;
                if chunk.is_empty() {
                    return Ok(chosen);
                }
                chunk.iter().for_each(|summary| chosen.add(summary));
            }
        }
        let mut ids: Vec<_> = options
            .ids
            .iter()
            .map(|id| delivery_id(id))
            .collect::<Result<_, _>>()?;
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            match inbox.get(id).await? {
                Some(kept) => chosen.add(&kept.summary),
                None => chosen.missing.push(id),
            }
        }
        Ok(chosen)
    }

    fn add(&mut self, summary: &DeliverySummary) {
        self.ids.push(summary.id);
        let kind = (summary.event_type.clone(), State::as_str(summary.state));
        *self.kinds.entry(kind).or_default() += 1;
    }

    fn text(&self) -> String {
        let name = |event_type: &Option<String>| match event_type {
            Some(event_type) => tame(event_type),
            None => "(unreadable)".to_owned(),
        };
        let rows: Vec<_> = self
            .kinds
            .iter()
            .map(|((event_type, state), count)| {
                vec![name(event_type), (*state).to_owned(), size::count(*count)]
            })
            .collect();
        let mut text = match rows.is_empty() {
            true => "no deliveries match\n".to_owned(),
            false => table(&["EVENT", "STATE", "COUNT"], &rows),
        };
        for id in &self.missing {
            text.push_str("not in this inbox: ");
            text.push_str(&id.to_string());
            text.push('\n');
        }
        text
    }
}

/// Up to this many are replayed without a question.
const ASK_ABOVE: u64 = 100;
