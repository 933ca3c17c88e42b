//! [`over_lines`]: JSON for people, in the order and with the numbers that it came with.

use serde::de::IgnoredAny;

use crate::output::{escaped, without_query};

/// A line for each value. Names, numbers and escapes stay as they were written; links lose what gives access, unless `full`.
/// `None` for what is no JSON.
pub(crate) fn over_lines(json: &[u8], full: bool) -> Option<String> {
    let text = std::str::from_utf8(json).ok()?;
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    let mut lines = Lines::default();
    let mut rest = text.trim_start_matches(is_blank);
    while let Some(first) = rest.chars().next() {
        let (token, after) = rest.split_at(token_length(rest, first));
        rest = after.trim_start_matches(is_blank);
        match first {
            '{' | '[' => {
                lines.text.push(first);
                lines.depth += 1;
                if !rest.starts_with(['}', ']']) {
                    lines.begin();
                }
            }
            '}' | ']' => {
                lines.depth = lines.depth.saturating_sub(1);
                if !lines.text.ends_with(['{', '[']) {
                    lines.begin();
                }
                lines.text.push(first);
            }
            ',' => {
                lines.text.push(first);
                lines.begin();
            }
            ':' => lines.text.push_str(": "),
            '"' if !full && !rest.starts_with(':') => lines.text.push_str(&without_access(token)),
            _ => lines.text.push_str(token),
        }
    }
    Some(escaped(&lines.text))
}

#[derive(Default)]
struct Lines {
    text: String,
    depth: usize,
}

impl Lines {
    fn begin(&mut self) {
        self.text.push('\n');
        self.text.extend(std::iter::repeat_n("  ", self.depth));
    }
}

/// Of JSON that is valid.
fn token_length(text: &str, first: char) -> usize {
    match first {
        '{' | '}' | '[' | ']' | ',' | ':' => 1,
        '"' => {
            let mut is_escaped = false;
            let end = text.char_indices().skip(1).find(|(_, c)| {
                let ends = *c == '"' && !is_escaped;
                is_escaped = *c == '\\' && !is_escaped;
                ends
            });
            end.map_or(text.len(), |(index, _)| index + 1)
        }
        _ => {
            let is_end = |c: char| is_blank(c) || matches!(c, '}' | ']' | ',' | ':');
            text.find(is_end).unwrap_or(text.len())
        }
    }
}

fn without_access(string: &str) -> String {
    match serde_json::from_str::<String>(string) {
        Ok(link) if link.starts_with("http://") || link.starts_with("https://") => {
            serde_json::Value::from(without_query(&link)).to_string()
        }
        _ => string.to_owned(),
    }
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, full: bool, expected: Option<&str>) {
        let shown = over_lines(json.as_bytes(), full);
        assert_eq!(shown.as_deref(), expected, "{json}");
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
        if full {
            assert_eq!(shown.as_deref().and_then(value), value(json));
        }
    }

    #[test]
    fn what_came_is_shown_as_it_came() {
        let json = r#" {"b":1.50,"a":[ ],"c":{"é\"\\":[1e3,null]},
            "b":"x,}\u00e9", "d":{}} "#;
        let expected = r#"{
  "b": 1.50,
  "a": [],
  "c": {
    "é\"\\": [
      1e3,
      null
    ]
  },
  "b": "x,}\u00e9",
  "d": {}
}"#;
        check(json, true, Some(expected));
        check(r#""a b""#, true, Some(r#""a b""#));
        check(
            "12345678901234567890.5",
            true,
            Some("12345678901234567890.5"),
        );
        for broken in ["", "{", "{} x", "{\"a\" 1}", "nan"] {
            check(broken, false, None);
        }
        let odd = over_lines("[\"\u{202e}\u{9b}\"]".as_bytes(), false);
        assert_eq!(odd.as_deref(), Some("[\n  \"\\u202e\\u009b\"\n]"));
    }

    #[test]
    fn links_lose_what_gives_access_however_they_are_written() {
        let cut = "[\n  \"https://a.b/c?…\"\n]";
        check(r#"["https://a.b/c?k=1"]"#, false, Some(cut));
        check(r#"["https:\/\/a.b\/c?k=1"]"#, false, Some(cut));
        check(r#"["\u0068ttps://a.b/c?k=1"]"#, false, Some(cut));
        let whole = "[\n  \"https://a.b/c?k=1\"\n]";
        check(r#"["https://a.b/c?k=1"]"#, true, Some(whole));
        let name = "{\n  \"http://a?b\": 1\n}";
        check(r#"{"http://a?b" : 1}"#, false, Some(name));
    }
}
