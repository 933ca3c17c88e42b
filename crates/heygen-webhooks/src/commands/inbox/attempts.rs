//! `inbox attempts`: every attempt of one delivery.

use heygen_inbox::{State, StoredDelivery};
use serde_json::json;

use super::kept;
use super::text::attempts_text;
use crate::cli::Attempts;
use crate::failure::Failure;
use crate::output;
use crate::output::screen::{Screen, of_word};
use crate::settings::when;

pub(super) async fn run(options: &Attempts) -> Result<(), Failure> {
    let kept = kept(&options.file, &options.id).await?;
    if options.json {
        output::json(&json!({
            "id": kept.summary.id,
            "state": kept.summary.state,
            "attempts": kept.summary.attempts,
            "due_at": kept.due_at.map(when::exact),
            "dead_lettered_at": kept.summary.dead_lettered_at.map(when::exact),
            "attempt_list": kept.attempts,
        }))?;
        return Ok(());
    }
    let screen = Screen::stdout();
    let state = kept.summary.state.as_str();
    output::write_bytes(format!(
        "{} is {}{}\n{}",
        kept.summary.id,
        screen.paint(of_word(state), state),
        what_next(&kept),
        attempts_text(&kept.attempts, screen)
    ))?;
    Ok(())
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
