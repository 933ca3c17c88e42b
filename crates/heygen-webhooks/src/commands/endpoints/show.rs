//! `endpoints list`, and how one endpoint is shown, without its secret.

use heygen_api::{Endpoint, EndpointStatus, Subscription};
use serde_json::{Map, Value};

use crate::cli::ListEndpoints;
use crate::commands::management::{self, Api, moment, moment_cell, note};
use crate::failure::Failure;
use crate::output::screen::of_word;
use crate::output::table::{Cell, Column};
use crate::output::{self, tame, without_query};
use crate::settings::api::ApiVersion;

pub(super) fn list(options: &ListEndpoints) -> Result<(), Failure> {
    let api = Api::connect(&options.connection)?;
    let endpoints = management::run(api.endpoints())?;
    if options.json {
        let values = endpoints.iter().map(json).collect::<Result<Vec<_>, _>>()?;
        return Ok(output::json_array(values.into_iter())?);
    }
    if endpoints.is_empty() {
        note("no endpoints: `serve --public-url URL` or `endpoints create URL` registers one");
        return Ok(());
    }
    // v3 gives no secret after the first time, so there is nothing to say of it.
    let shows_secrets = api.version == ApiVersion::V1;
    let mut columns = vec![
        Column::new("ID"),
        Column::new("URL").cut_middle(20),
        Column::new("EVENTS").cut_end(6).optional(1),
        Column::new("STATUS").styled(of_word),
        Column::new("CREATED").optional(2),
    ];
    if shows_secrets {
        columns.push(Column::new("SECRET"));
    }
    let rows: Vec<_> = endpoints
        .iter()
        .map(|endpoint| {
            let mut row = row(endpoint);
            if shows_secrets {
                row.push(masked(endpoint).into());
            }
            row
        })
        .collect();
    Ok(output::write_table(&columns, &rows)?)
}

/// What the wire says, under the names of the wire, and always the fields that both versions have. `secret` is null.
pub(super) fn json(endpoint: &Endpoint) -> Result<Value, Failure> {
    let mut fields = Map::new();
    for name in ["status", "created_at", "entity_id"] {
        fields.insert(name.to_owned(), Value::Null);
    }
    if let Value::Object(known) = serde_json::to_value(endpoint)? {
        fields.extend(known);
    }
    fields.insert("secret".to_owned(), Value::Null);
    Ok(fields.into())
}

pub(super) fn text(endpoint: &Endpoint) -> String {
    let events = match endpoint.events.only() {
        None => ALL.to_owned(),
        Some(events) => {
            let names: Vec<_> = events.iter().map(|event| tame(event.as_str())).collect();
            names.join(", ")
        }
    };
    let facts = [
        ("id", tame(endpoint.endpoint_id.as_str())),
        ("url", tame(&without_query(&endpoint.url))),
        ("events", events),
        ("status", status(endpoint)),
        ("created", moment(endpoint.created_at.as_deref())),
    ];
    facts
        .into_iter()
        .map(|(name, fact)| format!("{name:<8} {fact}\n"))
        .collect()
}

fn row(endpoint: &Endpoint) -> Vec<Cell> {
    vec![
        endpoint.endpoint_id.as_str().into(),
        without_query(&endpoint.url).into(),
        few(&endpoint.events).into(),
        status(endpoint).into(),
        moment_cell(endpoint.created_at.as_deref()),
    ]
}

fn status(endpoint: &Endpoint) -> String {
    endpoint.status.as_ref().map_or_else(
        || "-".to_owned(),
        |status| tame(EndpointStatus::as_str(status)),
    )
}

/// How many events, and the first of them: a list of all would be wider than any terminal.
fn few(events: &Subscription) -> String {
    let Some(events) = events.only() else {
        return ALL.to_owned();
    };
    let mut names: Vec<_> = events
        .iter()
        .take(SHOWN)
        .map(|event| tame(event.as_str()))
        .collect();
    if events.len() > SHOWN {
        names.push("…".to_owned());
    }
    format!("{}: {}", events.len(), names.join(", "))
}

/// That there is a secret, and no letter of it beyond the prefix that all have.
fn masked(endpoint: &Endpoint) -> String {
    match &endpoint.secret {
        Some(secret) if secret.expose().starts_with("whsec_") => "whsec_…",
        Some(_) => "…",
        None => "-",
    }
    .to_owned()
}

const ALL: &str = "all";
const SHOWN: usize = 2;
