//! `schema`: prints the JSON Schema of an event, and what belongs to the schemas.

use heygen_events::{EventType, schema};

use crate::cli::Schema;
use crate::failure::Failure;
use crate::output;
use crate::settings::event_name;

pub(super) fn run(options: &Schema) -> Result<(), Failure> {
    if options.list {
        let names = EventType::KNOWN.iter();
        let names: String = names.map(|name| format!("{name}\n")).collect();
        return Ok(output::write(names)?);
    }
    let found = match options.name.as_str() {
        "openapi" => return Ok(output::write(OPENAPI)?),
        "index" => Some(schema::index()),
        name => schema::named(name),
    };
    let found = found.ok_or_else(|| {
        let advice = match event_name::meant(&options.name) {
            Some(meant) => format!("did you mean {meant}?"),
            None => "list the names with `schema --list`".to_owned(),
        };
        Failure::usage(format!("no schema for `{}`: {advice}", options.name))
    })?;
    Ok(output::write(schema::text(&found))?)
}

/// `cargo xtask schemas` writes it.
const OPENAPI: &str = include_str!("schema/openapi.json");
