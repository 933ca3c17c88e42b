//! `inbox list`: deliveries, newest first.

use heygen_inbox::{DeliverySummary, InboxAdmin as _};

use super::json::to_json;
use super::open_existing;
use crate::cli::List;
use crate::failure::Failure;
use crate::output::{self, table, tame};
use crate::settings::when;

pub(super) async fn run(options: &List) -> Result<(), Failure> {
    let mut query = options.selection.query();
    query.limit = (options.limit > 0).then_some(options.limit);
    let found = open_existing(&options.file).await?.list(query).await?;
    if found.is_empty() {
        options.selection.found_nothing();
    }
    if options.json {
        output::json_array(found.iter().map(to_json))?;
        return Ok(());
    }
    let rows: Vec<_> = found.iter().map(row).collect();
    let heads = [
        "ID",
        "RECEIVED",
        "EVENT",
        "SUBJECT",
        "CALLBACK ID",
        "OUTCOME",
        "STATE",
        "ATTEMPTS",
    ];
    output::write(table(&heads, &rows))?;
    Ok(())
}

fn row(summary: &DeliverySummary) -> Vec<String> {
    let text = |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), tame);
    vec![
        summary.id.to_string(),
        when::short(summary.received_at),
        summary
            .event_type
            .as_deref()
            .map_or_else(|| "(unreadable)".to_owned(), tame),
        text(&summary.subject_id),
        text(&summary.callback_id),
        summary
            .outcome
            .map_or("-", |outcome| outcome.as_str())
            .to_owned(),
        match summary.dead_lettered_at {
            Some(dead_lettered_at) => {
                format!("{} {}", summary.state, when::short(dead_lettered_at))
            }
            None => summary.state.to_string(),
        },
        summary.attempts.to_string(),
    ]
}
