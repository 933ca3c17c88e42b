//! `inbox list` and `inbox show`: look into the inbox, also while `serve` runs.

use std::path::Path;

use heygen_events::Event;
use heygen_inbox::sqlite::SqliteReader;
use heygen_inbox::{Attempt, DeliveryId, Header, Kept, Query, State, Summary};
use serde_json::{Value, json};

use crate::cli::{Inbox, List, Show, StateOption};
use crate::failure::Failure;
use crate::output::{self, table, tame, without_query};
use crate::{view, when};

pub(super) fn run(options: &Inbox) -> Result<(), Failure> {
    match options {
        Inbox::List(options) => list(options),
        Inbox::Show(options) => show(options),
    }
}

fn list(options: &List) -> Result<(), Failure> {
    let mut query = Query::default();
    query.event_type.clone_from(&options.event_type);
    query.state = options.state.map(State::from);
    query.since = options.since.map(|since| since.system_time());
    query.limit = (options.limit > 0).then_some(options.limit);
    let found = open(&options.file.path()?)?.list(&query)?;
    if options.json {
        output::json_array(found.iter().map(summary_json))?;
        return Ok(());
    }
    let rows: Vec<_> = found.iter().map(row).collect();
    let heads = [
        "ID",
        "RECEIVED",
        "EVENT",
        "SUBJECT",
        "CALLBACK ID",
        "OUTCOME",
        "STATE",
        "ATTEMPTS",
    ];
    output::write(table(&heads, &rows))?;
    Ok(())
}

fn show(options: &Show) -> Result<(), Failure> {
    let id: DeliveryId = options
        .id
        .parse()
        .map_err(|error| Failure::usage(format!("`{}`: {error}", options.id)))?;
    let inbox = options.file.path()?;
    let kept = open(&inbox)?
        .get(id)?
        .ok_or_else(|| anyhow::anyhow!("there is no delivery {id} in {}", inbox.display()))?;
    if options.raw {
        output::write(&kept.body)?;
    } else if options.json {
        output::json(&kept_json(&kept))?;
    } else {
        output::write(kept_text(&kept, options.full))?;
    }
    Ok(())
}

fn open(inbox: &Path) -> Result<SqliteReader, Failure> {
    SqliteReader::open(inbox).map_err(|error| {
        let hint = match inbox.exists() {
            true => "",
            false => ": `serve` makes one, or name it with --inbox",
        };
        anyhow::Error::from(error)
            .context(format!("cannot look into the inbox{hint}"))
            .into()
    })
}

fn row(summary: &Summary) -> Vec<String> {
    let text = |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), tame);
    vec![
        summary.id.to_string(),
        when::short(summary.received_at),
        summary
            .event_type
            .as_deref()
            .map_or_else(|| "(unreadable)".to_owned(), tame),
        text(&summary.subject_id),
        text(&summary.callback_id),
        summary
            .outcome
            .map_or("-", |outcome| outcome.as_str())
            .to_owned(),
        summary.state.to_string(),
        summary.attempts.to_string(),
    ]
}

fn summary_json(summary: &Summary) -> Value {
    json!({
        "id": summary.id.to_string(),
        "received_at": when::exact(summary.received_at),
        "event_type": summary.event_type,
        "subject_id": summary.subject_id,
        "callback_id": summary.callback_id,
        "outcome": summary.outcome.map(|outcome| outcome.as_str()),
        "state": summary.state.as_str(),
        "attempts": summary.attempts,
        "source": summary.source.as_str(),
    })
}

/// The keys of the list, and what only one delivery has: `body` is null where it is not UTF-8 (`--raw` has the bytes).
fn kept_json(kept: &Kept) -> Value {
    let mut value = summary_json(&kept.summary);
    let more = json!({
        "due_at": kept.due_at.map(when::exact),
        "event_id": kept.event_id,
        "headers": headers_json(&kept.headers),
        "body": std::str::from_utf8(&kept.body).ok(),
        "event": Event::from_slice(&kept.body).ok().map(|event| view::json(&event)),
        "repeats": {
            "count": kept.repeats.count,
            "last_at": kept.repeats.last_at.map(when::exact),
            "last_headers": headers_json(&kept.repeats.last_headers),
        },
        "attempt_list": kept.attempts.iter().map(attempt_json).collect::<Vec<_>>(),
    });
    if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
        value.extend(more);
    }
    value
}

fn headers_json(headers: &[Header]) -> Value {
    headers
        .iter()
        .map(|header| json!([header.name, header.value]))
        .collect()
}

fn attempt_json(attempt: &Attempt) -> Value {
    json!({
        "number": attempt.number,
        "started_at": when::exact(attempt.started_at),
        "milliseconds": attempt.duration.as_secs_f64() * 1000.0,
        "result": attempt.result.as_str(),
        "detail": attempt.detail,
    })
}

fn kept_text(kept: &Kept, full: bool) -> String {
    let summary = &kept.summary;
    let mut parts = vec![format!(
        "id              {}\nreceived        {}\nsource          {}\nstate           {}{}\n",
        summary.id,
        when::short(summary.received_at),
        summary.source,
        summary.state,
        kept.due_at
            .map(|due| format!(", due {}", when::short(due)))
            .unwrap_or_default(),
    )];
    match Event::from_slice(&kept.body) {
        Ok(event) => parts.push(view::text(&event, full)),
        Err(error) => parts.push(format!("unreadable      {}\n", view::explain(&error))),
    }
    if let Some(event_id) = &kept.event_id {
        parts.push(format!("event id        {}\n", tame(event_id)));
    }
    parts.push(repeats_text(kept));
    parts.push(attempts_text(&kept.attempts));
    parts.push(headers_text(&kept.headers));
    parts.push(format!(
        "\nBody, {} bytes\n{}\n",
        kept.body.len(),
        body_text(&kept.body, full)
    ));
    parts.concat()
}

fn repeats_text(kept: &Kept) -> String {
    let Some(last_at) = kept.repeats.last_at else {
        return String::new();
    };
    let mut text = format!(
        "came again      {} times, last at {}\n",
        kept.repeats.count,
        when::short(last_at)
    );
    let differing = kept
        .repeats
        .last_headers
        .iter()
        .filter(|header| !kept.headers.contains(header));
    for header in differing {
        let first = kept.headers.iter().find(|kept| kept.name == header.name);
        let first = first.map_or("none", |first| &first.value);
        text.push_str(&tame(&format!(
            "  {}: {} at first, then {}",
            header.name, first, header.value
        )));
        text.push('\n');
    }
    text
}

fn attempts_text(attempts: &[Attempt]) -> String {
    if attempts.is_empty() {
        return String::new();
    }
    let rows: Vec<_> = attempts
        .iter()
        .map(|attempt| {
            vec![
                attempt.number.to_string(),
                when::short(attempt.started_at),
                format!("{:.1} ms", attempt.duration.as_secs_f64() * 1000.0),
                attempt.result.to_string(),
                tame(attempt.detail.as_deref().unwrap_or("")),
            ]
        })
        .collect();
    format!(
        "\n{}",
        table(&["ATTEMPT", "STARTED", "TOOK", "RESULT", "DETAIL"], &rows)
    )
}

fn headers_text(headers: &[Header]) -> String {
    if headers.is_empty() {
        return String::new();
    }
    let lines = headers
        .iter()
        .map(|header| format!("{}: {}\n", tame(&header.name), tame(&header.value)));
    format!("\nHeaders (unsigned)\n{}", lines.collect::<String>())
}

/// JSON over several lines with its links cut; what is not JSON as text, as far as it is text.
fn body_text(body: &[u8], full: bool) -> String {
    match serde_json::from_slice::<Value>(body) {
        Ok(value) if full => format!("{value:#}"),
        Ok(value) => format!("{:#}", with_links_cut(value)),
        Err(_) => tame(&String::from_utf8_lossy(body)),
    }
}

fn with_links_cut(value: Value) -> Value {
    match value {
        Value::String(text) if text.starts_with("http://") || text.starts_with("https://") => {
            without_query(&text).into()
        }
        Value::Array(items) => items.into_iter().map(with_links_cut).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (name, with_links_cut(value)))
            .collect(),
        other => other,
    }
}

impl From<StateOption> for State {
    fn from(option: StateOption) -> Self {
        match option {
            StateOption::Pending => Self::Pending,
            StateOption::Claimed => Self::Claimed,
            StateOption::Done => Self::Done,
            StateOption::Dead => Self::Dead,
        }
    }
}
