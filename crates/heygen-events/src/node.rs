//! [`Node`]: JSON that borrows its text.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::sync::LazyLock;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Number, Value};

/// One JSON value of a [`Document`](crate::Document).
///
/// Strings without escapes are borrowed from the text. Objects are sorted by key, and the last
/// value of a repeated key counts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Node<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number that 64 bits hold: an integer, or a double up to 2 to the 53rd.
    Number(Number),
    /// A string.
    Text(Cow<'a, str>),
    /// An array.
    List(Vec<Self>),
    /// An object, sorted by key.
    Object(Vec<(Cow<'a, str>, Self)>),
    /// The text of any other value: a larger number, a string with a lone surrogate, an array or
    /// object that is nested too deep.
    Raw(&'a RawValue),
}

impl<'a> Node<'a> {
    /// The value of a key of an object.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let fields = self.fields();
        let index = fields.binary_search_by(|(known, _)| (**known).cmp(key));
        index.ok().map(|index| &fields[index].1)
    }

    /// The fields of an object, sorted; none for any other value.
    #[must_use]
    pub fn fields(&self) -> &[(Cow<'a, str>, Self)] {
        match self {
            Self::Object(fields) => fields,
            _ => &[],
        }
    }

    /// The text of a string, or the digits of a number.
    #[must_use]
    pub fn text(&self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Number(number) => Some(Cow::Owned(number.to_string())),
            Self::Raw(raw) if is_number(raw) => Some(Cow::Borrowed(raw.get())),
            _ => None,
        }
    }

    /// Converts to a [`Value`]; a value that none can hold becomes its text.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Raw(raw) => {
                serde_json::from_str(raw.get()).unwrap_or_else(|_| one_line(raw.get()).into())
            }
            Self::List(items) => items.iter().map(Self::to_value).collect(),
            Self::Object(fields) => {
                let fields = fields.iter();
                fields
                    .map(|(key, node)| (key.clone(), node.to_value()))
                    .collect()
            }
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => Value::from(&**text),
        }
    }

    /// Parses a text in one pass. A number that would lose digits becomes [`Raw`](Self::Raw); fails
    /// if something else needs that, such as a number too large for a double, or any such number
    /// with `serde_json/arbitrary_precision`.
    pub(crate) fn read(text: &'a str, notes: &Notes) -> Result<Self, serde_json::Error> {
        let numbers = &Numbers::of(text);
        let mut reader = serde_json::Deserializer::from_str(text);
        let node = Read { notes, numbers }.deserialize(&mut reader)?;
        reader.end().map(|()| node)
    }

    /// Parses JSON for which [`read`](Self::read) fails: each value within this many levels
    /// separately, so that only the offending values become [`Raw`](Self::Raw).
    pub(crate) fn read_separately(raw: &'a RawValue, levels: u8, notes: &Notes) -> Self {
        let Some(levels) = levels.checked_sub(1) else {
            return Self::Raw(raw);
        };
        let inner = |raw: &'a RawValue| {
            let read = Self::read(raw.get(), notes);
            read.unwrap_or_else(|_| Self::read_separately(raw, levels, notes))
        };
        if let Some(members) = members(raw.get()) {
            let fields = members.into_iter().map(|(key, raw)| (key, inner(raw)));
            return Self::object(fields.collect(), notes);
        }
        let items = serde_json::from_str::<Vec<&RawValue>>(raw.get());
        items.map_or(Self::Raw(raw), |items| {
            Self::List(items.into_iter().map(inner).collect())
        })
    }

    fn object(mut fields: Vec<(Cow<'a, str>, Self)>, notes: &Notes) -> Self {
        let len = fields.len();
        // The sort is stable, so the last of equal keys counts, which `dedup_by` would drop; hence
        // the swap.
        fields.sort_by(|(left, _), (right, _)| left.cmp(right));
        fields.dedup_by(|later, earlier| {
            let equal = later.0 == earlier.0;
            if equal {
                std::mem::swap(later, earlier);
            }
            equal
        });
        if fields.len() < len {
            notes.has_repeated_keys.set(true);
        }
        Self::Object(fields)
    }
}

/// What was found while parsing.
#[derive(Default)]
pub(crate) struct Notes {
    /// Whether an object has a key twice.
    pub(crate) has_repeated_keys: Cell<bool>,
    /// Whether a number would have lost digits, and is its text.
    pub(crate) has_raw_numbers: Cell<bool>,
}

/// JSON on one line: line breaks occur only between values, where a space is equivalent.
pub(crate) fn one_line(json: &str) -> String {
    json.replace(['\n', '\r'], " ")
}

/// The members of an object in their order; only the keys are parsed. A key that is not valid
/// Unicode is given as spelled. `None` for any other value.
pub(crate) fn members(json: &str) -> Option<Vec<(Cow<'_, str>, &RawValue)>> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let members = reader.deserialize_map(Members).ok()?;
    reader.end().ok().map(|()| members)
}

fn is_number(raw: &RawValue) -> bool {
    raw.get()
        .starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

/// The numbers of a text, by which the text of one is found again: `serde_json` passes its double.
struct Numbers<'a> {
    text: &'a str,
    /// How many the parser has passed.
    passed: Cell<usize>,
    /// How many were found, and where the last of them ends.
    found: Cell<(usize, usize)>,
}

impl<'a> Numbers<'a> {
    fn of(text: &'a str) -> Self {
        let (passed, found) = (Cell::default(), Cell::default());
        Self {
            text,
            passed,
            found,
        }
    }

    fn pass(&self) {
        self.passed.set(self.passed.get() + 1);
    }

    /// The text of the number that the parser passed last.
    fn last(&self) -> Option<&'a RawValue> {
        let (mut count, mut end) = self.found.get();
        let mut number = "";
        while count < self.passed.get() {
            (number, end) = number_after(self.text, end)?;
            count += 1;
        }
        self.found.set((count, end));
        serde_json::from_str(number).ok()
    }
}

/// The next number of a JSON text, and where it ends.
fn number_after(text: &str, mut at: usize) -> Option<(&str, usize)> {
    let bytes = text.as_bytes();
    let mut is_in_string = false;
    loop {
        match bytes.get(at)? {
            b'"' => is_in_string = !is_in_string,
            b'\\' => at += 1,
            b'-' | b'0'..=b'9' if !is_in_string => break,
            _ => {}
        }
        at += 1;
    }
    let is_part = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    let len = bytes[at..]
        .iter()
        .take_while(|byte| is_part(**byte))
        .count();
    Some((&text[at..at + len], at + len))
}

#[derive(Clone, Copy)]
struct Read<'s, 'a> {
    notes: &'s Notes,
    numbers: &'s Numbers<'a>,
}

fn double<'de, E: de::Error>(number: Option<Number>) -> Result<Node<'de>, E> {
    let is_exact = |number: &Number| number.as_f64().is_some_and(|value| value.abs() <= EXACT);
    let number = number.filter(|number| number.is_i64() || number.is_u64() || is_exact(number));
    number
        .map(Node::Number)
        .ok_or_else(|| E::custom("a number that loses digits"))
}

impl<'de> DeserializeSeed<'de> for Read<'_, 'de> {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Read<'_, 'de> {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node<'de>, E> {
        self.numbers.pass();
        Ok(Node::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node<'de>, E> {
        self.numbers.pass();
        Ok(Node::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Node<'de>, E> {
        self.numbers.pass();
        double(Number::from_f64(value)).or_else(|error| {
            let raw = self.numbers.last().ok_or(error)?;
            self.notes.has_raw_numbers.set(true);
            Ok(Node::Raw(raw))
        })
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node<'de>, A::Error> {
        let mut fields = Vec::with_capacity(8);
        while let Some(Key(key)) = members.next_key()? {
            if key == NUMBER && *HAS_ARBITRARY_PRECISION {
                return double(members.next_value::<String>()?.parse().ok());
            }
            fields.push((key, members.next_value_seed(self)?));
        }
        Ok(Node::object(fields, self.notes))
    }
}

/// Whether some crate of the build enables `serde_json/arbitrary_precision`. Numbers are then
/// passed as objects with one key, which is otherwise an ordinary key.
pub(crate) static HAS_ARBITRARY_PRECISION: LazyLock<bool> = LazyLock::new(|| {
    let number = "1e2".parse::<Number>();
    // Otherwise it is a double: `100.0`. Versions of `serde_json` write the exponent differently.
    number.is_ok_and(|number| number.to_string().contains('e'))
});

/// A key, borrowed from the text if possible.
#[derive(Deserialize)]
#[serde(transparent)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(key) = map.next_key::<&RawValue>()? {
            let decoded = serde_json::from_str(key.get());
            let key = decoded.map_or(Cow::Borrowed(key.get()), |Key(key)| key);
            members.push((key, map.next_value()?));
        }
        Ok(members)
    }
}

/// The key by which `serde_json` passes a number as text.
const NUMBER: &str = "$serde_json::private::Number";

/// The limit up to which an `f64` holds every integer: 2 to the 53rd.
const EXACT: f64 = 9_007_199_254_740_992.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// Also if some crate of the build enables `serde_json/arbitrary_precision`.
    #[test]
    fn number_is_a_number() {
        for text in ["1", "-2", "-2.5", "1e2", "12.46666666666666666666"] {
            let node = Node::read(text, &Notes::default()).unwrap();
            assert!(matches!(node, Node::Number(_)), "{text}: {node:?}");
        }
    }
}
