//! Deliveries as CSV (RFC 4180), for spreadsheets.
//!
//! A spreadsheet that opens a file must not calculate with what a stranger wrote, whichever separator its locale has: every field is
//! quoted, and an apostrophe stands before whatever could begin a formula, in the middle of a text too. Such a text is not what was
//! received to the byte; the other format is, and it alone can be imported.

use heygen_events::text::is_unsafe_to_show;
use heygen_inbox::StoredDelivery;

use crate::settings::when;

pub(super) fn head() -> String {
    format!("{}\r\n", COLUMNS.join(","))
}

/// Whether a line is the head of such a file, which cannot be imported.
pub(in crate::commands::inbox) fn is_head(line: &[u8]) -> bool {
    let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
    line.trim_ascii() == head().trim_end().as_bytes()
}

pub(super) fn line(stored: &StoredDelivery) -> String {
    let summary = &stored.summary;
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
        String::from_utf8_lossy(&stored.body).into_owned(),
    ])
}

fn row(fields: &[String; 10]) -> String {
    let fields: Vec<_> = fields.iter().map(|text| field(text)).collect();
    format!("{}\r\n", fields.join(","))
}

/// Quoted, and nothing that a spreadsheet would calculate with.
fn field(text: &str) -> String {
    let mut field = String::with_capacity(text.len() + 2);
    field.push('"');
    // At the very start some drop a tab or the end of a line, and look at what follows.
    let mut begins_cell = !text.starts_with(['\t', '\r', '\n']);
    if !begins_cell {
        field.push('\'');
    }
    for (at, character) in text.char_indices() {
        if begins_cell && begins_formula(&text[at..]) {
            field.push('\'');
        }
        // Where the separator is `;` or a tab, the quotes of this file end nothing, and the rest of the text is another cell.
        begins_cell = is_separator(character);
        if character == '"' {
            field.push('"');
        }
        field.push(character);
    }
    field.push('"');
    field
}

/// Whether a cell with this text could be one, behind blanks, quotes and what does not show.
fn begins_formula(text: &str) -> bool {
    let is_passed_over = |c: char| c.is_whitespace() || c == '"' || is_unsafe_to_show(c);
    text.trim_start_matches(is_passed_over).starts_with(FORMULA)
}

fn is_separator(character: char) -> bool {
    matches!(character, ';' | '|' | '\t' | '\r' | '\n')
}

/// What begins a formula: the signs, as some input methods write them too (full width, small form, the minus of mathematics).
const FORMULA: [char; 13] = [
    '=', '+', '-', '@', '＝', '＋', '－', '＠', '﹦', '﹢', '﹣', '﹫', '−',
];

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
        assert_eq!(field(text), format!("\"{expected}\""));
    }

    #[test]
    fn fields_are_quoted() {
        check("", "");
        check("a b", "a b");
        check("a,b", "a,b");
        check("{\"a\":1}\n", "{\"\"a\"\":1}\n");
        check("1-2", "1-2");
        check("it's; a = b", "it's; a = b");
    }

    #[test]
    fn nothing_is_calculated() {
        for sign in FORMULA {
            check(&format!("{sign}1+1"), &format!("'{sign}1+1"));
            check(&format!("  {sign}1"), &format!("'  {sign}1"));
            check(
                &format!("\u{a0}\u{200b}{sign}1"),
                &format!("'\u{a0}\u{200b}{sign}1"),
            );
            check(&format!("a;{sign}1"), &format!("a;'{sign}1"));
            check(
                &format!("a; {sign}1;{sign}2"),
                &format!("a;' {sign}1;'{sign}2"),
            );
            check(&format!("a\n{sign}1"), &format!("a\n'{sign}1"));
            check(&format!("a;\"{sign}1\""), &format!("a;'\"\"{sign}1\"\""));
        }
        check("a\t=1|=2", "a\t'=1|'=2");
        check("\t1", "'\t1");
        check("\r1", "'\r1");
        check("[1,-2]", "[1,-2]");
    }

    /// As a spreadsheet reads it that parts cells at `;` alone.
    #[test]
    fn a_locale_with_semicolons_finds_no_formula() {
        let texts = [
            "x;=cmd|'/c calc'!A0;",
            "x;\"=1+1\"",
            "x;\u{feff} =1",
            "=1;=2",
        ];
        let row = texts.map(field).join(",");
        let cells = row.split([';', '\t', '\r', '\n']);
        for cell in cells.flat_map(|cell| cell.split(',')) {
            let seen = cell.trim_start_matches(|c: char| {
                c == '"' || c.is_whitespace() || is_unsafe_to_show(c)
            });
            assert!(!seen.starts_with(FORMULA), "{cell:?} in {row:?}");
        }
    }
}
