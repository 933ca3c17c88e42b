//! What people write into files and variables: secrets, tokens, keys. Editors and shells leave marks around them that cannot be
//! meant, and those are cut; what may be meant is kept, and warned of.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::Context as _;

use crate::failure::Failure;
use crate::output::notice;
use crate::process::environment;
use crate::settings::origin;

/// The text of a file, without a byte order mark.
pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    text(fs::read(path)?)
}

/// As [`read`], of the file that an option names: `what` it is, for who has to correct it.
pub(crate) fn read_of(option: &str, what: &str, path: &Path) -> anyhow::Result<String> {
    let option = origin::name(option);
    read(path).with_context(|| format!("{option}: cannot read {what} {}", path.display()))
}

/// Whether a file gives what it holds only once: a pipe, such as the shell makes of `<(…)`, is empty the second time, or has its
/// reader wait for ever.
pub(crate) fn is_read_once(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        let kind = fs::metadata(path).map(|metadata| metadata.file_type());
        kind.is_ok_and(|kind| kind.is_fifo() || kind.is_char_device() || kind.is_socket())
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

/// As [`is_read_once`], where the user asks to read it again and has to know that it is not.
pub(crate) fn stays_as_read(path: &Path) -> bool {
    let is_read_once = is_read_once(path);
    if is_read_once {
        tracing::warn!(
            file = %path.display(),
            "a pipe is read at the start only: what it held then stays in effect"
        );
    }
    is_read_once
}

/// The text of a variable that is set to something.
pub(crate) fn variable(name: &str) -> Result<Option<String>, Failure> {
    let text = environment::variable(name).map(OsString::into_string);
    let text = text.transpose();
    let text = text.map_err(|_| Failure::usage(format!("{name}: is not UTF-8")))?;
    Ok(text.filter(|text| !trimmed(text).is_empty()))
}

/// As [`read`], of a file that was read already.
pub(crate) fn text(bytes: Vec<u8>) -> anyhow::Result<String> {
    let is_utf16 = bytes.starts_with(&[0xff, 0xfe])
        || bytes.starts_with(&[0xfe, 0xff])
        || (bytes.len() >= 4
            && bytes
                .iter()
                .take(64)
                .skip(1)
                .step_by(2)
                .all(|byte| *byte == 0));
    if is_utf16 {
        anyhow::bail!("it is UTF-16, as some editors on Windows write: save it as UTF-8");
    }
    let text = String::from_utf8(bytes).map_err(|_| anyhow::anyhow!("it is not UTF-8"))?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(text) => text.to_owned(),
        None => text,
    })
}

/// Without white space, byte order marks and other characters that no one sees, at both ends.
pub(crate) fn trimmed(text: &str) -> &str {
    text.trim_matches(is_unseen)
}

/// The values of a file that has one on a line, with the number of each line, from 1. Empty lines and those that begin with `#`
/// are none.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (&str, usize)> {
    text.lines()
        .map(trimmed)
        .zip(1..)
        .filter(|(line, _)| !line.is_empty() && !line.starts_with('#'))
}

/// A secret, token or key itself, without a `NAME=` before it where what is left is a value for sure, as `is_value` says. What else
/// looks wrong stays, quotes too, and is warned of; `source` is where it comes from, `what` what it is.
pub(crate) fn value<'a>(
    written: &'a str,
    is_value: fn(&str) -> bool,
    what: &str,
    source: &str,
) -> &'a str {
    let value = without_name(written, is_value);
    if let Some(oddity) = oddity(value) {
        notice::warn(format!(
            "{source}: {what} has {oddity}, which counts as part of it; remove it unless it belongs there"
        ));
    }
    value
}

/// Without a `NAME=` before it, and what then stands around it, where what is left is a value for sure.
pub(crate) fn without_name(written: &str, is_value: fn(&str) -> bool) -> &str {
    let written = trimmed(written);
    let bare = unquoted(written).map_or(written, trimmed);
    let assigned = assigned(bare).map(|value| unquoted(value).map_or(value, trimmed));
    assigned.filter(|value| is_value(value)).unwrap_or(written)
}

/// As [`without_name`], and without quotes, for what has none in it.
pub(crate) fn bare(written: &str, is_value: fn(&str) -> bool) -> &str {
    let value = without_name(written, is_value);
    let bare = unquoted(value).map(trimmed);
    bare.filter(|bare| is_value(bare)).unwrap_or(value)
}

/// What is hardly ever part of a secret.
fn oddity(value: &str) -> Option<&'static str> {
    let has_quote = |end: Option<char>| end.is_some_and(is_quote);
    if has_quote(value.chars().next()) || has_quote(value.chars().next_back()) {
        return Some("quotes around it");
    }
    if assigned(value).is_some() {
        return Some("a name and `=` before it");
    }
    if value.contains(" #") || value.contains("\t#") {
        return Some("a comment after it");
    }
    let inner = value.chars().find(|character| is_unseen(*character))?;
    Some(match inner.is_whitespace() {
        true => "white space in it",
        false => "an invisible character in it",
    })
}

fn unquoted(text: &str) -> Option<&str> {
    let (first, last) = (text.chars().next()?, text.chars().next_back()?);
    let is_pair = QUOTES.contains(&(first, last));
    let inner = text
        .strip_prefix(first)
        .and_then(|text| text.strip_suffix(last));
    inner.filter(|_| is_pair)
}

/// What stands behind `NAME=`, as shells and their files have it.
fn assigned(text: &str) -> Option<&str> {
    let (before, value) = text.split_once('=')?;
    let name = before.trim();
    let (name, is_exported) = match name.strip_prefix("export ") {
        Some(name) => (name.trim(), true),
        None => (name, false),
    };
    let is_name = name.contains('_')
        && name.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    // A secret may end in `=`, as base64 does, and may begin as any name.
    let is_shouted = !name.bytes().any(|byte| byte.is_ascii_lowercase());
    let value = trimmed(value);
    let is_value = !value.trim_start_matches('=').is_empty();
    let is_assigned = is_value && is_name && (is_shouted || is_exported || is_prefixed(value));
    is_assigned.then_some(value)
}

fn is_prefixed(value: &str) -> bool {
    let value = unquoted(value).map_or(value, trimmed);
    is_webhook_secret(value)
}

/// Whether it begins as the secrets do that HeyGen makes.
pub(crate) fn is_webhook_secret(value: &str) -> bool {
    value.starts_with("whsec_")
}

/// For what may be anything.
pub(crate) fn nothing_is_certain(_: &str) -> bool {
    false
}

fn is_quote(character: char) -> bool {
    QUOTES
        .iter()
        .any(|(open, close)| character == *open || character == *close)
}

/// White space, byte order marks, zero-width characters and control characters.
fn is_unseen(character: char) -> bool {
    character.is_whitespace()
        || character.is_control()
        || matches!(
            character,
            '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{180e}' | '\u{ad}' | '\u{202a}'..='\u{202e}'
        )
}

const QUOTES: [(char, char); 6] = [
    ('"', '"'),
    ('\'', '\''),
    ('`', '`'),
    ('“', '”'),
    ('‘', '’'),
    ('«', '»'),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(written: &str, expected: &str, expected_oddity: Option<&str>) {
        let value = value(written, is_webhook_secret, "the secret", "a test");
        assert_eq!(value, expected, "{written:?}");
        assert_eq!(oddity(value), expected_oddity, "{written:?}");
    }

    #[test]
    fn invisible_marks_around_values_are_removed() {
        for written in [
            "whsec_a",
            "\u{feff}whsec_a\r\n",
            "\u{a0}whsec_a\u{200b}",
            "\t whsec_a \u{feff}",
            "HEYGEN_WEBHOOK_SECRET=whsec_a",
            "export HEYGEN_WEBHOOK_SECRET=whsec_a",
            "heygen_secret = 'whsec_a'",
            "\u{feff}HEYGEN_WEBHOOK_SECRET=\"whsec_a\"\r",
            "'HEYGEN_WEBHOOK_SECRET=whsec_a'",
        ] {
            check(written, "whsec_a", None);
        }
    }

    #[test]
    fn odd_values_are_kept_and_warned_of() {
        check("whsec_a==", "whsec_a==", None);
        check("a_b==", "a_b==", None);
        check("any_text=more", "any_text=more", None);
        for quoted in ["\"whsec_a\"", "'whsec_a'", "“whsec_a”"] {
            check(quoted, quoted, Some("quotes around it"));
            assert_eq!(bare(quoted, is_webhook_secret), "whsec_a");
        }
        check("\"other\"", "\"other\"", Some("quotes around it"));
        check("\"whsec_a", "\"whsec_a", Some("quotes around it"));
        check(
            "whsec_a # of staging",
            "whsec_a # of staging",
            Some("a comment after it"),
        );
        check("whsec_a b", "whsec_a b", Some("white space in it"));
        check(
            "whsec_a\u{a0}b",
            "whsec_a\u{a0}b",
            Some("white space in it"),
        );
        check(
            "whsec_a\u{200b}b",
            "whsec_a\u{200b}b",
            Some("an invisible character in it"),
        );
        check(
            "WEBHOOK_SECRET=other",
            "WEBHOOK_SECRET=other",
            Some("a name and `=` before it"),
        );
    }

    #[test]
    fn files_of_windows() {
        let utf16: Vec<u8> = "whsec_a"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let with_mark = [&[0xff, 0xfe], &utf16[..]].concat();
        for bytes in [utf16, with_mark, vec![0xfe, 0xff, 0, b'w']] {
            let error = text(bytes).expect_err("not UTF-8");
            assert!(error.to_string().contains("UTF-16"), "{error}");
        }
        assert_eq!(
            text(b"\xef\xbb\xbfa\r\n".to_vec()).expect("a text"),
            "a\r\n"
        );
        assert_eq!(text(Vec::new()).expect("a text"), "");
    }
}
