//! `inbox drift`: how events differ from what this version knows.

use heygen_inbox::sqlite::SqliteInbox;
use heygen_inbox::{DriftCount, DriftKind};
use serde_json::{Value, json};

use crate::cli::Drift;
use crate::commands::management::note;
use crate::failure::Failure;
use crate::output::{self, table, tame};
use crate::settings::when;
use crate::store::cannot_open;

pub(super) async fn run(options: &Drift) -> Result<(), Failure> {
    let location = options.file.location()?;
    let path = location.file(
        "inbox drift",
        "see the config_drift of new deliveries in /metrics and the log of each receiver",
    )?;
    let reader =
        SqliteInbox::open_read_only(path).map_err(|error| cannot_open(&location, error))?;
    let found = reader.drift().await?;
    if options.json {
        output::json_array(found.iter().map(drift_json))?;
        return Ok(());
    }
    let rows: Vec<_> = found.iter().map(row).collect();
    let heads = ["WHAT", "EVENT", "NAME", "COUNT", "FIRST", "LAST", "EXAMPLE"];
    output::write(table(&heads, &rows))?;
    match found.first() {
        None => note("no config_drift: this version knows every event received so far"),
        Some(newest) => note(&format!(
            "`inbox show {}` shows one of these deliveries, while it is stored",
            newest.example
        )),
    }
    Ok(())
}

fn row(found: &DriftCount) -> Vec<String> {
    let event_type = match found.drift.event_type.as_str() {
        "" => "-".to_owned(),
        event_type => tame(event_type),
    };
    vec![
        words(found.drift.kind).to_owned(),
        event_type,
        tame(&found.drift.name),
        found.count.to_string(),
        when::short(found.first_at),
        when::short(found.last_at),
        found.example.to_string(),
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

fn drift_json(found: &DriftCount) -> Value {
    json!({
        "kind": found.drift.kind.as_str(),
        "event_type": found.drift.event_type,
        "name": found.drift.name,
        "count": found.count,
        "first_at": when::exact(found.first_at),
        "last_at": when::exact(found.last_at),
        "example": found.example.to_string(),
    })
}
