//! `inbox show` and `inbox attempts`: one delivery.

use heygen_events::Event;
use heygen_inbox::{State, StoredDelivery};
use serde_json::{Value, json};

use super::text::{attempts_text, delivery_text};
use super::{stored, to_json};
use crate::cli::{Attempts, Show};
use crate::failure::Failure;
use crate::output;
use crate::output::screen::{Screen, of_word};
use crate::output::view;
use crate::settings::when;

/// `inbox show`
pub(super) async fn show(options: &Show) -> Result<(), Failure> {
    let stored = stored(&options.file, &options.id).await?;
    if options.raw {
        output::write_bytes(&stored.body)?;
    } else if options.json {
        output::json(&stored_json(&stored))?;
    } else {
        output::write_bytes(delivery_text(&stored, options.full, Screen::stdout()))?;
    }
    Ok(())
}

/// What is stored of one delivery, and the view of its event: `body` is null where it is not UTF-8 (`--raw` has the bytes).
fn stored_json(stored: &StoredDelivery) -> Value {
    let mut value = to_json(stored);
    value["event"] = match Event::from_slice(&stored.body) {
        Ok(event) => view::json(Some(&event)),
        Err(_) => Value::Null,
    };
    value
}

/// `inbox attempts`
pub(super) async fn attempts(options: &Attempts) -> Result<(), Failure> {
    let stored = stored(&options.file, &options.id).await?;
    if options.json {
        return Ok(output::json(&json!({
            "id": stored.summary.id,
            "state": stored.summary.state,
            "attempts": stored.summary.attempts,
            "due_at": stored.due_at.map(when::exact),
            "dead_lettered_at": stored.summary.dead_lettered_at.map(when::exact),
            "attempt_list": stored.attempts,
        }))?);
    }
    let screen = Screen::stdout();
    let state = stored.summary.state.as_str();
    Ok(output::write_bytes(format!(
        "{} is {}{}\n{}",
        stored.summary.id,
        screen.paint(of_word(state), state),
        what_next(&stored),
        attempts_text(&stored.attempts, screen)
    ))?)
}

fn what_next(stored: &StoredDelivery) -> String {
    match (stored.summary.state, stored.due_at) {
        (State::Pending, Some(due_at)) => format!(", due {}", when::short(due_at)),
        (State::Pending, None) => {
            ", waiting for an earlier delivery of the same subject".to_owned()
        }
        (State::Claimed, _) => format!(": attempt {} is running", stored.summary.attempts),
        (State::Interrupted, _) => format!(
            ": attempt {} was not finished when its process ended; the next start of `serve` delivers it again",
            stored.summary.attempts
        ),
        (State::Acknowledged, _) => String::new(),
        (State::DeadLettered, _) => format!(
            ": dead-lettered{}; `inbox replay {}` dispatches it again",
            stored
                .summary
                .dead_lettered_at
                .map(|dead_lettered_at| format!(" {}", when::short(dead_lettered_at)))
                .unwrap_or_default(),
            stored.summary.id
        ),
        _ => String::new(),
    }
}
