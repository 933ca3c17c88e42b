//! One delivery for people.

use heygen_events::Event;
use heygen_inbox::{Attempt, Header, StoredDelivery};
use serde_json::Value;

use crate::output::view;
use crate::output::{escaped, joined_lines, table, tame, without_query};
use crate::settings::when;

pub(super) fn delivery_text(kept: &StoredDelivery, full: bool) -> String {
    let summary = &kept.summary;
    let mut parts = vec![format!(
        "id              {}\nreceived        {}\nsource          {}\nstate           {}{}\n",
        summary.id,
        when::short(summary.received_at),
        summary.source,
        summary.state,
        match (kept.due_at, summary.dead_lettered_at) {
            (Some(due), _) => format!(", due {}", when::short(due)),
            (None, Some(dead_lettered_at)) => format!(" {}", when::short(dead_lettered_at)),
            (None, None) => String::new(),
        },
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
    if let Some(post) = &kept.signed {
        parts.push(format!(
            "\nSigned POST, received {}, {} bytes\n{}{}\n",
            when::short(post.received_at),
            post.body.len(),
            header_lines(&post.headers),
            body_text(&post.body, full)
        ));
    }
    parts.concat()
}

fn repeats_text(kept: &StoredDelivery) -> String {
    let Some(last_at) = kept.redeliveries.last_at else {
        return String::new();
    };
    let mut text = format!(
        "repeated        {} times, last at {}\n",
        kept.redeliveries.count,
        when::short(last_at)
    );
    let differing = kept
        .redeliveries
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

pub(super) fn attempts_text(attempts: &[Attempt]) -> String {
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
                joined_lines(attempt.detail.as_deref().unwrap_or("")),
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
    format!("\nHeaders (unsigned)\n{}", header_lines(headers))
}

fn header_lines(headers: &[Header]) -> String {
    let lines = headers
        .iter()
        .map(|header| format!("{}: {}\n", tame(&header.name), tame(&header.value)));
    lines.collect()
}

/// JSON over several lines with its links cut and what is unsafe to show escaped; what is not JSON as text, as far as it is text.
pub(super) fn body_text(body: &[u8], full: bool) -> String {
    match serde_json::from_slice::<Value>(body) {
        Ok(value) if full => escaped(&format!("{value:#}")),
        Ok(value) => escaped(&format!("{:#}", with_links_cut(value))),
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
