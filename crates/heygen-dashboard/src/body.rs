//! A body as a page shows it: the exact text, with the queries of links hidden until they are asked for.

use std::borrow::Cow;

use heygen_events::text::{is_unsafe_to_show, truncated};
use maud::{Markup, html};
use serde::de::IgnoredAny;
use serde_json::Value;

/// What of a body may be shown.
pub(crate) struct Shown {
    pub(crate) text: String,
    /// Whether something is hidden that a click shows.
    pub(crate) hides_links: bool,
    /// Whether it is shown byte for byte.
    pub(crate) is_exact: bool,
    /// Whether as itself, and not as hexadecimal digits.
    pub(crate) is_text: bool,
    pub(crate) is_cut: bool,
}

impl Shown {
    pub(crate) fn of(body: &[u8], shows_links: bool) -> Self {
        let Ok(text) = std::str::from_utf8(body) else {
            return Self {
                text: hex(&body[..body.len().min(MAX_HEX)]),
                hides_links: false,
                is_exact: true,
                is_text: false,
                is_cut: body.len() > MAX_HEX,
            };
        };
        let shown = with_links(text, shows_links);
        let hides_links = matches!(shown, Cow::Owned(_));
        let cut = truncated(&shown, MAX_TEXT);
        let visible = harmless(cut);
        Self {
            is_exact: visible == cut && !hides_links,
            is_text: true,
            is_cut: cut.len() < shown.len(),
            text: visible,
            hides_links,
        }
    }

    pub(crate) fn markup(&self, id: &str) -> Markup {
        html! {
            pre id=(id) tabindex="0" role="region" aria-label="Body" { (self.text) }
            @if self.is_cut { p.hint { "Cut here: download the body to see all of it." } }
            @if !self.is_exact && !self.hides_links {
                p.hint { "Characters that control or hide text are shown as \u{fffd}; the download has the exact bytes." }
            }
        }
    }
}

/// The same document with a field to a line; `None` when it is no document.
pub(crate) fn laid_out(body: &[u8], shows_links: bool) -> Option<String> {
    let text = with_links(std::str::from_utf8(body).ok()?, shows_links);
    serde_json::from_str::<IgnoredAny>(&text).ok()?;
    Some(harmless(truncated(&indented(&text, MAX_TEXT), MAX_TEXT)))
}

/// JSON with a field to a line, in its order and with each value as it is written: a tree of values sorts fields, and loses
/// repeated ones and digits. Ends soon after so many bytes, as the lines of what is nested deep are long.
pub(crate) fn indented(json: &str, max_len: usize) -> String {
    let mut text = String::new();
    let (mut depth, mut last) = (0_usize, ' ');
    let (mut is_string, mut is_escaped) = (false, false);
    for char in json.chars() {
        if text.len() > max_len {
            break;
        }
        if is_string {
            text.push(char);
            is_string = char != '"' || is_escaped;
            is_escaped = char == '\\' && !is_escaped;
            continue;
        }
        if char.is_ascii_whitespace() {
            continue;
        }
        let (opened, closes) = ("[{".contains(last), "]}".contains(char));
        depth = depth.saturating_sub(usize::from(closes));
        if opened != closes || last == ',' {
            text.push('\n');
            text.extend(std::iter::repeat_n("  ", depth));
        }
        text.push(char);
        if char == ':' {
            text.push(' ');
        }
        depth += usize::from("[{".contains(char));
        is_string = char == '"';
        last = char;
    }
    text
}

pub(crate) fn is_link(text: &str) -> bool {
    let lower = truncated(text, 8).to_ascii_lowercase();
    lower.starts_with("http://") || lower.starts_with("https://")
}

/// A text or document with its links, whole or without their queries.
pub(crate) fn with_links(text: &str, shows_links: bool) -> Cow<'_, str> {
    match shows_links {
        true => Cow::Borrowed(text),
        false => without_links(text),
    }
}

/// The same without the queries of its links, which give access to what they lead to. In JSON each string is looked at as it
/// reads without escapes, also one that a repeated key hides; what is not JSON has its links where they look like links. Of a
/// string that has no such reading, as with half of a surrogate pair, nothing is shown if it may hold one.
pub(crate) fn without_links(text: &str) -> Cow<'_, str> {
    let is_json = serde_json::from_str::<IgnoredAny>(text).is_ok();
    let mut is_escaped = false;
    let is_end = |c: char| {
        let is_end = c == '"' && !is_escaped;
        is_escaped = is_json && c == '\\' && !is_escaped;
        is_end || (!is_json && (c == ' ' || c == '\n'))
    };
    let mut is_hidden = false;
    let mut hidden = String::with_capacity(text.len());
    for part in text.split_inclusive(is_end) {
        let (word, end) = part.split_at(part.len() - usize::from(part.ends_with(['"', ' ', '\n'])));
        let unescaped = match is_json && word.contains('\\') {
            true => serde_json::from_str::<String>(&format!("\"{word}\"")).map(Some),
            false => Ok(None),
        };
        let shown = match &unescaped {
            Ok(unescaped) => without_query(unescaped.as_deref().unwrap_or(word)),
            Err(_) if may_hold_link(word) => Cow::Owned("…".to_owned()),
            Err(_) => Cow::Borrowed(word),
        };
        match (shown, &unescaped) {
            (Cow::Borrowed(_), _) => {
                hidden.push_str(part);
                continue;
            }
            (Cow::Owned(short), Ok(Some(_))) => {
                let escaped = Value::from(short).to_string();
                hidden.push_str(&escaped[1..escaped.len() - 1]);
            }
            (Cow::Owned(short), _) => hidden.push_str(&short),
        }
        hidden.push_str(end);
        is_hidden = true;
    }
    match is_hidden {
        true => Cow::Owned(hidden),
        false => Cow::Borrowed(text),
    }
}

/// A link as far as its query, which `…` stands for; owned when it has one. It may be spelled with escapes, as in JSON that stands
/// in another text.
pub(crate) fn without_query(link: &str) -> Cow<'_, str> {
    match query_start(link) {
        Some(start) if start < link.len() && holds_link(link) => {
            Cow::Owned(format!("{}…", &link[..start]))
        }
        _ => Cow::Borrowed(link),
    }
}

/// Where what follows `?` or `#` begins.
fn query_start(text: &str) -> Option<usize> {
    let mut marks = text.match_indices(['?', '#', '\\']);
    marks.find_map(|(at, mark)| {
        let end = at + mark.len();
        let is_escape = |escape: &str| ["u003f", "u0023"].contains(&&*escape.to_ascii_lowercase());
        match mark {
            "\\" => text
                .get(end..end + ESCAPE)
                .is_some_and(is_escape)
                .then_some(end + ESCAPE),
            _ => Some(end),
        }
    })
}

/// Whether there is `://`, also as `:\/\/` or `:\u002f\u002f`, with as many backslashes as texts stand in one another.
fn holds_link(text: &str) -> bool {
    let after_slash = |text: &str| -> Option<usize> {
        let rest = text.trim_start_matches('\\');
        let escapes = text.len() - rest.len();
        let is_escape = |escape: &str| escapes > 0 && escape.eq_ignore_ascii_case("u002f");
        match rest.starts_with('/') {
            true => Some(escapes + 1),
            false => rest
                .get(..ESCAPE)
                .is_some_and(is_escape)
                .then_some(escapes + ESCAPE),
        }
    };
    text.match_indices(':').any(|(colon, _)| {
        let rest = &text[colon + 1..];
        after_slash(rest).is_some_and(|end| after_slash(&rest[end..]).is_some())
    })
}

/// The same of a text whose escapes hide anything.
fn may_hold_link(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let has = |plain: char, escape| lower.contains(plain) || lower.contains(escape);
    has(':', "u003a") && has('/', "u002f")
}

fn harmless(text: &str) -> String {
    let is_unsafe = |c| is_unsafe_to_show(c) && !"\n\t\r".contains(c);
    text.replace(is_unsafe, "\u{fffd}")
}

fn hex(bytes: &[u8]) -> String {
    let lines = bytes.chunks(16).enumerate().map(|(row, chunk)| {
        let digits: Vec<String> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
        let shown = |byte: &u8| match byte {
            0x20..0x7f => char::from(*byte),
            _ => '.',
        };
        let text: String = chunk.iter().map(shown).collect();
        format!("{:08x}  {:<47}  {text}\n", row * 16, digits.join(" "))
    });
    lines.collect()
}

/// The length of `u003f`.
const ESCAPE: usize = 5;
const MAX_TEXT: usize = 64 * 1024;
const MAX_HEX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &str) {
        let shown = Shown::of(body.as_bytes(), false);
        assert_eq!(shown.text, expected);
        assert!(!shown.text.contains("cret"), "{}", shown.text);
        assert_eq!(Shown::of(body.as_bytes(), true).text, body);
    }

    #[test]
    fn queries_of_links_are_hidden_however_they_are_spelled() {
        for (body, expected) in [
            (
                r#"{ "url":"https://a.b/c.mp4?X=secret" }"#,
                r#"{ "url":"https://a.b/c.mp4?…" }"#,
            ),
            (
                r##"{"a":["HTTPS://a.b/c#secret"]}"##,
                r##"{"a":["HTTPS://a.b/c#…"]}"##,
            ),
            (
                r#"{"url":"https:\/\/a.b\/\"c\"?x=secret"}"#,
                r#"{"url":"https://a.b/\"c\"?…"}"#,
            ),
            (
                r#"{"url":"https://a.b/c\u003fx=s\u0065cret \" secret","u":"\\"}"#,
                r#"{"url":"https://a.b/c?…","u":"\\"}"#,
            ),
            (
                r#"{"url":"https://a.b/c?x=secret","url":"gone"}"#,
                r#"{"url":"https://a.b/c?…","url":"gone"}"#,
            ),
            (r#"{"x://b?secret":"x://d?:"}"#, r#"{"x://b?…":"x://d?…"}"#),
            (
                "see https://a.b/c?x=secret \"now\"",
                "see https://a.b/c?… \"now\"",
            ),
            (
                "https://a.b/c?x https://a.b/c?xsecret\n",
                "https://a.b/c?… https://a.b/c?…\n",
            ),
            (r#"{"msg":"why? because"}"#, r#"{"msg":"why? because"}"#),
            (
                r#"no {"url":"https:\/\/a.b\/c.mp4?x=secret"}"#,
                r#"no {"url":"https:\/\/a.b\/c.mp4?…"}"#,
            ),
            (
                r"no https:\\/\\/a.b\u002Fc\u003Fx=secret, https:\u002F\u002fa#secret",
                r"no https:\\/\\/a.b\u002Fc\u003F… https:\u002F\u002fa#…",
            ),
            (
                r#"{"said":"{\"u\":\"https:\\/\\/a.b\\/c?x=secret\"}"}"#,
                r#"{"said":"{\"u\":\"https:\\/\\/a.b\\/c?…"}"#,
            ),
            (
                r#"{"u":"\ud83d https:\/\/a.b\/c\u003fx=secret","v":1}"#,
                r#"{"u":"…","v":1}"#,
            ),
            (
                r#"{"u":"\ud83d https\u003a/\u002fa.b?x=secret"}"#,
                r#"{"u":"…"}"#,
            ),
            (r#"{"u":"why? \ud83d"}"#, r#"{"u":"why? \ud83d"}"#),
            (r"C:\a\/b?c \u003f :\", r"C:\a\/b?c \u003f :\"),
        ] {
            check(body, expected);
        }
    }

    #[test]
    fn laid_out_document_has_every_value_as_it_was_received() {
        for (body, expected) in [
            (
                r#"{"url":"https://a.b/c?x=secret"}"#,
                Some("{\n  \"url\": \"https://a.b/c?…\"\n}"),
            ),
            (
                r#" {"b":1.50,"a":[ ],"a":{"x\"}":[1e400,{}]}} "#,
                Some(
                    "{\n  \"b\": 1.50,\n  \"a\": [],\n  \"a\": {\n    \"x\\\"}\": [\n      1e400,\n      {}\n    ]\n  }\n}",
                ),
            ),
            (r#""\ud83d""#, Some(r#""\ud83d""#)),
            ("{\"a\":1", None),
        ] {
            let laid_out = laid_out(body.as_bytes(), false);
            assert_eq!(laid_out.as_deref(), expected);
        }
        let deep = "[".repeat(5000) + &"]".repeat(5000);
        assert!(laid_out(deep.as_bytes(), false).is_some_and(|text| text.len() <= MAX_TEXT));
    }

    #[test]
    fn many_links_cost_no_pass_each() {
        let links: Vec<_> = (0..90_000)
            .map(|number| format!("\"x://a?secret{number}\""))
            .collect();
        let links = links.join(",");
        for body in [format!("[{links}]"), format!("[{links}")] {
            let begun_at = std::time::Instant::now();
            let shown = Shown::of(body.as_bytes(), false);
            assert!(begun_at.elapsed() < std::time::Duration::from_secs(10));
            assert!(shown.hides_links && shown.is_cut);
            assert!(!shown.text.contains("secret"), "{}", &shown.text[..200]);
        }
    }

    #[test]
    fn what_is_no_text_is_shown_as_bytes() {
        let shown = Shown::of(b"\xffA\n", false);
        assert_eq!(
            shown.text.trim_end(),
            "00000000  ff 41 0a                                         .A."
        );
        let shown = Shown::of("a\u{202e}b".as_bytes(), false);
        assert_eq!((shown.text.as_str(), shown.is_exact), ("a\u{fffd}b", false));
    }
}
