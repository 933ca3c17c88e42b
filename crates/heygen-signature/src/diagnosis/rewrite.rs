//! Other spellings of the same JSON, made by walking over its tokens.
//!
//! A proxy or framework that parses a body and serializes it again changes white space and escapes,
//! so the signature no longer matches. Trying other spellings finds that out. Nothing is parsed
//! into values here: numbers keep their digits, fields their order, and text that is not JSON gives
//! no spelling.

use std::fmt::Write;

/// White space between tokens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Spacing {
    /// As received.
    Kept,
    /// None, as JavaScript's `JSON.stringify` writes.
    Compact,
    /// One space after `:` and `,`, as Python's `json.dumps` writes.
    Spaced,
}

/// How characters that may be escaped are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Escapes {
    /// As received.
    Kept,
    /// Escaped: `\/` for a slash, lower-case `\uXXXX` for what is not ASCII.
    Escaped,
    /// Not escaped.
    Plain,
}

/// One way to write a body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Style {
    pub(super) spacing: Spacing,
    /// The slash only.
    pub(super) slash: Escapes,
    /// Every other character that JSON allows escaped or not.
    pub(super) unicode: Escapes,
}

impl Style {
    /// Every combination.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let escapes = [Escapes::Kept, Escapes::Escaped, Escapes::Plain];
        let spacings = [Spacing::Kept, Spacing::Compact, Spacing::Spaced];
        spacings.into_iter().flat_map(move |spacing| {
            escapes.into_iter().flat_map(move |slash| {
                escapes.into_iter().map(move |unicode| Self {
                    spacing,
                    slash,
                    unicode,
                })
            })
        })
    }
}

/// `json` in another style, without white space around the whole; `None` when a string in it does
/// not end.
pub(super) fn rewrite(json: &str, style: Style) -> Option<String> {
    let mut written = String::with_capacity(json.len() * 5 / 4);
    let mut rest = json.trim_matches(is_blank);
    while let Some(char) = rest.chars().next() {
        let (token, after) = rest.split_at(char.len_utf8());
        rest = after;
        match char {
            '"' => {
                let end = end_of_string(rest)?;
                let (content, after) = rest.split_at(end);
                written.push('"');
                write_content(&mut written, content, style);
                written.push('"');
                rest = &after[1..];
            }
            _ if style.spacing == Spacing::Kept => written.push_str(token),
            _ if is_blank(char) => {}
            ':' | ',' if style.spacing == Spacing::Spaced => {
                written.push(char);
                written.push(' ');
            }
            _ => written.push_str(token),
        }
    }
    Some(written)
}

fn is_blank(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\n' | '\r')
}

/// The index of the closing quote in the text after an opening one.
fn end_of_string(rest: &str) -> Option<usize> {
    let mut bytes = rest.bytes().enumerate();
    while let Some((index, byte)) = bytes.next() {
        match byte {
            b'"' => return Some(index),
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
    None
}

fn write_content(written: &mut String, mut content: &str, style: Style) {
    while let Some(char) = content.chars().next() {
        let length = unit_length(content, char);
        let (unit, after) = content.split_at(length);
        content = after;
        if char == '/' || unit == "\\/" {
            written.push_str(match style.slash {
                Escapes::Kept => unit,
                Escapes::Escaped => "\\/",
                Escapes::Plain => "/",
            });
            continue;
        }
        let plain = if char == '\\' {
            unescaped(unit)
        } else {
            Some(char)
        };
        match (style.unicode, plain) {
            (Escapes::Kept, _) => written.push_str(unit),
            (Escapes::Escaped, Some(plain)) if !plain.is_ascii() => write_escaped(written, plain),
            (Escapes::Escaped | Escapes::Plain, Some(plain)) => written.push(plain),
            (Escapes::Escaped | Escapes::Plain, None) if unit.starts_with("\\u") => {
                written.push_str(&unit.to_ascii_lowercase());
            }
            (Escapes::Escaped | Escapes::Plain, None) => written.push_str(unit),
        }
    }
}

/// The length in bytes of the first character or escape; a surrogate pair counts as one escape.
fn unit_length(content: &str, char: char) -> usize {
    if char != '\\' {
        return char.len_utf8();
    }
    let Some(high) = code_unit(content) else {
        let escaped = content[1..].chars().next();
        return 1 + escaped.map_or(0, char::len_utf8);
    };
    let low = content.get(6..).and_then(code_unit);
    match (high, low) {
        (0xd800..=0xdbff, Some(0xdc00..=0xdfff)) => 12,
        _ => 6,
    }
}

/// The code unit of a text that begins with `\uXXXX`.
fn code_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let all_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !all_hex {
        return None;
    }
    u16::from_str_radix(digits, 16).ok()
}

/// The character of a `\u` escape, when JSON also allows it unescaped.
fn unescaped(unit: &str) -> Option<char> {
    let units = [code_unit(unit), unit.get(6..).and_then(code_unit)];
    let mut chars = char::decode_utf16(units.into_iter().flatten());
    let char = chars.next()?.ok()?;
    let must_stay = char < ' ' || char == '"' || char == '\\';
    (!must_stay).then_some(char)
}

fn write_escaped(written: &mut String, char: char) {
    for unit in char.encode_utf16(&mut [0; 2]) {
        // Writing to a `String` cannot fail.
        let _written = write!(written, "\\u{unit:04x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, style: (Spacing, Escapes, Escapes), expected: Option<&str>) {
        let (spacing, slash, unicode) = style;
        let style = Style {
            spacing,
            slash,
            unicode,
        };
        assert_eq!(rewrite(json, style).as_deref(), expected);
    }

    #[test]
    fn white_space_outside_strings_changes() {
        let pretty = "{\n  \"a b\": [1.0, -2e3],\n  \"c,\": \"d: e\\\"\"\n}\n";
        let style = |spacing| (spacing, Escapes::Kept, Escapes::Kept);
        check(pretty, style(Spacing::Kept), Some(pretty.trim_end()));
        check(
            pretty,
            style(Spacing::Compact),
            Some(r#"{"a b":[1.0,-2e3],"c,":"d: e\""}"#),
        );
        check(
            pretty,
            style(Spacing::Spaced),
            Some(r#"{"a b": [1.0, -2e3], "c,": "d: e\""}"#),
        );
    }

    #[test]
    fn slashes_change() {
        let style = |slash| (Spacing::Compact, slash, Escapes::Kept);
        check(r#"["a/b\/c"]"#, style(Escapes::Kept), Some(r#"["a/b\/c"]"#));
        check(
            r#"["a/b\/c"]"#,
            style(Escapes::Escaped),
            Some(r#"["a\/b\/c"]"#),
        );
        check(r#"["a/b\/c"]"#, style(Escapes::Plain), Some(r#"["a/b/c"]"#));
        check(r#"["\\/"]"#, style(Escapes::Escaped), Some(r#"["\\\/"]"#));
    }

    #[test]
    fn characters_beyond_ascii_change() {
        let style = |unicode| (Spacing::Compact, Escapes::Kept, unicode);
        check(
            r#"["é😀"]"#,
            style(Escapes::Escaped),
            Some(r#"["\u00e9\ud83d\ude00"]"#),
        );
        check(
            r#"["\u00E9\uD83D\uDE00"]"#,
            style(Escapes::Escaped),
            Some(r#"["\u00e9\ud83d\ude00"]"#),
        );
        check(
            r#"["\u00e9\ud83d\ude00"]"#,
            style(Escapes::Plain),
            Some(r#"["é😀"]"#),
        );
        check(
            r#"["a\u0026b\u003d"]"#,
            style(Escapes::Plain),
            Some(r#"["a&b="]"#),
        );
        check(
            r#"["\u0022\u005c\u000a\n"]"#,
            style(Escapes::Plain),
            Some(r#"["\u0022\u005c\u000a\n"]"#),
        );
        check(
            r#"["\ud83d x \ude00"]"#,
            style(Escapes::Plain),
            Some(r#"["\ud83d x \ude00"]"#),
        );
        check(
            r#"["\\u00e9"]"#,
            style(Escapes::Plain),
            Some(r#"["\\u00e9"]"#),
        );
    }

    #[test]
    fn text_that_is_not_json_does_no_harm() {
        let every_style = || Style::all().map(|style| (style.spacing, style.slash, style.unicode));
        for style in every_style() {
            check(r#"{"a"#, style, None);
            check(r#"{"a\"#, style, None);
            check(r#""\"#, style, None);
            check("", style, Some(""));
            check(" \n", style, Some(""));
            check(r#"["\u00g0\a\u12"]"#, style, Some(r#"["\u00g0\a\u12"]"#));
        }
    }
}
