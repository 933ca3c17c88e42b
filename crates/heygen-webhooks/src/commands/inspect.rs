//! `inspect`: parses an event body and shows its fields.

use heygen_events::{Event, ParseError};
use serde_json::Value;

use crate::cli::Inspect;
use crate::commands::input;
use crate::failure::Failure;
use crate::output;
use crate::output::view;

pub(super) fn run(options: &Inspect) -> Result<(), Failure> {
    let body = input::read(&options.file)?;
    let parsed = Event::from_slice(&body);
    if options.json {
        let (view, error) = match &parsed {
            Ok(event) => (view::json(event), event.payload_error()),
            Err(error) => (view::unreadable_json(), Some(error)),
        };
        output::json(&with_reason(view, error))?;
    }
    match parsed {
        Ok(event) if !options.json => output::write(view::text(&event, options.full))?,
        Ok(_) => {}
        Err(error) => return Err(anyhow::Error::from(error).context("not an event").into()),
    }
    Ok(())
}

/// Why it is not well formed, as text and `verify` say too.
fn with_reason(mut view: Value, error: Option<&ParseError>) -> Value {
    view["reason"] = error.map(view::explain).into();
    view
}
