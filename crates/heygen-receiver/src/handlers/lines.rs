//! [`Lines`]: writes each delivery as a line.

use std::fmt;
use std::io::{self, Write};

use heygen_events::Event;
use serde::Serialize;

use super::timestamp::rfc3339;
use crate::delivery::Delivery;
use crate::handler::{Disposition, Handler};

mod sink;
mod stream;

pub use sink::LineSink;

/// Writes one line for each delivery: to standard output, a file, a pipe.
///
/// The line is a JSON object, unless [`with`](Self::with) is given another format:
///
/// | field | |
/// |---|---|
/// | `id` | the [id](Delivery::id), the same on every attempt |
/// | `received_at` | when it was received: RFC 3339, UTC, microseconds |
/// | `attempt` | the number of the attempt, from 1 |
/// | `source` | where it came from |
/// | `event_type` | the event's name; `null` for a body that is not an event |
/// | `event` | the whole body, as JSON; `null` for a body that is not an event |
/// | `error` | why the body is not an event; absent otherwise |
///
/// Lines do not mix, and each is written before the delivery is acknowledged. If the reader of a
/// pipe stops, one thread waits and the runtime continues; the attempts of further deliveries end
/// with [`handler_timeout`](crate::DispatchOptions::handler_timeout) and are retried. A failed
/// write is retried too. In both cases a line, or its beginning, may have been written before:
/// recognise it by its `id`.
///
/// # Examples
///
/// ```
/// use heygen_receiver::handlers::Lines;
///
/// # fn main() -> std::io::Result<()> {
/// let json = Lines::stdout()?;
/// let names = Lines::with(std::io::stdout(), |delivery| match delivery.event() {
///     Ok(event) => event.event_name().to_owned(),
///     Err(error) => error.to_string(),
/// })?;
/// # let _ = (json, names);
/// # Ok(())
/// # }
/// ```
pub struct Lines {
    sink: LineSink,
    format: Box<dyn Fn(&Delivery) -> String + Send + Sync>,
}

impl Lines {
    /// JSON lines on standard output.
    ///
    /// # Errors
    ///
    /// As [`LineSink::stdout`].
    pub fn stdout() -> io::Result<Self> {
        Ok(Self::to(LineSink::stdout()?, json))
    }

    /// JSON lines into `writer`.
    ///
    /// # Errors
    ///
    /// As [`LineSink::new`].
    pub fn new(writer: impl Write + Send + 'static) -> io::Result<Self> {
        Self::with(writer, json)
    }

    /// Lines made by `format`, without their line ends, into `writer`.
    ///
    /// # Errors
    ///
    /// As [`LineSink::new`].
    pub fn with(
        writer: impl Write + Send + 'static,
        format: impl Fn(&Delivery) -> String + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Ok(Self::to(
            LineSink::new("lines of deliveries", writer)?,
            format,
        ))
    }

    /// Lines made by `format`, without their line ends, among the others of `sink`.
    pub fn to(
        sink: LineSink,
        format: impl Fn(&Delivery) -> String + Send + Sync + 'static,
    ) -> Self {
        let format = Box::new(format);
        Self { sink, format }
    }
}

impl Handler for Lines {
    async fn handle(&self, delivery: Delivery) -> Disposition {
        let mut line = (self.format)(&delivery);
        line.push('\n');
        match self.sink.write(line).await {
            Ok(()) => Disposition::Ack,
            Err(error) => Disposition::retry(format!("the line could not be written: {error}")),
        }
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines")
            .field("sink", &self.sink)
            .finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    received_at: String,
    attempt: u32,
    source: &'static str,
    event_type: Option<&'a str>,
    event: Option<&'a Event>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

fn json(delivery: &Delivery) -> String {
    let id = delivery.id().to_string();
    let event = delivery.event();
    let mut line = Line {
        id: &id,
        received_at: rfc3339(delivery.received_at()),
        attempt: delivery.attempt(),
        source: delivery.source().as_str(),
        event_type: delivery.event_type(),
        event: event.as_ref().ok().copied(),
        error: event.as_ref().err().map(ToString::to_string),
    };
    serde_json::to_string(&line).unwrap_or_else(|error| {
        line.event = None;
        line.error = Some(error.to_string());
        // Everything but the event can always be serialized.
        serde_json::to_string(&line).unwrap_or_default()
    })
}
