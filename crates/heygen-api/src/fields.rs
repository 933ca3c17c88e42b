//! Reads objects field by field.
//!
//! serde would do it in fewer lines, but its errors quote values, and the values here are secrets.

use std::fmt;

use serde_json::{Map, Value};

/// An object of which fields are taken one by one.
#[derive(Debug)]
pub(crate) struct Fields {
    map: Map<String, Value>,
    place: String,
}

/// What is wrong with an answer: names of fields, never their values.
#[derive(Debug)]
pub(crate) struct Mismatch(String);

impl Fields {
    /// `place` is how errors call the object.
    pub(crate) fn new(value: Value, place: &str) -> Result<Self, Mismatch> {
        match value {
            Value::Object(map) => Ok(Self {
                map,
                place: place.to_owned(),
            }),
            _ => Err(Mismatch::new(place, "is not an object")),
        }
    }

    /// A field that reads; one that does not stays for [`rest`](Self::rest).
    pub(crate) fn take<T>(&mut self, name: &str, read: fn(&Value) -> Option<T>) -> Option<T> {
        let read = self.map.get(name).and_then(read)?;
        self.map.remove(name);
        Some(read)
    }

    /// A string or an integer. `null` reads as missing, and so it is gone from the rest.
    pub(crate) fn take_text(&mut self, name: &str) -> Option<String> {
        match self.map.remove(name)? {
            Value::Null => None,
            Value::String(text) => Some(text),
            Value::Number(number) if !number.is_f64() => Some(number.to_string()),
            other => {
                self.map.insert(name.to_owned(), other);
                None
            }
        }
    }

    /// A string or an integer that has to be there.
    pub(crate) fn need_text(&mut self, name: &str) -> Result<String, Mismatch> {
        let present = self.map.contains_key(name);
        match self.take_text(name) {
            Some(text) if text.is_empty() => Err(self.mismatch(name, "is empty")),
            Some(text) => Ok(text),
            None if present => Err(self.mismatch(name, "is not a text")),
            None => Err(self.mismatch(name, "is missing")),
        }
    }

    /// What was not taken.
    pub(crate) fn rest(self) -> Map<String, Value> {
        self.map
    }

    fn mismatch(&self, name: &str, what: &str) -> Mismatch {
        Mismatch::new(&format!("{}.{name}", self.place), what)
    }
}

impl Mismatch {
    pub(crate) fn new(place: &str, what: &str) -> Self {
        Self(format!("{place} {what}"))
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
