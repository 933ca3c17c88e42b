//! A body as a page shows it: the exact text, with the queries of links hidden until they are asked for.

use std::borrow::Cow;
use std::fmt;

use heygen_events::text::{is_unsafe_to_show, truncated};
use maud::{Markup, html};
use serde::Deserializer;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
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
        let hidden = match shows_links {
            true => None,
            false => without_queries(text),
        };
        let hides_links = hidden.is_some();
        let shown = hidden.map_or(Cow::Borrowed(text), Cow::Owned);
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

/// A link without the query that gives access to what it leads to, and whether it had one.
pub(crate) fn without_query(link: &str) -> (&str, bool) {
    match link.find(['?', '#']) {
        Some(end) => (&link[..end], true),
        None => (link, false),
    }
}

pub(crate) fn is_link(text: &str) -> bool {
    let lower = truncated(text, 8).to_ascii_lowercase();
    lower.starts_with("http://") || lower.starts_with("https://")
}

fn query(text: &str) -> Option<&str> {
    let (_, has_query) = without_query(text);
    let start = text.find(['?', '#'])?;
    (has_query && text.contains("://"))
        .then(|| &text[start + 1..])
        .filter(|query| !query.is_empty())
}

/// The queries of all links in a JSON document; `None` when it is none. Reads what a repeated key hides, too.
fn find_queries(text: &str) -> Option<Vec<String>> {
    let mut queries = Vec::new();
    let mut document = serde_json::Deserializer::from_str(text);
    let read = Texts(&mut queries).deserialize(&mut document);
    read.and_then(|()| document.end()).ok()?;
    Some(queries)
}

struct Texts<'a>(&'a mut Vec<String>);

impl<'de> DeserializeSeed<'de> for Texts<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, document: D) -> Result<(), D::Error> {
        document.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Texts<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.extend(query(text).map(str::to_owned));
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Texts(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while fields.next_key_seed(Texts(self.0))?.is_some() {
            fields.next_value_seed(Texts(self.0))?;
        }
        Ok(())
    }
}

/// The text without the queries of its links; `None` when there are none.
fn without_queries(text: &str) -> Option<String> {
    let Some(mut queries) = find_queries(text) else {
        return without_looking_like_one(text);
    };
    if queries.is_empty() {
        return None;
    }
    // The longest first, as it may hold another.
    queries.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    queries.dedup();
    // Each is one more pass over the text: a stranger's body must not keep this thread for long.
    let hidden = match queries.len().saturating_mul(text.len()) {
        0..=MAX_WORK => in_place(text, &queries),
        _ => None,
    };
    let value = || serde_json::from_str(text).unwrap_or_default();
    Some(hidden.unwrap_or_else(|| format!("{:#}", cut(value()))))
}

/// The same document with a field to a line; `None` when it is no document.
pub(crate) fn laid_out(body: &[u8], shows_links: bool) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let value = if shows_links { value } else { cut(value) };
    let text = format!("{value:#}");
    Some(harmless(truncated(&text, MAX_TEXT)))
}

fn harmless(text: &str) -> String {
    let is_unsafe = |c| is_unsafe_to_show(c) && !"\n\t\r".contains(c);
    text.replace(is_unsafe, "\u{fffd}")
}

/// A text in which links may stand, without their queries.
pub(crate) fn without_links(text: &str) -> Cow<'_, str> {
    without_looking_like_one(text).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// What is not JSON has its links where they look like links.
fn without_looking_like_one(text: &str) -> Option<String> {
    let mut is_hidden = false;
    let mut hidden = String::with_capacity(text.len());
    for part in text.split_inclusive(['"', ' ', '\n']) {
        let word = part.trim_end_matches(['"', ' ', '\n']);
        match query(word) {
            Some(query) => {
                is_hidden = true;
                hidden.push_str(&word[..word.len() - query.len()]);
                hidden.push('…');
                hidden.push_str(&part[word.len()..]);
            }
            None => hidden.push_str(part),
        }
    }
    is_hidden.then_some(hidden)
}

/// The text as it is but for the queries; `None` when it spells one otherwise, with escapes, or is no document without them.
fn in_place(text: &str, queries: &[String]) -> Option<String> {
    let mut hidden = text.to_owned();
    for query in queries {
        hidden = hidden.replace(query.as_str(), "…");
    }
    let left = find_queries(&hidden)?;
    let is_hidden = left.iter().all(|query| query.chars().all(|c| c == '…'));
    is_hidden.then_some(hidden)
}

fn cut(value: Value) -> Value {
    match value {
        Value::String(text) if query(&text).is_some() => {
            format!("{}?…", without_query(&text).0).into()
        }
        Value::Array(items) => items.into_iter().map(cut).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| match query(&name) {
                Some(_) => (format!("{}?…", without_query(&name).0), cut(value)),
                None => (name, cut(value)),
            })
            .collect(),
        plain => plain,
    }
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

const MAX_TEXT: usize = 64 * 1024;

/// Bytes that are looked through to hide queries in place: 64 passes over what is shown.
const MAX_WORK: usize = 64 * MAX_TEXT;
const MAX_HEX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &str) {
        let shown = Shown::of(body.as_bytes(), false);
        assert_eq!(shown.text, expected);
        assert!(!shown.text.contains("secret"), "{}", shown.text);
        assert_eq!(Shown::of(body.as_bytes(), true).text, body);
    }

    #[test]
    fn queries_of_links_are_hidden_however_they_are_spelled() {
        check(
            r#"{ "url":"https://a.b/c.mp4?X=secret" }"#,
            r#"{ "url":"https://a.b/c.mp4?…" }"#,
        );
        check(
            r#"{"a":["HTTPS://a.b/c#secret"]}"#,
            r##"{"a":["HTTPS://a.b/c#…"]}"##,
        );
        check(
            r#"{"url":"https:\/\/a.b\/c?x=secret"}"#,
            r#"{"url":"https:\/\/a.b\/c?…"}"#,
        );
        let escaped = r#"{"url":"https://a.b/c?x=s\u0065cret"}"#;
        let shown = Shown::of(escaped.as_bytes(), false);
        assert_eq!(shown.text, "{\n  \"url\": \"https://a.b/c?…\"\n}");
        check(
            r#"{"url":"https://a.b/c?x=secret","url":"gone"}"#,
            r#"{"url":"https://a.b/c?…","url":"gone"}"#,
        );
        let unreadable = r#"{"a":"x://b?:","c":"x://d?s\u0065cret"}"#;
        let shown = Shown::of(unreadable.as_bytes(), false);
        assert_eq!(
            shown.text,
            "{\n  \"a\": \"x://b?…\",\n  \"c\": \"x://d?…\"\n}"
        );
        check("see https://a.b/c?x=secret now", "see https://a.b/c?… now");
        check(
            "https://a.b/c?x https://a.b/c?xsecret\n",
            "https://a.b/c?… https://a.b/c?…\n",
        );
        check(r#"{"msg":"why? because"}"#, r#"{"msg":"why? because"}"#);
    }

    #[test]
    fn many_links_cost_no_pass_each() {
        let links = |ends: &str| {
            let links: Vec<_> = (0..90_000)
                .map(|number| format!("\"x://a?secret{number}\""))
                .collect();
            format!("[{}{ends}", links.join(","))
        };
        for body in [links(r#",{"x://a?secret":1}]"#), links("")] {
            let begun_at = std::time::Instant::now();
            let shown = Shown::of(body.as_bytes(), false);
            assert!(begun_at.elapsed() < std::time::Duration::from_secs(10));
            assert!(shown.hides_links && shown.is_cut);
            assert!(!shown.text.contains("secret"), "{}", &shown.text[..200]);
        }
        let name = format!(r#"{{"x://a?secret":"{}"}}"#, "x".repeat(MAX_WORK));
        assert!(
            Shown::of(name.as_bytes(), false)
                .text
                .contains("\"x://a?…\"")
        );
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
