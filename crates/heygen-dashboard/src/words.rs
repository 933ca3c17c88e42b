//! Times, numbers and states, as pages show them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use heygen_events::text::visible;
use heygen_events::{EventType, Outcome};
use heygen_inbox::{AttemptOutcome, DeliverySummary, Source, State};
use jiff::Timestamp;
use maud::{Markup, html};

/// Since 1970.
pub(crate) fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// A moment in UTC, to the second.
pub(crate) fn time(at: SystemTime) -> Markup {
    let exact = format!("{:.3}", moment(at));
    html! { time datetime=(exact) title=(exact) { (clock(at)) } }
}

/// The same, with how long ago it was.
pub(crate) fn time_ago(at: SystemTime, now: SystemTime) -> Markup {
    html! { (time(at)) " " span.hint { (ago(at, now)) } }
}

/// `2026-11-28 09:40:12`, in UTC.
pub(crate) fn clock(at: SystemTime) -> String {
    moment(at).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn moment(at: SystemTime) -> Timestamp {
    Timestamp::try_from(at).unwrap_or_default()
}

/// `3 min ago`; `in 3 min` for what is to come.
pub(crate) fn ago(at: SystemTime, now: SystemTime) -> String {
    match now.duration_since(at) {
        Ok(past) if past < Duration::from_secs(1) => "just now".to_owned(),
        Ok(past) => format!("{} ago", span(past)),
        Err(ahead) => format!("in {}", span(ahead.duration())),
    }
}

/// `250 ms`, `3 s`, `12 min`, `5 h`, `3 d`.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 if span.as_millis() == 0 => format!("{:.2} ms", span.as_secs_f64() * 1000.0),
        0 => format!("{} ms", span.as_millis()),
        1..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86400),
    }
}

/// `1,234,567`
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 delivery`, `1,234 deliveries`
pub(crate) fn deliveries(count: u64) -> String {
    match count {
        1 => "1 delivery".to_owned(),
        count => format!("{} deliveries", number(count)),
    }
}

pub(crate) fn bytes(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{} bytes", number(bytes)),
        10_000..10_000_000 => format!("{} KiB", number(bytes / 1024)),
        _ => format!("{} MiB", number(bytes / 1024 / 1024)),
    }
}

pub(crate) fn state(state: State) -> Markup {
    match state {
        State::Claimed => badge("being handled"),
        _ => badge(state.as_str()),
    }
}

pub(crate) fn attempt(result: AttemptOutcome) -> Markup {
    match result {
        AttemptOutcome::Retry => badge("to be retried"),
        _ => badge(result.as_str()),
    }
}

/// A state or result in colour and in a word.
fn badge(word: &str) -> Markup {
    let class = match word {
        "acknowledged" => "good",
        "dead_lettered" | "interrupted" => "bad",
        _ => "waiting",
    };
    html! { span.state.(class) { (word.replace('_', "-")) } }
}

pub(crate) fn outcome(outcome: Option<Outcome>) -> Markup {
    let (class, word) = match outcome {
        Some(Outcome::Success) => ("good", "success"),
        Some(Outcome::Failure) => ("bad", "failure"),
        Some(_) => ("none", "other"),
        None => ("bad", "unreadable"),
    };
    html! { span.outcome.(class) { (word) } }
}

/// What vouches for a delivery, in a few words.
pub(crate) fn source(source: Source) -> &'static str {
    match source {
        Source::Webhook => "signed",
        Source::Callback => "callback",
        Source::Backfill => "HeyGen's log",
        Source::Import => "import",
        _ => source.as_str(),
    }
}

/// The name of the event as it may be shown.
pub(crate) fn event(summary: &DeliverySummary) -> String {
    match &summary.event_type {
        Some(name) => visible(name),
        None => "(no event)".to_owned(),
    }
}

/// Every name that may be typed into a field.
pub(crate) fn known_events(id: &str) -> Markup {
    html! {
        datalist id=(id) {
            option value="*.success" {}
            option value="*.fail" {}
            @for event in EventType::KNOWN { option value=(event.as_str()) {} }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_spans_are_short() {
        let numbers = [0, 999, 1000, 1_234_567].map(number);
        assert_eq!(numbers, ["0", "999", "1,000", "1,234,567"]);
        let spans = [0, 250, 3000, 600_000, 36_000_000, 360_000_000];
        let spans = spans.map(|millis| span(Duration::from_millis(millis)));
        let expected = ["0.00 ms", "250 ms", "3 s", "10 min", "10 h", "4 d"];
        assert_eq!(spans, expected);
        let now = SystemTime::now();
        assert_eq!(ago(now + Duration::from_secs(5), now), "in 5 s");
        assert_eq!(ago(now - Duration::from_secs(5), now), "5 s ago");
    }
}
