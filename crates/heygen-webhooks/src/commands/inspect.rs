//! `inspect`: parses an event body and shows its fields.

use heygen_events::Event;

use crate::cli::Inspect;
use crate::commands::input;
use crate::failure::Failure;
use crate::output;
use crate::output::view;

pub(super) fn run(options: &Inspect) -> Result<(), Failure> {
    let body = input::read(&options.file)?;
    let parsed = Event::from_slice(&body);
    if options.json {
        let error = match &parsed {
            Ok(event) => event.payload_error(),
            Err(error) => Some(error),
        };
        // Why it is not well formed, as text and `verify` say too.
        let mut view = view::json(parsed.as_ref().ok());
        view["reason"] = error.map(view::explain).into();
        output::json(&view)?;
    }
    match parsed {
        Ok(event) if !options.json => output::write(view::text(&event, options.full))?,
        Ok(_) => {}
        Err(_) if body.trim_ascii().is_empty() => {
            return Err(anyhow::anyhow!("not an event: the body is empty").into());
        }
        Err(error) => return Err(anyhow::Error::from(error).context("not an event").into()),
    }
    Ok(())
}
