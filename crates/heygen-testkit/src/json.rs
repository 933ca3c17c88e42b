//! [`Json`]: a value that keeps the order of its fields, and two ways to write it.
//!
//! `serde_json::Value` sorts fields unless a feature is on, which would change every other crate of
//! the build. A sender has to keep HeyGen's order.

use std::io;

use bytes::Bytes;
use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::{
    Value,
    ser::{CompactFormatter, Formatter},
};

/// A JSON value; an object keeps its fields in order.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Json {
    /// A string, number, bool or null; never an object or array.
    #[serde(deserialize_with = "scalar")]
    Scalar(Value),
    Array(Vec<Self>),
    Object(IndexMap<String, Self>),
}

impl Json {
    pub(crate) fn object() -> Self {
        Self::Object(IndexMap::new())
    }

    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => fields.get(name),
            Self::Array(_) | Self::Scalar(_) => None,
        }
    }

    /// The field with this name, created if missing. Any other value becomes an object.
    pub(crate) fn field_mut(&mut self, name: &str) -> &mut Self {
        if !matches!(self, Self::Object(_)) {
            *self = Self::object();
        }
        match self {
            Self::Object(fields) => {
                let field = fields.entry(name.to_owned());
                field.or_insert(Self::Scalar(Value::Null))
            }
            Self::Array(_) | Self::Scalar(_) => self,
        }
    }

    /// The value at a path of names and, in arrays, indexes. Missing parts are created.
    pub(crate) fn at_mut(&mut self, path: &str) -> &mut Self {
        path.split('.').fold(self, Self::step_mut)
    }

    fn step_mut(&mut self, step: &str) -> &mut Self {
        match self {
            Self::Array(items) if index(items, step).is_none() => self.field_mut(step),
            Self::Object(_) | Self::Scalar(_) => self.field_mut(step),
            Self::Array(items) => {
                let index = index(items, step).unwrap_or_default();
                &mut items[index]
            }
        }
    }

    /// Calls `edit` with each scalar and the name of the field that holds it, directly or in an
    /// array.
    pub(crate) fn edit_scalars(&mut self, edit: &mut dyn FnMut(&str, &mut Value)) {
        self.edit_scalars_of("", edit);
    }

    fn edit_scalars_of(&mut self, name: &str, edit: &mut dyn FnMut(&str, &mut Value)) {
        match self {
            Self::Object(fields) => {
                for (name, json) in fields {
                    json.edit_scalars_of(name, edit);
                }
            }
            Self::Array(items) => {
                for item in items {
                    item.edit_scalars_of(name, edit);
                }
            }
            Self::Scalar(value) => edit(name, value),
        }
    }

    /// Gives a field of an object another name, and leaves it in its place.
    #[cfg(feature = "sandbox")]
    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        if let Self::Object(fields) = self
            && let Some(index) = fields.get_index_of(from)
        {
            // It can only be taken: then the field keeps its name.
            let _replaced = fields.replace_index(index, to.to_owned());
        }
    }

    /// Removes the value at a path, if it exists.
    pub(crate) fn remove(&mut self, path: &str) {
        let (first, rest) = match path.split_once('.') {
            Some((first, rest)) => (first, Some(rest)),
            None => (path, None),
        };
        match (self, rest) {
            (Self::Object(fields), None) => drop(fields.shift_remove(first)),
            (Self::Object(fields), Some(rest)) => {
                if let Some(inner) = fields.get_mut(first) {
                    inner.remove(rest);
                }
            }
            (Self::Array(items), rest) => match (index(items, first), rest) {
                (Some(index), None) => drop(items.remove(index)),
                (Some(index), Some(rest)) => items[index].remove(rest),
                (None, _) => {}
            },
            (Self::Scalar(_), _) => {}
        }
    }

    /// JSON without white space.
    pub(crate) fn compact(&self) -> Bytes {
        write(self, CompactFormatter)
    }

    /// As Python's `json.dumps` writes by default: a space after `:` and `,`, only ASCII.
    pub(crate) fn spaced(&self) -> Bytes {
        spaced(self)
    }

    /// JSON in ASCII, as another language writes it.
    #[cfg(feature = "drill")]
    pub(crate) fn ascii(&self, style: Ascii) -> Bytes {
        write(self, style)
    }
}

/// As Python's `json.dumps` writes by default: a space after `:` and `,`, only ASCII.
pub(crate) fn spaced(value: &impl Serialize) -> Bytes {
    write(value, Ascii::PYTHON)
}

#[expect(
    clippy::expect_used,
    reason = "writing to memory cannot fail, and every key is a string"
)]
fn write(value: &impl Serialize, formatter: impl Formatter) -> Bytes {
    let mut written = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut written, formatter);
    value
        .serialize(&mut serializer)
        .expect("a value can be written");
    written.into()
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        match value {
            Value::Object(fields) => {
                let fields = fields.into_iter().map(|(key, value)| (key, value.into()));
                Self::Object(fields.collect())
            }
            Value::Array(items) => Self::Array(items.into_iter().map(Self::from).collect()),
            scalar => Self::Scalar(scalar),
        }
    }
}

/// Through `Value`, which knows every form in which `serde_json` passes a number on.
fn scalar<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Object(_) | Value::Array(_) => Err(D::Error::custom("not a scalar")),
        scalar => Ok(scalar),
    }
}

/// The index in an array that a step of a path names, if the array has it.
fn index(items: &[Json], step: &str) -> Option<usize> {
    step.parse().ok().filter(|index| *index < items.len())
}

/// Writes only ASCII, as Python and PHP do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ascii {
    /// A space after `:` and `,`.
    spaced: bool,
    /// `/` as `\/`.
    escapes_slashes: bool,
}

impl Ascii {
    /// `json.dumps`.
    pub(crate) const PYTHON: Self = Self {
        spaced: true,
        escapes_slashes: false,
    };

    /// `json.dumps` with `separators=(",", ":")`.
    #[cfg(feature = "drill")]
    pub(crate) const COMPACT_PYTHON: Self = Self {
        spaced: false,
        ..Self::PYTHON
    };

    /// `json_encode`.
    #[cfg(feature = "drill")]
    pub(crate) const PHP: Self = Self {
        spaced: false,
        escapes_slashes: true,
    };

    fn separate<W: ?Sized + io::Write>(self, writer: &mut W, first: bool) -> io::Result<()> {
        match (first, self.spaced) {
            (true, _) => Ok(()),
            (false, true) => writer.write_all(b", "),
            (false, false) => writer.write_all(b","),
        }
    }
}

impl Formatter for Ascii {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.separate(writer, first)
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.separate(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        let separator: &[u8] = if self.spaced { b": " } else { b":" };
        writer.write_all(separator)
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for char in fragment.chars() {
            if char == '/' && self.escapes_slashes {
                writer.write_all(b"\\/")?;
                continue;
            }
            if char.is_ascii() {
                write!(writer, "{char}")?;
                continue;
            }
            for unit in char.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Json {
        serde_json::from_str(text).unwrap()
    }

    #[track_caller]
    fn check(text: &str, compact: &str, spaced: &str) {
        assert_eq!(read(text).compact(), compact);
        assert_eq!(read(text).spaced(), spaced);
    }

    #[test]
    fn order_and_values_survive() {
        check(
            r#"{ "b": [1, -2, 90071992547409931, 1.5, true, null, [], {}], "a": "é\n😀" }"#,
            "{\"b\":[1,-2,90071992547409931,1.5,true,null,[],{}],\"a\":\"é\\n😀\"}",
            "{\"b\": [1, -2, 90071992547409931, 1.5, true, null, [], {}], \"a\": \"\\u00e9\\n\\ud83d\\ude00\"}",
        );
    }

    #[track_caller]
    fn check_set(text: &str, path: &str, expected: &str) {
        let mut json = read(text);
        *json.at_mut(path) = Json::Scalar(7.into());
        assert_eq!(json.compact(), expected);
    }

    #[test]
    fn a_path_is_followed_or_made() {
        check_set(r#"{"a":1,"b":2}"#, "a", r#"{"a":7,"b":2}"#);
        check_set(r#"{"a":1}"#, "b", r#"{"a":1,"b":7}"#);
        check_set(r#"{"a":1}"#, "a.b.c", r#"{"a":{"b":{"c":7}}}"#);
        check_set(r#"{"a":[1,{"b":2}]}"#, "a.1.b", r#"{"a":[1,{"b":7}]}"#);
        check_set(r#"{"a":[1]}"#, "a.0", r#"{"a":[7]}"#);
        check_set(r#"{"a":[1]}"#, "a.1", r#"{"a":{"1":7}}"#);
        check_set(r#"{"0":1}"#, "0", r#"{"0":7}"#);
    }

    #[track_caller]
    fn check_remove(text: &str, path: &str, expected: &str) {
        let mut json = read(text);
        json.remove(path);
        assert_eq!(json.compact(), expected);
    }

    #[test]
    fn only_what_is_there_is_removed() {
        check_remove(r#"{"a":1,"b":2}"#, "a", r#"{"b":2}"#);
        check_remove(r#"{"a":1}"#, "b", r#"{"a":1}"#);
        check_remove(r#"{"a":{"b":1,"c":2}}"#, "a.b", r#"{"a":{"c":2}}"#);
        check_remove(r#"{"a":[1,{"b":2}]}"#, "a.1.b", r#"{"a":[1,{}]}"#);
        check_remove(r#"{"a":[1,2]}"#, "a.0", r#"{"a":[2]}"#);
        check_remove(r#"{"a":[1]}"#, "a.3", r#"{"a":[1]}"#);
        check_remove(r#"{"a":1}"#, "a.b", r#"{"a":1}"#);
    }
}
