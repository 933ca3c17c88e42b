//! [`Printer`]: the handler that prints each event, a line for people or for programs.

use std::io;

use heygen_receiver::{Delivery, Handled, Handler};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::failure::Failure;
use crate::lines::Lines;
use crate::place::Place;
use crate::{output, view, when};

#[derive(Clone, Debug)]
pub(crate) struct Printer {
    json: bool,
    full: bool,
    /// Whether whoever read our output has gone.
    unread: watch::Sender<bool>,
    lines: Lines,
}

impl Printer {
    pub(crate) fn start(json: bool, full: bool) -> io::Result<Self> {
        Ok(Self {
            json,
            full,
            unread: watch::Sender::new(false),
            lines: Lines::start()?,
        })
    }

    /// Becomes true when whoever read our output has gone.
    pub(crate) fn unread(&self) -> watch::Receiver<bool> {
        self.unread.subscribe()
    }

    /// On standard output for people; programs read events there and nothing else, and find the address in the log.
    pub(crate) fn started(&self, url: &str) -> Result<(), Failure> {
        if !self.json {
            output::write(format!("listening on {url}\n"))?;
        }
        Ok(())
    }

    /// Tells whoever started it that it is at work.
    pub(crate) fn working(&self, place: &Place) -> Result<(), Failure> {
        if !self.json {
            output::write(format!("working on {place}\n"))?;
        }
        Ok(())
    }

    fn line(&self, delivery: &Delivery) -> String {
        match self.json {
            true => format!("{}\n", line_json(delivery)),
            false => self.line_text(delivery),
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
                    format!("{size} bytes: {}", view::explain(error)),
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
    async fn handle(&self, delivery: Delivery) -> Handled {
        match self.lines.write(self.line(&delivery)).await {
            Ok(()) => Handled::Done,
            Err(error) => {
                if error.kind() == io::ErrorKind::BrokenPipe {
                    self.unread.send_replace(true);
                }
                Handled::retry(format!("standard output: {error}"))
            }
        }
    }
}

/// The typed view, and around it what is known of the delivery; `event` is the body.
fn line_json(delivery: &Delivery) -> Value {
    let (mut line, event) = match delivery.event() {
        Ok(event) => (view::json(event), json!(event)),
        Err(_) => (view::unreadable_json(), Value::Null),
    };
    let around = json!({
        "id": delivery.id().to_string(),
        "received_at": when::exact(delivery.received_at()),
        "attempt": delivery.attempt(),
        "source": delivery.source().as_str(),
        "event": event,
        "error": delivery.event().err().map(view::explain),
    });
    if let (Value::Object(line), Value::Object(around)) = (&mut line, around) {
        line.extend(around);
    }
    line
}
