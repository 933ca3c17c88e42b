//! `backfill`: what HeyGen's log has and the inbox lacks, once.

use std::pin::pin;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::management;
use crate::api;
use crate::backfill::{Backfill as Work, End, Keeper, LogQuery, PassError, Tally};
use crate::cli::{ApiVersion, Backfill};
use crate::failure::Failure;
use crate::output;
use crate::process::signals::asked_to_stop;
use crate::settings::event_name;
use crate::settings::places;
use crate::store;

pub(super) fn run(options: &Backfill) -> Result<(), Failure> {
    let mut tally = Tally::default();
    let ended = management::run(async {
        let mut work = work(options).await?;
        Ok(go(&mut work, &mut tally).await)
    })?;
    let is_complete = matches!(ended, Ok(Ok(End::Done)));
    let told = match options.json {
        true => output::json(&document(&tally, is_complete, options.dry_run)),
        // Without a page there is nothing to tell but what went wrong.
        false if tally.pages == 0 => Ok(()),
        false => output::write(summary(&tally, options)),
    };
    let ended = ended?;
    if !is_complete && tally.pages > 0 && !options.dry_run {
        management::note(
            "this is not all: what was taken is kept, and the next run goes on from here",
        );
    }
    match ended {
        Ok(End::Done) => Ok(told?),
        Ok(End::Stopped) => Err(Failure::Said),
        Err(PassError::Api(error)) => Err(api::failure(ApiVersion::V3, &error)),
        Err(error) => Err(error.into()),
    }
}

async fn work(options: &Backfill) -> Result<Work, Failure> {
    // Asked for before the inbox is made: without a key there is nothing to start.
    let api_options = places::api(&options.api, &options.file.config.read()?);
    let client = api::connect(&api_options)?;
    if let Some(event_type) = &options.event_type {
        event_name::warn_if_mistyped(event_type);
    }
    let query = LogQuery {
        base_url: api_options.base_url,
        event_type: options.event_type.clone(),
        entity_id: options.entity_id.clone(),
    };
    let inbox = options.file.place()?;
    let nats = options.file.nats(&inbox)?;
    let keeper = match options.dry_run {
        true if !inbox.may_exist() => Keeper::dry_run(None),
        true => Keeper::dry_run(Some(store::open_beside(&inbox, &nats).await?)),
        false => Keeper::Inbox(store::open_beside(&inbox, &nats).await?),
    };
    let work = Work::new(client, query, keeper);
    Ok(match options.since {
        Some(since) => work.again_since(since.system_time()),
        None => work,
    })
}

async fn go(work: &mut Work, tally: &mut Tally) -> Result<Result<End, PassError>, Failure> {
    let progress = progress()?;
    let asked = asked_to_stop(Vec::new())?;
    let stop = pin!(async { drop(asked.await) });
    let mut tell = |so_far: &Tally| {
        *tally = *so_far;
        progress.set_position(so_far.new + so_far.known + so_far.skipped);
        progress.set_message(format!("{} new", so_far.new));
    };
    let ended = work.run(stop, &mut tell).await;
    progress.finish_and_clear();
    Ok(ended)
}

/// How far it is, on standard error where that is a terminal. HeyGen does not say how many there are.
fn progress() -> Result<ProgressBar, Failure> {
    let progress = ProgressBar::new_spinner().with_style(ProgressStyle::with_template(
        "{spinner} {human_pos} events read, {msg}, {elapsed}",
    )?);
    progress.set_message("0 new");
    progress.enable_steady_tick(Duration::from_millis(100));
    Ok(progress)
}

fn summary(tally: &Tally, options: &Backfill) -> String {
    let handed_out = match (tally.new, options.dry_run) {
        (0, _) => "",
        (_, true) => "would be kept",
        (_, false) => "`serve` hands them out, now where it runs, else after its next start",
    };
    let mut lines = vec![
        ("new", tally.new, handed_out),
        ("known", tally.known, ""),
        (
            "unreadable",
            tally.unreadable,
            match tally.unreadable {
                0 => "",
                _ => "among them, and kept all the same",
            },
        ),
    ];
    if tally.skipped > 0 {
        let why = match options.since {
            Some(_) => "from before --since",
            None => "gone over by an earlier run; --since goes over them again",
        };
        lines.push(("skipped", tally.skipped, why));
    }
    lines.push(("pages", tally.pages, ""));
    let lines = lines.iter().map(|(word, count, remark)| {
        let line = format!("{word:<10}  {count:>7}  {remark}");
        format!("{}\n", line.trim_end())
    });
    lines.collect()
}

fn document(tally: &Tally, is_complete: bool, dry_run: bool) -> serde_json::Value {
    json!({
        "complete": is_complete,
        "dry_run": dry_run,
        "new": tally.new,
        "known": tally.known,
        "unreadable": tally.unreadable,
        "skipped": tally.skipped,
        "pages": tally.pages,
    })
}
