//! One spelling for every way to write the same JSON.
//!
//! It is an encoding for hashing and not JSON text: every value starts with a letter for its type, every length is written.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_json::value::RawValue;

/// JSON that borrows its strings from the body wherever they have no escapes.
pub(super) enum Node<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    List(Vec<Self>),
    /// By key, once normalized.
    Object(Vec<(Cow<'a, str>, Self)>),
}

/// Reads JSON of which equal spelling means equal content to every reader. `None` for anything else, which has to be compared
/// byte for byte: text that is not JSON, nesting too deep for the parser, lone surrogates, repeated keys, and numbers
/// that a double does not hold as they are written. Such an event spelled in two ways counts as two; that is better than two that
/// count as one.
pub(super) fn read(json: &str) -> Option<Node<'_>> {
    let mut node = parse(json)?;
    let has_repeated_keys = node.normalize();
    (!has_repeated_keys && numbers_are_exact(json)).then_some(node)
}

/// The canonical form of `json`, or the text itself where it has none.
pub(super) fn write_json(out: &mut Vec<u8>, json: &str) {
    match read(json) {
        Some(node) => node.write(out),
        None => write_text(out, json),
    }
}

/// As version 2 of the file and the streams wrote it: of a repeated key the last counted, and a number was its double.
pub(super) fn write_json_v2(out: &mut Vec<u8>, json: &str) {
    match parse(json) {
        Some(mut node) => {
            node.normalize();
            node.write(out);
        }
        None => write_text(out, json),
    }
}

/// The members of an object, in their order, of which nothing but the keys is read. `None` for what is no object, or where a key
/// is no Unicode text.
pub(super) fn members(json: &str) -> Option<Vec<(Cow<'_, str>, &RawValue)>> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let members = reader.deserialize_map(Members).ok()?;
    reader.end().ok().map(|()| members)
}

fn parse(json: &str) -> Option<Node<'_>> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let node = Node::deserialize(&mut reader).ok()?;
    reader.end().ok().map(|()| node)
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

impl<'a> Node<'a> {
    /// The value of a key, once normalized.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let fields = self.fields();
        let place = fields
            .binary_search_by(|(known, _)| (**known).cmp(key))
            .ok()?;
        Some(&fields[place].1)
    }

    /// The members of an object; none for anything else.
    pub(super) fn fields(&self) -> &[(Cow<'a, str>, Self)] {
        match self {
            Self::Object(fields) => fields,
            _ => &[],
        }
    }

    /// Sorts what is in objects, and says whether a key was there twice. Of those the last stays, as in most readers.
    fn normalize(&mut self) -> bool {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => false,
            Self::List(items) => items
                .iter_mut()
                .fold(false, |has_repeated, item| item.normalize() | has_repeated),
            Self::Object(fields) => {
                let len = fields.len();
                // The sort is stable, so the one that counts is the last of its equals, which `dedup_by` would drop; hence
                // the swap.
                fields.sort_by(|(left, _), (right, _)| left.cmp(right));
                fields.dedup_by(|later, earlier| {
                    let equal = later.0 == earlier.0;
                    if equal {
                        std::mem::swap(later, earlier);
                    }
                    equal
                });
                let has_repeated = fields.len() < len;
                fields
                    .iter_mut()
                    .fold(has_repeated, |has_repeated, (_, value)| {
                        value.normalize() | has_repeated
                    })
            }
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.push(b'z'),
            Self::Bool(value) => out.push(if *value { b't' } else { b'f' }),
            Self::Number(number) => write_number(out, number),
            Self::Text(text) => {
                out.push(b's');
                write_bytes(out, text.as_bytes());
            }
            Self::List(items) => {
                out.push(b'l');
                write_len(out, items.len());
                items.iter().for_each(|item| item.write(out));
            }
            Self::Object(fields) => {
                out.push(b'o');
                write_len(out, fields.len());
                for (key, value) in fields {
                    write_bytes(out, key.as_bytes());
                    value.write(out);
                }
            }
        }
    }
}

/// Whether every number of a JSON text is held as it is written.
fn numbers_are_exact(json: &str) -> bool {
    let bytes = json.as_bytes();
    let mut place = 0;
    while let Some(byte) = bytes.get(place) {
        match byte {
            b'"' => place = after_string(bytes, place),
            b'-' | b'0'..=b'9' => {
                let is_part =
                    |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                let len = bytes[place..]
                    .iter()
                    .take_while(|byte| is_part(byte))
                    .count();
                if !is_exact(&json[place..place + len]) {
                    return false;
                }
                place += len;
            }
            _ => place += 1,
        }
    }
    true
}

fn after_string(bytes: &[u8], start: usize) -> usize {
    let mut place = start + 1;
    while let Some(byte) = bytes.get(place) {
        match byte {
            b'"' => return place + 1,
            b'\\' => place += 2,
            _ => place += 1,
        }
    }
    place
}

/// Whole numbers of 64 bits are read as such; for all others the double has to say what was written.
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

impl<'de> Deserialize<'de> for Node<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Number::from_f64(value)
            .filter(|_| value.abs() <= EXACT)
            .map(Node::Number)
            .ok_or_else(|| E::custom("a number that loses digits"))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Node::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Node::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut object = Vec::with_capacity(8);
        while let Some(key) = fields.next_key_seed(KeySeed)? {
            object.push((key, fields.next_value()?));
        }
        Ok(Node::Object(object))
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(key) = fields.next_key_seed(KeySeed)? {
            members.push((key, fields.next_value()?));
        }
        Ok(members)
    }
}

/// `Cow<str>` as serde reads it is always owned; this one borrows where it can.
struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeySeed {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_owned()))
    }
}

/// Up to here every whole number has an `f64` of its own: 2 to the 53rd.
const EXACT: f64 = 9_007_199_254_740_992.0;
