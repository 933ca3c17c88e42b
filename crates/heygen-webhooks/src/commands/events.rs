//! `events`: the log of what HeyGen says it has delivered.

use heygen_api::PageRequest;
use heygen_api::v3::{EventQuery, LoggedEvent};
use heygen_events::{Event, Pattern};
use indicatif::ProgressBar;

use super::management::{self, Api, moment_cell, note};
use super::progress;
use crate::cli::Events;
use crate::failure::Failure;
use crate::output::screen::of_word;
use crate::output::table::{Cell, Column};
use crate::output::{self, escaped};
use crate::settings::api::ApiVersion;
use crate::settings::event_name;

pub(super) fn run(options: &Events) -> Result<(), Failure> {
    if options.connection.api_version == ApiVersion::V1 {
        return Err(Failure::usage("v1 has no event log: leave out --api v1"));
    }
    let api = Api::connect(&options.connection)?;
    let (events, there_is_more) = management::run(fetch(&api, options))?;
    if options.json {
        output::write(json(&events))?;
    } else if events.is_empty() {
        note(
            match options.event_type.is_some() || options.entity_id.is_some() {
                true => "no events match in HeyGen's event log",
                false => {
                    "HeyGen's event log has no events: `events` shows what HeyGen delivered to an endpoint, see `endpoints list`"
                }
            },
        );
    } else {
        let rows: Vec<_> = events.iter().map(row).collect();
        output::write_table(&COLUMNS, &rows)?;
    }
    if there_is_more {
        note(&format!(
            "showing {}, there are more: use --limit or --all",
            events.len()
        ));
    }
    Ok(())
}

/// What was asked for, and whether there is more.
async fn fetch(api: &Api, options: &Events) -> Result<(Vec<LoggedEvent>, bool), Failure> {
    let mut query = EventQuery::new();
    let event_type = options.event_type.as_deref();
    event_type
        .into_iter()
        .for_each(event_name::warn_if_mistyped);
    // HeyGen knows names and no patterns: of those, what it lists is chosen here.
    let (pattern, name) = match event_type {
        Some(pattern) if pattern.contains('*') => (Some(pattern), None),
        name => (None, name),
    };
    let is_wanted = |event: &LoggedEvent| pattern.is_none_or(|pattern| fits(event, pattern));
    if let Some(name) = name {
        query = query.with_event_type(name);
    }
    if let Some(entity_id) = &options.entity_id {
        query = query.with_entity_id(entity_id);
    }
    // One more than wanted tells whether there is more, without asking again.
    let page = match options.all || pattern.is_some() {
        true => LONGEST_PAGE,
        false => options.limit.saturating_add(1).min(LONGEST_PAGE),
    };
    let query = query.with_page(PageRequest::new().with_limit(page));
    let mut listing = api.client.v3().events_stream(&query);
    let mut events = Vec::new();
    let progress = match options.all {
        // HeyGen does not say how many there are.
        true => progress::spinner("{spinner} {human_pos} events, {elapsed}")?,
        false => ProgressBar::hidden(),
    };
    while options.all || events.len() < options.limit as usize {
        let Some(event) = listing.next().await else {
            progress.finish_and_clear();
            return Ok((events, false));
        };
        let event = api.ask(async { event }).await?;
        if is_wanted(&event) {
            events.push(event);
        }
        progress.inc(1);
    }
    // Those that were asked for are there, whatever becomes of the next.
    let there_is_more = listing.next().await.is_some();
    Ok((events, there_is_more))
}

fn fits(record: &LoggedEvent, pattern: &str) -> bool {
    Pattern::text_matches(pattern, record.event().map_or("", Event::event_name))
}

/// The records as HeyGen spelled them, one a line: reading and writing them could lose what no number or map can hold.
fn json(events: &[LoggedEvent]) -> String {
    // A line break stands in JSON only between values, where a space says the same.
    let lines: Vec<_> = events
        .iter()
        .map(|event| format!("\n{}", escaped(&event.json().replace(['\n', '\r'], " "))))
        .collect();
    format!("[{}\n]\n", lines.join(","))
}

const COLUMNS: [Column; 5] = [
    Column::new("EVENT ID").cut_middle(12),
    Column::new("CREATED"),
    Column::new("EVENT").cut_middle(20),
    Column::new("SUBJECT").cut_middle(9).optional(1),
    Column::new("OUTCOME").styled(of_word).optional(2),
];

fn row(record: &LoggedEvent) -> Vec<Cell> {
    let Ok(event) = record.event() else {
        return ["-", "-", "(unreadable)", "-", "-"]
            .map(Cell::from)
            .to_vec();
    };
    vec![
        event.event_id().map_or("-", |id| id.as_str()).into(),
        moment_cell(event.created_at()),
        event.event_name().into(),
        event.subject_id().unwrap_or("-").into(),
        event.outcome().as_str().into(),
    ]
}

const LONGEST_PAGE: u32 = 100;
