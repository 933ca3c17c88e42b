//! What a text or an id takes beside a string: a number, as its digits.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Unexpected, Visitor};
use serde_json::Number;

/// A text. Nothing is lost by taking digits for one, and an event that fits is worth more than a
/// strict one.
pub(crate) fn text<'de, D: Deserializer<'de>>(reader: D) -> Result<Box<str>, D::Error> {
    reader.deserialize_any(Scalar("a string"))
}

/// An id. A fraction, or more digits than 64 bits hold, would not be the digits that were sent. A
/// whole number is an integer however it is written: `1.0` is one to JSON Schema too.
pub(crate) fn id<'de, D: Deserializer<'de>>(reader: D) -> Result<Box<str>, D::Error> {
    reader.deserialize_any(Scalar(ID))
}

const ID: &str = "a string or an integer of 64 bits";

const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

/// Reads a scalar; it holds what is wanted, for errors.
struct Scalar(&'static str);

impl Scalar {
    fn number<E: Error>(self, number: &Number) -> Result<Box<str>, E> {
        let is_whole =
            |double: f64| double.fract() == 0.0 && (-TWO_TO_63..2.0 * TWO_TO_63).contains(&double);
        let is_integer =
            number.is_i64() || number.is_u64() || number.as_f64().is_some_and(is_whole);
        if self.0 == ID && !is_integer {
            return Err(E::invalid_type(Unexpected::Float(0.0), &self));
        }
        Ok(number.to_string().into())
    }
}

impl<'de> Visitor<'de> for Scalar {
    type Value = Box<str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E>(self, text: &str) -> Result<Box<str>, E> {
        Ok(text.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Box<str>, E> {
        self.number(&number.into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Box<str>, E> {
        self.number(&number.into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Box<str>, E> {
        match Number::from_f64(number) {
            Some(number) => self.number(&number),
            None => Err(E::invalid_type(Unexpected::Float(number), &self)),
        }
    }

    /// With `serde_json/arbitrary_precision` a number comes as an object that `Number` knows.
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Box<str>, A::Error> {
        match Number::deserialize(MapAccessDeserializer::new(map)) {
            Ok(number) => self.number(&number),
            Err(_) => Err(A::Error::invalid_type(Unexpected::Map, &self)),
        }
    }
}
