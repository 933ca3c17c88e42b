//! `inbox show` and `inbox attempts`: one delivery.

use heygen_events::Event;
use heygen_inbox::{State, StoredDelivery};
use serde_json::{Value, json};

use super::text::{attempts_text, delivery_text};
use super::{kept, to_json};
use crate::cli::{Attempts, Show};
use crate::failure::Failure;
use crate::output;
use crate::output::screen::{Screen, of_word};
use crate::output::view;
use crate::settings::when;

/// `inbox show`
pub(super) async fn show(options: &Show) -> Result<(), Failure> {
    let kept = kept(&options.file, &options.id).await?;
    if options.raw {
        output::write_bytes(&kept.body)?;
    } else if options.json {
        output::json(&kept_json(&kept))?;
    } else {
        output::write_bytes(delivery_text(&kept, options.full, Screen::stdout()))?;
    }
    Ok(())
}

/// What is stored of one delivery, and the view of its event: `body` is null where it is not UTF-8 (`--raw` has the bytes).
fn kept_json(kept: &StoredDelivery) -> Value {
    let mut value = to_json(kept);
    value["event"] = match Event::from_slice(&kept.body) {
        Ok(event) => view::json(Some(&event)),
        Err(_) => Value::Null,
    };
    value
}

/// `inbox attempts`
pub(super) async fn attempts(options: &Attempts) -> Result<(), Failure> {
    let kept = kept(&options.file, &options.id).await?;
    if options.json {
        return Ok(output::json(&json!({
            "id": kept.summary.id,
            "state": kept.summary.state,
            "attempts": kept.summary.attempts,
            "due_at": kept.due_at.map(when::exact),
            "dead_lettered_at": kept.summary.dead_lettered_at.map(when::exact),
            "attempt_list": kept.attempts,
        }))?);
    }
    let screen = Screen::stdout();
    let state = kept.summary.state.as_str();
    Ok(output::write_bytes(format!(
        "{} is {}{}\n{}",
        kept.summary.id,
        screen.paint(of_word(state), state),
        what_next(&kept),
        attempts_text(&kept.attempts, screen)
    ))?)
}

fn what_next(kept: &StoredDelivery) -> String {
    match (kept.summary.state, kept.due_at) {
        (State::Pending, Some(due_at)) => format!(", due {}", when::short(due_at)),
        (State::Pending, None) => {
            ", waiting for an earlier delivery of the same subject".to_owned()
        }
        (State::Claimed, _) => format!(": attempt {} is running", kept.summary.attempts),
        (State::Interrupted, _) => format!(
            ": attempt {} was not finished when its process ended; the next start of `serve` delivers it again",
            kept.summary.attempts
        ),
        (State::Acknowledged, _) => String::new(),
        (State::DeadLettered, _) => format!(
            ": dead-lettered{}; `inbox replay {}` dispatches it again",
            kept.summary
                .dead_lettered_at
                .map(|dead_lettered_at| format!(" {}", when::short(dead_lettered_at)))
                .unwrap_or_default(),
            kept.summary.id
        ),
        _ => String::new(),
    }
}
