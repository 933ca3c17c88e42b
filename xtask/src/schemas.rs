//! `cargo xtask schemas`: the JSON Schema of every event, one file each, and the OpenAPI document.

use std::collections::BTreeMap;

use anyhow::Result;
use heygen_events::{EventType, schema};
use xtask_contracts::openapi;

use crate::generated::Generated;

/// One schema for each known name, `any.json` for all of them, `body.json` for validating, and the list of the
/// events as data.
pub(crate) fn generated() -> Result<Generated> {
    let mut files: BTreeMap<String, String> = EventType::KNOWN
        .iter()
        .map(|event_type| {
            let schema = schema::for_event(event_type);
            (path(event_type), schema::text(&schema))
        })
        .collect();
    files.insert(format!("{FOLDER}/any.json"), schema::text(&schema::any()));
    for (name, value) in [("body", schema::body()), ("index", schema::index())] {
        files.insert(format!("schemas/{name}.json"), schema::text(&value));
    }
    let document = schema::text(&openapi::document()?);
    // The second is in the package of the program, which prints it.
    for path in ["schemas", "crates/heygen-webhooks/src/commands/schema"] {
        files.insert(format!("{path}/openapi.json"), document.clone());
    }
    Ok(Generated {
        command: "cargo xtask schemas",
        folder: Some(FOLDER),
        files,
    })
}

/// Where the schema of an event stands.
pub(crate) fn path(event_type: &EventType) -> String {
    format!("{FOLDER}/{event_type}.json")
}

const FOLDER: &str = "schemas/events";
