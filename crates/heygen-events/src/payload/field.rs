//! What a field of a payload can be: [`FieldType`], and how one is read without any copy in between.
//!
//! Errors name kinds of JSON, never the value found, because they end up in logs.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Number, Value};

use crate::id::write_text;
use crate::lookup::value_text;

/// The type of a field. What is not overridden does not fit.
pub(crate) trait FieldType: Sized {
    /// What it wants to see, for errors.
    const WANTS: &'static str;

    fn from_text(_: &str) -> Option<Self> {
        None
    }

    fn from_number(_: &Number) -> Option<Self> {
        None
    }

    fn from_bool(_: bool) -> Option<Self> {
        None
    }

    fn from_seq<'de, A: SeqAccess<'de>>(_: A) -> Result<Option<Self>, A::Error> {
        Ok(None)
    }

    fn from_map<'de, A: MapAccess<'de>>(_: A) -> Result<Option<Self>, A::Error> {
        Ok(None)
    }

    /// Writes it as it came: `number` says that it came as one.
    fn write<S: Serializer>(&self, number: bool, serializer: S) -> Result<S::Ok, S::Error>;

    /// Its text, where it has one.
    fn text(&self) -> Option<Cow<'_, str>> {
        None
    }

    /// Adds the names that were not known inside it, seen from outside as `name[].inner`.
    fn unknown_fields(&self, _name: &str, _into: &mut Vec<String>) {}

    /// The link of the first completed clip inside it.
    fn clip_link(&self) -> Option<Cow<'_, str>> {
        None
    }

    #[cfg(feature = "schema")]
    fn schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema;
}

/// One JSON value on its way into a field.
pub(crate) struct Read<T> {
    /// `None` for `null`.
    pub(crate) value: Option<T>,
    pub(crate) number: bool,
}

/// Reads a value that may not be `null`.
pub(crate) fn required<'de, T: FieldType, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let read = Read::<T>::deserialize(deserializer)?;
    read.value.ok_or_else(|| misfit::<T, _>("null"))
}

pub(crate) fn misfit<T: FieldType, E: Error>(found: &str) -> E {
    E::custom(format_args!("found {found}, expected {}", T::WANTS))
}

/// Puts the name of the field before what went wrong in it.
pub(crate) fn in_field<E: Error>(field: &str, error: &impl fmt::Display) -> E {
    E::custom(format_args!("{field}: {error}"))
}

impl<'de, T: FieldType> Deserialize<'de> for Read<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReadVisitor(PhantomData))
    }
}

struct ReadVisitor<T>(PhantomData<T>);

impl<T: FieldType> ReadVisitor<T> {
    fn plain<E: Error>(value: Option<T>, found: &str) -> Result<Read<T>, E> {
        let value = Some(value.ok_or_else(|| misfit::<T, E>(found))?);
        Ok(Read {
            value,
            number: false,
        })
    }

    fn number<E: Error>(number: Option<Number>) -> Result<Read<T>, E> {
        let value = number.and_then(|number| T::from_number(&number));
        let value = Some(value.ok_or_else(|| misfit::<T, E>("a number"))?);
        Ok(Read {
            value,
            number: true,
        })
    }
}

impl<'de, T: FieldType> Visitor<'de> for ReadVisitor<T> {
    type Value = Read<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WANTS)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Read<T>, E> {
        Self::plain(T::from_text(text), "a string")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Read<T>, E> {
        Self::number(Some(number.into()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Read<T>, E> {
        Self::number(Some(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Read<T>, E> {
        Self::number(Number::from_f64(number))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Read<T>, E> {
        Self::plain(T::from_bool(value), "a boolean")
    }

    fn visit_unit<E: Error>(self) -> Result<Read<T>, E> {
        Ok(Read {
            value: None,
            number: false,
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Read<T>, A::Error> {
        Self::plain(T::from_seq(seq)?, "an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Read<T>, A::Error> {
        Self::plain(T::from_map(map)?, "an object")
    }
}

/// A field on its way out.
pub(crate) struct Write<'a, T> {
    pub(crate) value: &'a T,
    pub(crate) number: bool,
}

impl<T: FieldType> Serialize for Write<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.write(self.number, serializer)
    }
}

/// Which fields came as `null` or as a number, one bit each, so that they leave as they came.
///
/// It counts only while the field still holds what was read, and takes no part in equality.
#[derive(Clone, Copy, Default)]
pub(crate) struct AsRead {
    nulls: u32,
    numbers: u32,
}

impl AsRead {
    pub(crate) fn note<T>(&mut self, field: u32, read: &Read<T>) {
        let bit = 1 << field;
        self.nulls = if read.value.is_none() {
            self.nulls | bit
        } else {
            self.nulls & !bit
        };
        self.numbers = if read.number {
            self.numbers | bit
        } else {
            self.numbers & !bit
        };
    }

    /// The value of a field that must be there.
    pub(crate) fn present<T: FieldType, E: Error>(
        self,
        field: u32,
        name: &str,
        value: Option<T>,
    ) -> Result<T, E> {
        value.ok_or_else(|| match self.is_null(field) {
            true => in_field(name, &misfit::<T, E>("null")),
            false => in_field(name, &"missing"),
        })
    }

    pub(crate) fn is_null(self, field: u32) -> bool {
        self.nulls & (1 << field) != 0
    }

    pub(crate) fn is_number(self, field: u32) -> bool {
        self.numbers & (1 << field) != 0
    }
}

/// The key of a field, borrowed from the input where it can be.
pub(crate) struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }

    fn visit_string<E: Error>(self, key: String) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key))
    }
}

impl FieldType for String {
    const WANTS: &'static str = "a string";

    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }

    // Nothing is lost by taking the digits for the text, and an event that fits is worth more than a strict one.
    fn from_number(number: &Number) -> Option<Self> {
        Some(number.to_string())
    }

    fn write<S: Serializer>(&self, number: bool, serializer: S) -> Result<S::Ok, S::Error> {
        write_text(self, number, serializer)
    }

    fn text(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(self))
    }

    #[cfg(feature = "schema")]
    fn schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

impl FieldType for Number {
    const WANTS: &'static str = "a number";

    fn from_number(number: &Number) -> Option<Self> {
        Some(number.clone())
    }

    fn write<S: Serializer>(&self, _: bool, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize(serializer)
    }

    fn text(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Owned(self.to_string()))
    }

    #[cfg(feature = "schema")]
    fn schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "number" })
    }
}

/// A field whose type nobody has documented: whatever came.
impl FieldType for Value {
    const WANTS: &'static str = "any value";

    fn from_text(text: &str) -> Option<Self> {
        Some(Self::from(text))
    }

    fn from_number(number: &Number) -> Option<Self> {
        Some(Self::Number(number.clone()))
    }

    fn from_bool(value: bool) -> Option<Self> {
        Some(Self::Bool(value))
    }

    fn from_seq<'de, A: SeqAccess<'de>>(seq: A) -> Result<Option<Self>, A::Error> {
        Self::deserialize(SeqAccessDeserializer::new(seq)).map(Some)
    }

    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
        Self::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }

    fn write<S: Serializer>(&self, _: bool, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize(serializer)
    }

    fn text(&self) -> Option<Cow<'_, str>> {
        value_text(self)
    }

    #[cfg(feature = "schema")]
    fn schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({})
    }
}
