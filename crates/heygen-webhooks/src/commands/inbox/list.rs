//! `inbox list`: deliveries, newest first.

use heygen_inbox::{DeliverySummary, InboxAdmin as _};

use super::{open_existing, to_json};
use crate::cli::List;
use crate::commands::management::note;
use crate::failure::Failure;
use crate::output;
use crate::output::screen::of_word;
use crate::output::table::{Cell, Column};
use crate::settings::when;

pub(super) async fn run(options: &List) -> Result<(), Failure> {
    let mut query = options.selection.query()?;
    let limit = (options.limit > 0).then_some(options.limit);
    // One more tells whether there are more.
    query.limit = limit.map(|limit| limit.saturating_add(1));
    let mut found = open_existing(&options.file).await?.list(query).await?;
    let there_are_more = limit.is_some_and(|limit| found.len() > limit);
    found.truncate(limit.unwrap_or(found.len()));
    if found.is_empty() {
        options.selection.found_nothing();
    }
    if options.json {
        output::json_array(found.iter().map(to_json))?;
    } else if found.is_empty() {
        note(&match options.selection.is_everything() {
            true => format!(
                "no deliveries yet in {}: `trigger` sends a signed sample to a running `serve`",
                options.file.location()?
            ),
            false => "no deliveries match".to_owned(),
        });
    } else {
        let rows: Vec<_> = found.iter().map(row).collect();
        output::write_table(&COLUMNS, &rows)?;
    }
    if there_are_more {
        note(&format!(
            "showing the newest {}, there are more: use --limit, 0 for all",
            found.len()
        ));
    }
    Ok(())
}

const COLUMNS: [Column; 8] = [
    Column::new("ID"),
    Column::new("RECEIVED"),
    Column::new("EVENT").cut_middle(20),
    Column::new("SUBJECT").cut_middle(9).optional(1),
    Column::new("CALLBACK ID").cut_middle(11).optional(4),
    Column::new("OUTCOME").styled(of_word).optional(3),
    Column::new("STATE").styled(of_word),
    Column::new("ATTEMPTS").optional(2),
];

fn row(summary: &DeliverySummary) -> Vec<Cell> {
    let text = |text: &Option<String>| text.as_deref().unwrap_or("-").into();
    let event_type = summary.event_type.as_deref();
    let state = summary.state.to_string();
    vec![
        summary.id.to_string().into(),
        Cell::time(summary.received_at),
        event_type.unwrap_or("(unreadable)").into(),
        text(&summary.subject_id),
        text(&summary.callback_id),
        summary
            .outcome
            .map_or("-", |outcome| outcome.as_str())
            .into(),
        match summary.dead_lettered_at {
            Some(at) => Cell::from(format!("{state} {}", when::short(at))).or(state),
            None => state.into(),
        },
        summary.attempts.to_string().into(),
    ]
}
