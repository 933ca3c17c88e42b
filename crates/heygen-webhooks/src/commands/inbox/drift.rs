//! `inbox drift`: how events differ from what this version knows.

use heygen_inbox::{DriftCount, DriftKind, InboxAdmin as _};

use super::{open_existing, to_json};
use crate::cli::Drift;
use crate::commands::management::note;
use crate::failure::Failure;
use crate::output;
use crate::output::table::{Cell, Column};

pub(super) async fn run(options: &Drift) -> Result<(), Failure> {
    let inbox = open_existing(&options.file).await?;
    let found = inbox.drift().await?;
    if options.json {
        return Ok(output::json_array(found.iter().map(to_json))?);
    }
    let Some(newest) = found.first() else {
        note("no drift: this version knows every event received so far");
        return Ok(());
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    output::write_table(&COLUMNS, &rows)?;
    note(&format!(
        "`inbox show {}` shows one of these deliveries, while it is stored",
        newest.example
    ));
    Ok(())
}

const COLUMNS: [Column; 7] = [
    Column::new("WHAT"),
    Column::new("EVENT").cut_middle(16),
    Column::new("NAME").cut_middle(12),
    Column::new("COUNT").optional(1),
    Column::new("FIRST").optional(3),
    Column::new("LAST").optional(2),
    Column::new("EXAMPLE"),
];

fn row(found: &DriftCount) -> Vec<Cell> {
    let event_type = match found.drift.event_type.as_str() {
        "" => "-",
        event_type => event_type,
    };
    vec![
        words(found.drift.kind).into(),
        event_type.into(),
        found.drift.name.as_str().into(),
        found.count.to_string().into(),
        Cell::time(found.first_at),
        Cell::time(found.last_at),
        found.example.to_string().into(),
    ]
}

fn words(kind: DriftKind) -> &'static str {
    match kind {
        DriftKind::UnknownEvent => "new event",
        DriftKind::UnknownField => "new field",
        DriftKind::Malformed => "malformed",
        _ => kind.as_str(),
    }
}
