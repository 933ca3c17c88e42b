//! Reads objects field by field.
//!
//! serde would do it in fewer lines, but its errors quote values, and the values here are secrets.

use std::fmt;

use heygen_signature::Secret;
use serde_json::{Map, Value};

/// A JSON object whose fields are taken one by one.
#[derive(Debug)]
pub(crate) struct Fields {
    map: Map<String, Value>,
    path: String,
}

/// What is wrong with an answer. It names fields, never their values.
#[derive(Debug)]
pub(crate) struct Mismatch(String);

impl Fields {
    /// `path` names the object in errors.
    pub(crate) fn new(value: Value, path: &str) -> Result<Self, Mismatch> {
        match value {
            Value::Object(map) => Ok(Self {
                map,
                path: path.to_owned(),
            }),
            _ => Err(Mismatch::new(path, "is not an object")),
        }
    }

    /// A field that `read` accepts. Any other stays for [`rest`](Self::rest).
    pub(crate) fn take<T>(&mut self, name: &str, read: fn(&Value) -> Option<T>) -> Option<T> {
        let read = self.map.get(name).and_then(read)?;
        self.map.remove(name);
        Some(read)
    }

    /// A string or an integer. `null` counts as missing and is removed too.
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
            None if present => Err(self.mismatch(name, "is not a string")),
            None => Err(self.mismatch(name, "is missing")),
        }
    }

    /// A secret. One that cannot sign, for example an empty one, stays for [`rest`](Self::rest).
    pub(crate) fn take_secret(&mut self, name: &str) -> Option<Secret> {
        self.take(name, |value| Secret::new(value.as_str()?).ok())
    }

    /// A secret that has to be there.
    pub(crate) fn need_secret(&mut self, name: &str) -> Result<Secret, Mismatch> {
        let text = self.need_text(name)?;
        Secret::new(text).map_err(|_| self.mismatch(name, "is empty"))
    }

    /// The fields that were not taken.
    pub(crate) fn rest(self) -> Map<String, Value> {
        self.map
    }

    fn mismatch(&self, name: &str, what: &str) -> Mismatch {
        Mismatch::new(&format!("{}.{name}", self.path), what)
    }
}

impl Mismatch {
    pub(crate) fn new(path: &str, what: &str) -> Self {
        Self(format!("{path} {what}"))
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
