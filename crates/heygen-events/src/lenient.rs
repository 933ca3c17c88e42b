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

/// An id. A fraction, or more digits than 64 bits hold, would not be the digits that were sent.
pub(crate) fn id<'de, D: Deserializer<'de>>(reader: D) -> Result<Box<str>, D::Error> {
    reader.deserialize_any(Scalar(ID))
}

const ID: &str = "a string or an integer of 64 bits";

/// Reads a scalar; it holds what is wanted, for errors.
struct Scalar(&'static str);

impl Scalar {
    fn number<E: Error>(self, number: &Number) -> Result<Box<str>, E> {
        match number.is_i64() || number.is_u64() || self.0 != ID {
            true => Ok(number.to_string().into()),
            false => Err(E::invalid_type(Unexpected::Float(0.0), &self)),
        }
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
