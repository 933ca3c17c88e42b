//! Deliveries as CSV (RFC 4180), for spreadsheets.

use heygen_inbox::Kept;

use crate::when;

pub(super) fn head() -> String {
    row(&COLUMNS.map(str::to_owned))
}

pub(super) fn line(kept: &Kept) -> String {
    let summary = &kept.summary;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    row(&[
        summary.id.to_string(),
        when::exact(summary.received_at),
        text(&summary.event_type),
        text(&summary.subject_id),
        text(&summary.callback_id),
        summary
            .outcome
            .map_or("", |outcome| outcome.as_str())
            .to_owned(),
        summary.state.to_string(),
        summary.attempts.to_string(),
        summary.source.to_string(),
        String::from_utf8_lossy(&kept.body).into_owned(),
    ])
}

fn row(fields: &[String; 10]) -> String {
    let fields: Vec<_> = fields.iter().map(|text| field(text)).collect();
    format!("{}\r\n", fields.join(","))
}

/// Quoted where it has to be, and nothing that a spreadsheet would calculate with.
fn field(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = match is_formula {
        true => format!("'{text}"),
        false => text.to_owned(),
    };
    match text.contains([',', '"', '\r', '\n', '\'']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

const COLUMNS: [&str; 10] = [
    "id",
    "received_at",
    "event_type",
    "subject_id",
    "callback_id",
    "outcome",
    "state",
    "attempts",
    "source",
    "body",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(field(text), expected);
    }

    #[test]
    fn fields_are_quoted_and_calculate_nothing() {
        check("", "");
        check("a b", "a b");
        check("a,b", "\"a,b\"");
        check("{\"a\":1}\n", "\"{\"\"a\"\":1}\n\"");
        check("=1+1", "\"'=1+1\"");
        check("-2", "\"'-2\"");
        check("@x", "\"'@x\"");
        check("\t=1", "\"'\t=1\"");
        check("1-2", "1-2");
    }
}
