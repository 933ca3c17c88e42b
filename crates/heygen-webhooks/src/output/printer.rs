//! [`Printer`]: the handler that prints each event, a line for people or for programs.

use std::io::{self, IsTerminal as _};

use heygen_receiver::handlers::LineSink;
use heygen_receiver::{Delivery, Disposition, Handler};
use serde_json::Value;

use crate::output;
use crate::output::activity::{Activity, delivery_line};
use crate::output::screen::Screen;
use crate::output::stderr;
use crate::output::view;
use crate::settings::output::Printing;
use crate::settings::when;

#[derive(Clone, Debug)]
pub(crate) struct Printer {
    json: bool,
    full: bool,
    lines: LineSink,
    activity: Option<Activity>,
    is_terminal: bool,
}

impl Printer {
    pub(crate) fn start(options: &Printing) -> io::Result<Self> {
        let lines = LineSink::stdout()?;
        Ok(Self {
            json: options.json,
            full: options.full,
            activity: Activity::of(options, &lines),
            is_terminal: io::stdout().is_terminal(),
            lines,
        })
    }

    /// Where what happens is shown, if anyone looks.
    pub(crate) fn activity(&self) -> Option<Activity> {
        self.activity.clone()
    }

    /// Returns when the reader of our output has gone.
    pub(crate) async fn reader_gone(&self) {
        self.lines.reader_gone().await;
    }

    /// How many lines were dropped, of our output and of the log.
    pub(crate) fn dropped(&self) -> u64 {
        self.lines.dropped() + stderr::dropped()
    }

    /// Says something to people; programs read events on standard output and nothing else. Nothing
    /// waits for it.
    pub(crate) fn say(&self, text: String) {
        if !self.json {
            self.lines.offer(text);
        }
    }

    /// Returns once what was said is written, or after a second: before the process ends.
    pub(crate) fn flush(&self) {
        self.lines.flush();
        self.lines.report_dropped();
    }

    fn line(&self, delivery: &Delivery) -> String {
        match (self.json, self.is_terminal) {
            (true, _) => output::json_line(&line_json(delivery)),
            (false, true) => delivery_line(delivery, self.full, Screen::stdout()),
            (false, false) => self.line_text(delivery),
        }
    }

    fn line_text(&self, delivery: &Delivery) -> String {
        let (name, words) = match delivery.event() {
            Ok(event) => (
                output::tame(event.event_name()),
                view::words(event, self.full),
            ),
            Err(error) => {
                let size = delivery.body().len();
                (
                    "(unreadable)".to_owned(),
                    format!("{size} bytes: {}", view::explain(&error)),
                )
            }
        };
        let again = match delivery.attempt() {
            1 => String::new(),
            attempt => format!("  (attempt {attempt})"),
        };
        let received = when::short(delivery.received_at());
        format!(
            "{received}  {}  {name:<28}  {words}{again}\n",
            delivery.id()
        )
    }
}

impl Handler for Printer {
    async fn handle(&self, delivery: Delivery) -> Disposition {
        match self.lines.write(self.line(&delivery)).await {
            Ok(()) => Disposition::Ack,
            Err(error) => Disposition::retry(format!("standard output: {error}")),
        }
    }
}

/// The typed view, and around it what is known of the delivery; `event` is the body.
fn line_json(delivery: &Delivery) -> Value {
    let event = delivery.event();
    let mut line = view::json(event.as_ref().ok().copied());
    line["id"] = delivery.id().to_string().into();
    line["received_at"] = when::exact(delivery.received_at()).into();
    line["attempt"] = delivery.attempt().into();
    line["source"] = delivery.source().as_str().into();
    // What no value can hold is not shown as JSON; its facts are.
    let value = |event| serde_json::to_value(event).unwrap_or_default();
    line["event"] = event.as_ref().ok().map(value).into();
    line["error"] = event.err().map(|error| view::explain(&error)).into();
    line
}
