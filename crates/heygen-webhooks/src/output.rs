//! Writing to standard output: text for people, JSON for programs.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use heygen_events::text::is_unsafe_to_show;
pub(crate) use heygen_events::text::visible as tame;
use serde_json::Value;

use screen::Screen;
use table::{Cell, Column, table};

pub(crate) mod activity;
pub(crate) mod json_text;
pub(crate) mod logging;
pub(crate) mod notice;
pub(crate) mod printer;
pub(crate) mod rejected;
pub(crate) mod screen;
pub(crate) mod stderr;
pub(crate) mod table;
pub(crate) mod view;

/// What a program wrote, as one line: its lines stand beside each other, without those that are empty.
pub(crate) fn joined_lines(text: &str) -> String {
    let lines = text.lines().map(str::trim_end);
    let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    tame(&lines.join(" | "))
}

/// Writes a whole text for people and flushes it. Whatever stands in it, the terminal shows it and obeys none of it.
pub(crate) fn write(text: impl AsRef<str>) -> io::Result<()> {
    write_bytes(tame_lines(text.as_ref()))
}

/// Writes rows under their heads, as the screen has room for them.
pub(crate) fn write_table(columns: &[Column], rows: &[Vec<Cell>]) -> io::Result<()> {
    write_bytes(table(columns, rows, Screen::stdout()))
}

/// Writes bytes as they are and flushes them: what was asked for raw, or holds nothing of others that a terminal could obey.
pub(crate) fn write_bytes(bytes: impl AsRef<[u8]>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes.as_ref())?;
    stdout.flush()
}

/// Writes one JSON document over several lines.
pub(crate) fn json(value: &Value) -> io::Result<()> {
    write(escaped(&format!("{value:#}\n")))
}

/// Writes a JSON array, an element a line.
pub(crate) fn json_array(values: impl ExactSizeIterator<Item = Value>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let last = values.len();
    stdout.write_all(b"[")?;
    for (index, value) in values.enumerate() {
        let comma = if index + 1 < last { "," } else { "" };
        write!(stdout, "\n{}{comma}", escaped(&value.to_string()))?;
    }
    stdout.write_all(b"\n]\n")?;
    stdout.flush()
}

/// One JSON document on a line of its own.
pub(crate) fn json_line(value: &Value) -> String {
    escaped(&format!("{value}\n"))
}

/// The same JSON, with what is unsafe to show escaped: it stands in strings alone, where `\u202e` says the same.
pub(crate) fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        // Below 0x20 there is only white space between values left.
        if character >= '\u{7f}' && is_unsafe_to_show(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a text cannot fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// Cuts the query string off a link, with which anyone can fetch the file, and `user:password@` out of it.
pub(crate) fn without_query(link: &str) -> String {
    let link = without_user(link);
    match link.find(['?', '#']) {
        Some(end) => format!("{}?…", &link[..end]),
        None => link,
    }
}

fn without_user(link: &str) -> String {
    let Some((scheme, rest)) = link.split_once("://") else {
        return link.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => link.to_owned(),
    }
}

/// Text for a terminal without what is [unsafe to show](is_unsafe_to_show), except that lines stay lines.
pub(crate) fn tame_lines(text: &str) -> String {
    text.replace(|c| c != '\n' && is_unsafe_to_show(c), "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lose_what_gives_access() {
        assert_eq!(without_query("https://a.b/c.mp4"), "https://a.b/c.mp4");
        assert_eq!(
            without_query("https://a.b/c.mp4?X-Amz-Signature=1&e=2"),
            "https://a.b/c.mp4?…"
        );
        assert_eq!(without_query("https://a.b/c.mp4#t"), "https://a.b/c.mp4?…");
        assert_eq!(without_query("https://me:pass@a.b/c"), "https://a.b/c");
        assert_eq!(without_query("https://me:p@ss@a.b:1"), "https://a.b:1");
        assert_eq!(
            without_query("https://a.b/@c?to=d@e"),
            "https://a.b/@c?…",
            "an @ elsewhere is none"
        );
    }

    #[test]
    fn a_message_cannot_steer_the_terminal() {
        assert_eq!(tame_lines("a\x1b\n\nb\r\n"), "a\u{fffd}\n\nb\u{fffd}\n");
    }

    #[test]
    fn json_says_the_same_with_escapes() {
        let hostile = "a\u{1b}\u{7f}\u{9b}\u{202e}\u{2028}\u{e0041}é\"\\";
        let value = serde_json::json!({ hostile: [hostile] });
        for text in [json_line(&value), escaped(&format!("{value:#}"))] {
            let is_unsafe = |c| is_unsafe_to_show(c) && c != '\n';
            assert!(!text.contains(is_unsafe), "{text:?}");
            let read: Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(read, value);
        }
    }
}
