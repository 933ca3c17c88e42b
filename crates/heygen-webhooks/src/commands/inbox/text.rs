//! One delivery for people.

use heygen_events::Event;
use heygen_inbox::{Attempt, Header, StoredDelivery};

use crate::output::json_text::over_lines;
use crate::output::screen::{Screen, of_word};
use crate::output::table::{Cell, Column, table};
use crate::output::view;
use crate::output::{joined_lines, tame, tame_lines};
use crate::settings::when;

/// Everything of others is tame in it.
pub(super) fn delivery_text(stored: &StoredDelivery, full: bool, screen: Screen) -> String {
    let summary = &stored.summary;
    let mut parts = vec![format!(
        "id              {}\nreceived        {}\nsource          {}\nstate           {}{}\n",
        summary.id,
        when::short(summary.received_at),
        summary.source,
        summary.state,
        match (stored.due_at, summary.dead_lettered_at) {
            (Some(due), _) => format!(", due {}", when::short(due)),
            (None, Some(dead_lettered_at)) => format!(" {}", when::short(dead_lettered_at)),
            (None, None) => String::new(),
        },
    )];
    match Event::from_slice(&stored.body) {
        Ok(event) => parts.push(view::text(&event, full)),
        Err(error) => parts.push(format!("unreadable      {}\n", view::explain(&error))),
    }
    if let Some(event_id) = &stored.event_id {
        parts.push(format!("event id        {}\n", tame(event_id)));
    }
    parts.push(repeats_text(stored));
    let before = tame_lines(&parts.concat());
    let mut parts = vec![before, attempts_text(&stored.attempts, screen)];
    let attempts = parts.len();
    parts.push(headers_text(&stored.headers));
    parts.push(format!(
        "\nBody, {} bytes\n{}\n",
        stored.body.len(),
        body_text(&stored.body, full)
    ));
    if let Some(post) = &stored.signed {
        parts.push(format!(
            "\nSigned POST, received {}, {} bytes\n{}{}\n",
            when::short(post.received_at),
            post.body.len(),
            header_lines(&post.headers),
            body_text(&post.body, full)
        ));
    }
    for part in &mut parts[attempts..] {
        *part = tame_lines(part);
    }
    parts.concat()
}

fn repeats_text(stored: &StoredDelivery) -> String {
    let Some(last_at) = stored.redeliveries.last_at else {
        return String::new();
    };
    let mut text = format!(
        "repeated        {} times, last at {}\n",
        stored.redeliveries.count,
        when::short(last_at)
    );
    let differing = stored
        .redeliveries
        .last_headers
        .iter()
        .filter(|header| !stored.headers.contains(header));
    for header in differing {
        let first = stored
            .headers
            .iter()
            .find(|first| first.name == header.name);
        let first = first.map_or("none", |first| &first.value);
        text.push_str(&tame(&format!(
            "  {}: {} at first, then {}",
            header.name, first, header.value
        )));
        text.push('\n');
    }
    text
}

pub(super) fn attempts_text(attempts: &[Attempt], screen: Screen) -> String {
    if attempts.is_empty() {
        return String::new();
    }
    let rows: Vec<_> = attempts
        .iter()
        .map(|attempt| {
            vec![
                attempt.number.to_string().into(),
                Cell::time(attempt.started_at),
                format!("{:.1} ms", attempt.duration.as_secs_f64() * 1000.0).into(),
                attempt.result.to_string().into(),
                joined_lines(attempt.detail.as_deref().unwrap_or("")).into(),
            ]
        })
        .collect();
    format!("\n{}", table(&ATTEMPTS, &rows, screen))
}

const ATTEMPTS: [Column; 5] = [
    Column::new("ATTEMPT"),
    Column::new("STARTED"),
    Column::new("TOOK"),
    Column::new("RESULT").styled(of_word),
    Column::new("DETAIL").cut_end(20),
];

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
    over_lines(body, full).unwrap_or_else(|| tame(&String::from_utf8_lossy(body)))
}
