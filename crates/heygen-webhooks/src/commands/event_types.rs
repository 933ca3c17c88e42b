//! `event-types`: HeyGen's event types, compared with those this version knows.

use heygen_api::v3::EventTypeEntry;
use heygen_events::EventType;
use serde_json::{Map, Value, json};

use super::management::{self, Api};
use crate::cli::EventTypes;
use crate::failure::Failure;
use crate::output::screen::{PLAIN, Screen, WARN};
use crate::output::table::{Cell, Column, table};
use crate::output::{self, tame};
use crate::settings::api::ApiVersion;

/// An event that HeyGen offers, or that only this version knows.
struct Row {
    event_type: EventType,
    description: Option<String>,
    is_offered: bool,
    extra: Map<String, Value>,
}

pub(super) fn run(options: &EventTypes) -> Result<(), Failure> {
    let api = Api::connect(&options.connection)?;
    let mut rows = management::run(offered(&api))?;
    let missing: Vec<_> = EventType::KNOWN
        .iter()
        .filter(|known| !rows.iter().any(|row| row.event_type == **known))
        .map(|known| Row::new(known.clone(), false))
        .collect();
    if options.json {
        rows.extend(missing);
        let values: Vec<_> = rows.iter().map(Row::json).collect();
        return Ok(output::json_array(values.into_iter())?);
    }
    Ok(output::write_bytes(text(
        &rows,
        &missing,
        Screen::stdout(),
    ))?)
}

async fn offered(api: &Api) -> Result<Vec<Row>, Failure> {
    if api.version == ApiVersion::V1 {
        let names = api.ask(api.client.v1().list_event_names()).await?;
        return Ok(names.into_iter().map(|name| Row::new(name, true)).collect());
    }
    let entries = api.client.v3().event_types_stream().try_collect();
    let entries = api.ask(entries).await?.into_iter();
    let row = |entry: EventTypeEntry| Row {
        description: entry.description,
        extra: entry.extra,
        ..Row::new(entry.event_type, true)
    };
    Ok(entries.map(row).collect())
}

const COLUMNS: [Column; 3] = [
    Column::new("EVENT"),
    Column::new("KNOWN").styled(|known| if known == "no" { WARN } else { PLAIN }),
    Column::new("DESCRIPTION").cut_end(16),
];

fn text(rows: &[Row], missing: &[Row], screen: Screen) -> String {
    let cells: Vec<_> = rows.iter().map(Row::cells).collect();
    let mut text = table(&COLUMNS, &cells, screen);
    let new = rows.iter().filter(|row| !row.event_type.is_known());
    for (heading, names) in [
        ("New to this version (received anyway)", names(new)),
        (
            "Known to this version, but not in HeyGen's list",
            names(missing.iter()),
        ),
    ] {
        if !names.is_empty() {
            text = format!("{text}\n{heading}: {names}\n");
        }
    }
    text
}

fn names<'a>(rows: impl Iterator<Item = &'a Row>) -> String {
    let names: Vec<_> = rows.map(|row| tame(row.event_type.as_str())).collect();
    names.join(", ")
}

impl Row {
    fn new(event_type: EventType, is_offered: bool) -> Self {
        Self {
            event_type,
            description: None,
            is_offered,
            extra: Map::new(),
        }
    }

    /// In HeyGen's words, or in ours where it gives none, as in v1.
    fn description(&self) -> Option<&str> {
        let ours = || {
            self.event_type
                .is_known()
                .then(|| self.event_type.description())
        };
        self.description.as_deref().or_else(ours)
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            self.event_type.as_str().into(),
            if self.event_type.is_known() {
                "yes"
            } else {
                "no"
            }
            .into(),
            self.description().unwrap_or("-").into(),
        ]
    }

    fn json(&self) -> Value {
        let mut fields = self.extra.clone();
        for (name, value) in [
            ("event_type", json!(self.event_type.as_str())),
            ("description", json!(self.description())),
            ("known", json!(self.event_type.is_known())),
            ("offered", json!(self.is_offered)),
        ] {
            fields.insert(name.to_owned(), value);
        }
        fields.into()
    }
}
