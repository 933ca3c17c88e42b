//! [`Lookup`]: a wire field by its name, whatever holds it.
//!
//! Typed payloads, open maps, unknown events and data that does not fit answer alike, so that each one-shape question is
//! written once.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

pub(crate) trait Lookup {
    /// The text of a field: a string, or the digits of a number. `None` for anything else.
    fn field(&self, name: &str) -> Option<Cow<'_, str>>;

    /// The text of a field inside an object that is a field.
    fn inner_field(&self, name: &str, inner: &str) -> Option<Cow<'_, str>>;

    /// The first of `names` that says something, with its place in the list. `""` says nothing.
    fn first(&self, names: &[&str]) -> Option<(usize, Cow<'_, str>)> {
        names.iter().enumerate().find_map(|(place, name)| {
            let text = self.field(name)?;
            (!text.is_empty()).then_some((place, text))
        })
    }

    /// The link of the first completed clip that has one; only a clipping job has clips.
    fn clip_link(&self) -> Option<Cow<'_, str>> {
        None
    }

    /// The names of fields that the type does not know; `None` when the type names no fields at all.
    fn unknown_fields(&self) -> Option<Vec<String>> {
        None
    }
}

impl Lookup for Map<String, Value> {
    fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).and_then(value_text)
    }

    fn inner_field(&self, name: &str, inner: &str) -> Option<Cow<'_, str>> {
        self.get(name)?.get(inner).and_then(value_text)
    }
}

impl Lookup for Option<Value> {
    fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        self.as_ref()?.get(name).and_then(value_text)
    }

    fn inner_field(&self, name: &str, inner: &str) -> Option<Cow<'_, str>> {
        self.as_ref()?.get(name)?.get(inner).and_then(value_text)
    }
}

/// Raw text is scanned once per question, and only one field of it is decoded: it may hold what no `Value` can.
impl Lookup for Option<Box<RawValue>> {
    fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        self.first(&[name]).map(|(_, text)| text)
    }

    fn inner_field(&self, name: &str, inner: &str) -> Option<Cow<'_, str>> {
        let [outer] = find(self.as_deref()?, [name]);
        let [found] = find(outer?, [inner]);
        raw_text(found?)
    }

    fn first(&self, names: &[&str]) -> Option<(usize, Cow<'_, str>)> {
        let mut found = vec![None; names.len()];
        scan(self.as_deref()?, |key, value| {
            if let Some(place) = names.iter().position(|name| *name == key) {
                found[place] = Some(value);
            }
        });
        found.into_iter().enumerate().find_map(|(place, value)| {
            let text = raw_text(value?)?;
            (!text.is_empty()).then_some((place, text))
        })
    }

    fn clip_link(&self) -> Option<Cow<'_, str>> {
        let [clips] = find(self.as_deref()?, ["clips"]);
        let clips: Vec<&RawValue> = serde_json::from_str(clips?.get()).ok()?;
        clips.into_iter().find_map(|clip| {
            let [status, link] = find(clip, ["status", "video_url"]);
            let status = status.and_then(raw_text).unwrap_or_default();
            let link = link.and_then(raw_text)?;
            (is_completed(&status) && !link.is_empty()).then_some(link)
        })
    }
}

/// Whether the status of a clip lets its link be used. A clip without a status is judged by its link alone.
pub(crate) fn is_completed(status: &str) -> bool {
    matches!(status, "completed" | "")
}

pub(crate) fn value_text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The text of a string without escapes is borrowed; a string that is not Unicode text (a lone surrogate) has none.
pub(crate) fn raw_text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let json = raw.get();
    if json.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return Some(Cow::Borrowed(json));
    }
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str(json).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

fn find<'a, const N: usize>(object: &'a RawValue, names: [&str; N]) -> [Option<&'a RawValue>; N] {
    let mut found = [None; N];
    scan(object, |key, value| {
        if let Some(place) = names.iter().position(|name| *name == key) {
            found[place] = Some(value);
        }
    });
    found
}

/// Calls `each` for every field of an object, in order, so that the last of a repeated key wins.
fn scan<'a>(object: &'a RawValue, each: impl FnMut(&str, &'a RawValue)) {
    // What is not an object has no fields, which is the answer wanted here.
    let _not_an_object =
        serde_json::Deserializer::from_str(object.get()).deserialize_map(Scan(each));
}

struct Scan<F>(F);

impl<'de, F: FnMut(&str, &'de RawValue)> Visitor<'de> for Scan<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<&RawValue>()? {
            match raw_text(key) {
                Some(key) => (self.0)(&key, map.next_value()?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::AvatarVideoFail;

    /// The same question to every kind of holder of the same data.
    #[track_caller]
    fn check(names: &[&str], expected: Option<(usize, &str)>) {
        let json = r#"{"video_id":"v\"1","msg":"","callback_id":7,"n":null,"deep":{"a":"b"},"list":[1],"yes":true}"#;
        let typed: AvatarVideoFail = serde_json::from_str(json).unwrap();
        let value: Value = serde_json::from_str(json).unwrap();
        let map = value.as_object().unwrap().clone();
        let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
        let holders: [&dyn Lookup; 4] = [&typed, &map, &Some(value), &Some(raw)];
        for (place, holder) in holders.into_iter().enumerate() {
            let found = holder.first(names);
            let found = found.as_ref().map(|(place, text)| (*place, &**text));
            assert_eq!(found, expected, "{names:?} of holder {place}");
            let inner = holder.inner_field("deep", "a");
            assert_eq!(inner.as_deref(), Some("b"), "holder {place}");
        }
    }

    #[test]
    fn every_holder_answers_alike() {
        check(&["video_id"], Some((0, "v\"1")));
        check(&["msg", "callback_id"], Some((1, "7")));
        check(&["callback_id", "video_id"], Some((0, "7")));
        check(&["msg"], None);
        check(&["n", "deep", "list", "yes", "absent"], None);
        check(&[], None);
    }

    #[test]
    fn data_that_is_no_object_has_no_fields() {
        for json in ["[]", "null", "7", r#""video_id""#, r#"[{"video_id":"v"}]"#] {
            let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
            assert_eq!(Some(raw).field("video_id"), None, "{json}");
            let value: Value = serde_json::from_str(json).unwrap();
            assert_eq!(Some(value).field("video_id"), None, "{json}");
        }
    }
}
