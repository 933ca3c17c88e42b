//! `events`: the log of what HeyGen says it has delivered.

use std::time::Duration;

use heygen_api::v3::{EventQuery, LoggedEvent};
use heygen_api::{Listing, PageRequest};
use heygen_events::Pattern;
use indicatif::{ProgressBar, ProgressStyle};

use super::management::{self, Api, moment_cell, note};
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
    if let Some(event_type) = &options.event_type {
        event_name::warn_if_mistyped(event_type);
        // HeyGen knows names and no patterns: of those, what it lists is chosen here.
        if !event_type.contains('*') {
            query = query.with_event_type(event_type.as_str());
        }
    }
    if let Some(entity_id) = &options.entity_id {
        query = query.with_entity_id(entity_id);
    }
    if options.all {
        let mut events = fetch_all(api, &query).await?;
        events.retain(|event| is_wanted(options, event));
        return Ok((events, false));
    }
    // One more than wanted tells whether there is more, without asking again.
    let page = match options
        .event_type
        .as_ref()
        .is_some_and(|name| name.contains('*'))
    {
        true => LONGEST_PAGE,
        false => options.limit.saturating_add(1).min(LONGEST_PAGE),
    };
    let query = query.with_page(PageRequest::new().with_limit(page));
    let mut listing = api.client().v3().events_stream(&query);
    let mut events = Vec::new();
    while events.len() < options.limit as usize {
        match next(api, &mut listing).await? {
            Some(event) if is_wanted(options, &event) => events.push(event),
            Some(_) => {}
            None => return Ok((events, false)),
        }
    }
    // Those that were asked for are there, whatever becomes of the next.
    let there_is_more = listing.next().await.is_some();
    Ok((events, there_is_more))
}

fn is_wanted(options: &Events, record: &LoggedEvent) -> bool {
    let Some(pattern) = options
        .event_type
        .as_ref()
        .filter(|name| name.contains('*'))
    else {
        return true;
    };
    record.event().map_or_else(
        |_| Pattern::text_matches(pattern, ""),
        |event| Pattern::text_matches(pattern, event.event_name()),
    )
}

async fn fetch_all(api: &Api, query: &EventQuery) -> Result<Vec<LoggedEvent>, Failure> {
    let progress = progress()?;
    let mut listing = api.client().v3().events_stream(query);
    let mut events = Vec::new();
    let ended = loop {
        match next(api, &mut listing).await {
            Ok(Some(event)) => events.push(event),
            Ok(None) => break Ok(()),
            Err(failure) => break Err(failure),
        }
        progress.inc(1);
    };
    progress.finish_and_clear();
    ended.map(|()| events)
}

async fn next(
    api: &Api,
    listing: &mut Listing<LoggedEvent>,
) -> Result<Option<LoggedEvent>, Failure> {
    match listing.next().await {
        Some(event) => api.ask(async { event }).await.map(Some),
        None => Ok(None),
    }
}

/// How far it is, on standard error where that is a terminal. HeyGen does not say how many there are.
fn progress() -> Result<ProgressBar, Failure> {
    let progress = ProgressBar::new_spinner().with_style(ProgressStyle::with_template(
        "{spinner} {human_pos} events, {elapsed}",
    )?);
    progress.enable_steady_tick(Duration::from_millis(100));
    Ok(progress)
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
