//! A canonical encoding of JSON values, for hashing.
//!
//! It is not JSON text: every value starts with a letter for its type, and every length is written.

use heygen_events::{Document, Node};
use serde_json::Number;

/// Whether every reader of this takes the same content from it. Anything else has to be compared
/// byte for byte: nesting too deep for the parser, lone surrogates, repeated keys, and numbers that
/// a double does not represent exactly. Such an event in two spellings counts as two, which is the
/// safe error.
pub(super) fn is_canonical(document: &Document<'_>) -> bool {
    document.is_whole() && !document.has_repeated_keys() && numbers_are_exact(document.text())
}

/// The canonical form of `json`, or the text itself if it has none.
pub(super) fn write_json(out: &mut Vec<u8>, json: &str) {
    match Document::from_slice(json.as_bytes()) {
        Ok(document) if is_canonical(&document) => write(out, document.root()),
        _ => write_text(out, json),
    }
}

/// As version 2 of the file and the streams wrote it: of a repeated key the last counted, and a
/// number was its double.
pub(super) fn write_json_v2(out: &mut Vec<u8>, json: &str) {
    match Document::from_slice(json.as_bytes()) {
        Ok(document) if document.is_whole() => write(out, document.root()),
        _ => write_text(out, json),
    }
}

fn write_text(out: &mut Vec<u8>, json: &str) {
    out.push(b'r');
    write_bytes(out, json.trim().as_bytes());
}

pub(super) fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn write_len(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(&(len as u64).to_le_bytes());
}

pub(super) fn write(out: &mut Vec<u8>, node: &Node<'_>) {
    match node {
        Node::Bool(true) => out.push(b't'),
        Node::Bool(false) => out.push(b'f'),
        Node::Number(number) => write_number(out, number),
        Node::Text(text) => {
            out.push(b's');
            write_bytes(out, text.as_bytes());
        }
        Node::List(items) => {
            out.push(b'l');
            write_len(out, items.len());
            items.iter().for_each(|item| write(out, item));
        }
        Node::Object(fields) => {
            out.push(b'o');
            write_len(out, fields.len());
            for (key, value) in fields {
                write_bytes(out, key.as_bytes());
                write(out, value);
            }
        }
        Node::Raw(raw) => write_text(out, raw.get()),
        _ => out.push(b'z'),
    }
}

/// Whether every number of a JSON text is represented exactly.
fn numbers_are_exact(json: &str) -> bool {
    let bytes = json.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = after_string(bytes, at),
            b'-' | b'0'..=b'9' => {
                let is_part =
                    |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                let len = bytes[at..].iter().take_while(|byte| is_part(byte)).count();
                if !is_exact(&json[at..at + len]) {
                    return false;
                }
                at += len;
            }
            _ => at += 1,
        }
    }
    true
}

fn after_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

/// Integers of 64 bits are read as such; for all others the double has to equal the text.
fn is_exact(number: &str) -> bool {
    number.parse::<i64>().is_ok()
        || number.parse::<u64>().is_ok()
        || number
            .parse::<f64>()
            .is_ok_and(|value| decimal(number) == decimal(&format!("{value:e}")))
}

/// Sign, digits without zeros at either end, and the power of ten of the last of them.
fn decimal(number: &str) -> Option<(bool, String, i64)> {
    let (is_negative, number) = match number.strip_prefix('-') {
        Some(number) => (true, number),
        None => (false, number),
    };
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (number, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some((is_negative, String::new(), 0));
    }
    let zeros = i64::try_from(digits.len() - significant.len()).ok()?;
    let places = i64::try_from(fraction.len()).ok()?;
    let power = exponent.checked_sub(places)?.checked_add(zeros)?;
    Some((is_negative, significant.to_owned(), power))
}

fn write_number(out: &mut Vec<u8>, number: &Number) {
    if let Some(whole) = whole(number) {
        out.push(b'i');
        out.extend_from_slice(&whole.to_le_bytes());
    } else {
        out.push(b'd');
        out.extend_from_slice(&number.as_f64().unwrap_or(f64::NAN).to_bits().to_le_bytes());
    }
}

fn whole(number: &Number) -> Option<i128> {
    if let Some(value) = number.as_i128() {
        return Some(value);
    }
    let value = number.as_f64()?;
    (value.fract() == 0.0).then_some(value as i128)
}
