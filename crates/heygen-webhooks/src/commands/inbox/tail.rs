//! `inbox tail`: prints new deliveries as they are stored.

use std::io::{self, Write as _};
use std::time::Duration;

use heygen_inbox::{BoxInbox, DeliveryId, DeliverySummary, InboxAdmin as _, InboxError, Query};
use tokio::time::sleep;

use super::chunks::{CHUNK, newest, next_id};
use super::{open_existing, to_json};
use crate::cli::Tail;
use crate::failure::Failure;
use crate::output;
use crate::output::screen::Screen;
use crate::output::table::{self, Cell, Column};
use crate::process::signals;
use crate::settings::event_name;

pub(super) async fn run(options: &Tail) -> Result<(), Failure> {
    let stopped = signals::asked_to_stop(Vec::new())?;
    tokio::pin!(stopped);
    let inbox = open_existing(&options.file).await?;
    if let Some(event_type) = &options.event_type {
        event_name::warn_if_mistyped(event_type);
    }
    let mut after = newest(&inbox).await?;
    print(options, &first(options, &inbox, after).await?)?;
    loop {
        let chunk = since(&inbox, after).await?;
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
async fn first(
    options: &Tail,
    inbox: &BoxInbox,
    newest: Option<DeliveryId>,
) -> Result<Vec<DeliverySummary>, InboxError> {
    let mut query = wanted(options).limit(options.lines);
    query.before = newest.map(next_id);
    if newest.is_none() {
        return Ok(Vec::new());
    }
    let mut first = inbox.list(query).await?;
    first.reverse();
    Ok(first)
}

fn wanted(options: &Tail) -> Query {
    let mut query = Query::default();
    event_name::choose(&mut query, options.event_type.as_deref());
    query.subject_id.clone_from(&options.subject);
    query.callback_id.clone_from(&options.callback_id);
    query
}

/// All that is new, wanted or not: looking for what is wanted alone would go through the rest again every time.
async fn since(
    inbox: &BoxInbox,
    after: Option<DeliveryId>,
) -> Result<Vec<DeliverySummary>, InboxError> {
    let mut query = Query::default().oldest_first().limit(CHUNK);
    query.after = after;
    inbox.list(query).await
}

fn print(options: &Tail, found: &[DeliverySummary]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let wanted = wanted(options);
    for summary in found.iter().filter(|summary| wanted.matches(summary)) {
        match options.json {
            true => write!(stdout, "{}", output::json_line(&to_json(summary)))?,
            false => write!(stdout, "{}", line(summary))?,
        }
    }
    stdout.flush()
}

fn line(summary: &DeliverySummary) -> String {
    let event_type = summary.event_type.as_deref();
    let subject_id = summary.subject_id.as_deref();
    let callback_id = summary.callback_id.as_deref();
    let callback_id = callback_id.map(|id| format!("callback_id={id}"));
    let row = vec![
        Cell::time(summary.received_at),
        summary.id.to_string().into(),
        event_type.unwrap_or("(unreadable)").into(),
        subject_id.unwrap_or_default().into(),
        callback_id.unwrap_or_default().into(),
    ];
    table::line(&COLUMNS, row, Screen::stdout())
}

const COLUMNS: [Column; 5] = [
    Column::new(""),
    Column::new(""),
    Column::new("").cut_middle(20),
    Column::new("").cut_middle(9).optional(1),
    Column::new("").cut_middle(20).optional(2),
];

const PAUSE: Duration = Duration::from_millis(250);
