//! The log on standard error.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;
use crate::failure::Failure;

/// Starts logging for the rest of the process.
pub(crate) fn start(format: LogFormat, filter: Option<&str>) -> Result<(), Failure> {
    // What the client of NATS says of its connections, the inbox says too.
    let filter = filter.unwrap_or("info,async_nats=off");
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Failure::usage(format!(
            "`{filter}` is not a log filter ({error}): try error, warn, info or debug"
        ))
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}
