//! `inspect`: parses an event body and shows its fields.

use anyhow::Context as _;
use heygen_events::Event;

use crate::cli::Inspect;
use crate::commands::input;
use crate::failure::Failure;
use crate::output;
use crate::output::view;

pub(super) fn run(options: &Inspect) -> Result<(), Failure> {
    let body = input::read(&options.file)?;
    let event = Event::from_slice(&body).context("not an event")?;
    if options.json {
        output::json(&view::json(&event))?;
    } else {
        output::write(view::text(&event, options.full))?;
    }
    Ok(())
}
