//! One spelling for every way to write the same JSON.
//!
//! It is an encoding for hashing and not JSON text: every value starts with a letter for its type, every length is written.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// JSON that borrows its strings from the body wherever they have no escapes.
pub(super) enum Node<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    List(Vec<Self>),
    Object(Vec<(Cow<'a, str>, Self)>),
}

/// Falls back to the text itself for what cannot be read without loss: lone surrogates, numbers of more digits than `f64`
/// holds, deep nesting. Spelled in two ways such an event is taken for two; that is better than two taken for one.
pub(super) fn write_json(out: &mut Vec<u8>, json: &str) {
    let mut reader = serde_json::Deserializer::from_str(json);
    match Node::deserialize(&mut reader) {
        Ok(node) => node.write(out),
        Err(_) => {
            out.push(b'r');
            write_bytes(out, json.trim().as_bytes());
        }
    }
}

pub(super) fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn write_len(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(&(len as u64).to_le_bytes());
}

impl Node<'_> {
    pub(super) fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.push(b'z'),
            Self::Bool(value) => out.push(if value { b't' } else { b'f' }),
            Self::Number(number) => write_number(out, &number),
            Self::Text(text) => {
                out.push(b's');
                write_bytes(out, text.as_bytes());
            }
            Self::List(items) => {
                out.push(b'l');
                write_len(out, items.len());
                items.into_iter().for_each(|item| item.write(out));
            }
            Self::Object(mut fields) => {
                // Of a key that comes twice the last counts, as in every common reader: the sort is stable, so it is
                // the last of its equals, which `dedup_by` would drop; hence the swap.
                fields.sort_by(|(left, _), (right, _)| left.cmp(right));
                fields.dedup_by(|later, earlier| {
                    let equal = later.0 == earlier.0;
                    if equal {
                        std::mem::swap(later, earlier);
                    }
                    equal
                });
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
