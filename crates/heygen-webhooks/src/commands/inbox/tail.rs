//! `inbox tail`: follows what comes in.

use std::io::{self, Write as _};
use std::time::Duration;

use heygen_events::Pattern;
use heygen_inbox::{DeliveryId, InboxError, Query, Summary};
use tokio::time::sleep;

use super::chunks::{CHUNK, newest, next_id};
use super::json::summary_json;
use crate::cli::Tail;
use crate::commands::management;
use crate::failure::Failure;
use crate::output;
use crate::output::{tame, tame_lines};
use crate::process::signals;
use crate::settings::event_name;
use crate::settings::when;
use crate::store::Reader;

pub(super) fn run(options: &Tail) -> Result<(), Failure> {
    match management::run(follow(options)) {
        // Whoever reads has seen enough.
        Err(Failure::NobodyListens) => Ok(()),
        ended => ended,
    }
}

async fn follow(options: &Tail) -> Result<(), Failure> {
    let stopped = signals::asked_to_stop(Vec::new())?;
    tokio::pin!(stopped);
    let reader = options.file.reader()?;
    if let Some(event_type) = &options.event_type {
        event_name::warn_if_mistyped(event_type);
    }
    let mut after = newest(&reader)?;
    print(options, &first(options, &reader, after)?)?;
    loop {
        let chunk = since(&reader, after)?;
        after = chunk.last().map(|last| last.id).or(after);
        print(options, &chunk)?;
        if chunk.len() == CHUNK {
            continue;
        }
        tokio::select! {
            () = sleep(PAUSE) => {}
            stopped = &mut stopped => return stopped,
        }
    }
}

/// What to begin with, oldest first.
fn first(
    options: &Tail,
    reader: &Reader,
    newest: Option<DeliveryId>,
) -> Result<Vec<Summary>, InboxError> {
    let mut query = Query::default().limit(options.lines);
    event_name::choose(&mut query, options.event_type.as_deref());
    query.subject_id.clone_from(&options.subject);
    query.before = newest.map(next_id);
    if newest.is_none() {
        return Ok(Vec::new());
    }
    let mut first = reader.list(&query)?;
    first.reverse();
    Ok(first)
}

/// All that is new, wanted or not: looking for what is wanted alone would go through the rest again every time.
fn since(reader: &Reader, after: Option<DeliveryId>) -> Result<Vec<Summary>, InboxError> {
    let mut query = Query::default().oldest_first().limit(CHUNK);
    query.after = after;
    reader.list(&query)
}

fn print(options: &Tail, found: &[Summary]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    for summary in found.iter().filter(|summary| is_wanted(options, summary)) {
        match options.json {
            true => write!(stdout, "{}", output::json_line(&summary_json(summary)))?,
            false => writeln!(stdout, "{}", tame_lines(&line(summary)))?,
        }
    }
    stdout.flush()
}

fn is_wanted(options: &Tail, summary: &Summary) -> bool {
    let name = summary.event_type.as_deref().unwrap_or_default();
    let pattern = options.event_type.as_deref();
    pattern.is_none_or(|pattern| Pattern::text_matches(pattern, name))
        && (options.subject.is_none() || options.subject == summary.subject_id)
}

fn line(summary: &Summary) -> String {
    let event_type = summary.event_type.as_deref();
    let mut words = vec![
        when::short(summary.received_at),
        summary.id.to_string(),
        event_type.map_or_else(|| "(unreadable)".to_owned(), tame),
    ];
    words.extend(summary.subject_id.as_deref().map(tame));
    words.extend(
        summary
            .callback_id
            .as_deref()
            .map(|id| format!("callback_id={}", tame(id))),
    );
    words.join("  ")
}

/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(250);
