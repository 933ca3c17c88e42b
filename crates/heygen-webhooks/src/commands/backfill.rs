//! `backfill`: stores the events of HeyGen's log that the inbox lacks.

use heygen_connect::{Backfill as Work, BackfillOutcome, BackfillProgress, ConnectError};
use heygen_inbox::BoxInbox;
use serde_json::json;

use super::{management, progress};
use crate::api;
use crate::backfill;
use crate::cli::Backfill;
use crate::failure::Failure;
use crate::output;
use crate::process::signals::asked_to_stop;
use crate::settings::event_name;
use crate::store;

pub(super) fn run(options: &Backfill) -> Result<(), Failure> {
    let mut done = BackfillProgress::default();
    let ended = management::run(async {
        let (mut work, inbox) = work(options).await?;
        let ended = go(&mut work, &mut done).await;
        if let Some(inbox) = &inbox {
            store::flush(inbox).await;
        }
        Ok(ended)
    })?;
    let is_complete = matches!(ended, Ok(Ok(BackfillOutcome::Complete)));
    let printed = match options.json {
        true => output::json(&document(&done, is_complete, options.dry_run)),
        // Without a page there is nothing to tell but what went wrong.
        false if done.pages == 0 => Ok(()),
        false => output::write(summary(&done, options)),
    };
    let ended = ended?;
    if !is_complete && done.pages > 0 && !options.dry_run {
        management::note(
            "incomplete: events fetched so far are stored, and the next run resumes from here",
        );
    }
    match ended {
        Ok(_) if is_complete => Ok(printed?),
        Ok(_) => Err(Failure::Said),
        Err(error) => Err(backfill::failure(error)),
    }
}

/// What is to be done, and the inbox in which; a dry run needs none.
async fn work(options: &Backfill) -> Result<(Work<BoxInbox>, Option<BoxInbox>), Failure> {
    // Asked for before the inbox is made: without a key there is nothing to start.
    let api_options = options.api.over(&options.file.config.read()?)?.whole()?;
    let client = api::connect(&api_options)?;
    if let Some(event_type) = &options.event_type {
        event_name::warn_if_mistyped(event_type);
    }
    let location = options.file.location()?;
    let nats = options.file.nats(&location)?;
    let inbox = match options.dry_run && !location.may_exist() {
        true => None,
        false => Some(store::open_beside(&location, &nats).await?),
    };
    let work = match (inbox.clone(), options.dry_run) {
        (Some(inbox), false) => Work::new(client, inbox),
        (inbox, _) => Work::dry_run(client, inbox),
    };
    let work = work
        .base_url(api_options.base_url)
        .event_type(options.event_type.clone())
        .entity_id(options.entity_id.clone());
    let work = match options.since {
        Some(since) => work.again_since(since.system_time()),
        None => work,
    };
    Ok((work, inbox))
}

async fn go(
    work: &mut Work<BoxInbox>,
    done: &mut BackfillProgress,
) -> Result<Result<BackfillOutcome, ConnectError>, Failure> {
    // HeyGen does not say how many there are.
    let progress = progress::spinner("{spinner} {human_pos} events read, {msg}, {elapsed}")?;
    progress.set_message("0 new");
    let asked = asked_to_stop(Vec::new())?;
    let on_progress = |so_far: &BackfillProgress| {
        *done = *so_far;
        progress.set_position(so_far.new + so_far.known + so_far.skipped);
        progress.set_message(format!("{} new", so_far.new));
    };
    let ended = work.run(async { drop(asked.await) }, on_progress).await;
    progress.finish_and_clear();
    Ok(ended)
}

fn summary(done: &BackfillProgress, options: &Backfill) -> String {
    let what_next = match (done.new, options.dry_run) {
        (0, _) => "",
        (_, true) => "would be stored",
        (_, false) => "a running `serve` dispatches them now, otherwise the next one does",
    };
    let mut lines = vec![
        ("new", done.new, what_next),
        ("known", done.known, ""),
        (
            "unreadable",
            done.unreadable,
            match done.unreadable {
                0 => "",
                _ => "among them; stored anyway",
            },
        ),
    ];
    if done.skipped > 0 {
        let why = match options.since {
            Some(_) => "older than --since",
            None => "read by an earlier run; --since reads them again",
        };
        lines.push(("skipped", done.skipped, why));
    }
    lines.push(("pages", done.pages, ""));
    let lines = lines.iter().map(|(word, count, remark)| {
        let line = format!("{word:<10}  {count:>7}  {remark}");
        format!("{}\n", line.trim_end())
    });
    lines.collect()
}

fn document(done: &BackfillProgress, is_complete: bool, dry_run: bool) -> serde_json::Value {
    json!({
        "complete": is_complete,
        "dry_run": dry_run,
        "new": done.new,
        "known": done.known,
        "unreadable": done.unreadable,
        "skipped": done.skipped,
        "pages": done.pages,
    })
}
