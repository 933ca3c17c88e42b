//! `schema`: prints the JSON Schema of an event.

use heygen_events::schema;

use crate::cli::Schema;
use crate::failure::Failure;
use crate::output;
use crate::settings::event_name;

pub(super) fn run(options: &Schema) -> Result<(), Failure> {
    if options.list {
        let names: String = schema::names().map(|name| format!("{name}\n")).collect();
        output::write(names)?;
        return Ok(());
    }
    let found = schema::named(&options.name).ok_or_else(|| {
        let advice = match event_name::meant(&options.name) {
            Some(meant) => format!("did you mean {meant}?"),
            None => "list the names with `schema --list`".to_owned(),
        };
        Failure::usage(format!("no schema for `{}`: {advice}", options.name))
    })?;
    output::write(schema::text(&found))?;
    Ok(())
}
