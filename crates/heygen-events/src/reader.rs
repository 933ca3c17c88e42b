//! Deserializes a [`Node`], with errors that do not quote it.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer, SeqDeserializer};
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess,
    Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::Value;

use crate::node::{HAS_ARBITRARY_PRECISION, Node};

/// Deserializes a node into a type.
pub(crate) fn read<'n, T: Deserialize<'n>>(node: &'n Node<'_>) -> Result<T, Mismatch> {
    T::deserialize(Reader(node))
}

/// Why a node does not match a type. It names the path of fields and kinds of JSON, never a value,
/// because it goes to logs.
#[derive(Debug)]
pub(crate) struct Mismatch(String);

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Mismatch {}

impl de::Error for Mismatch {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = match found {
            Unexpected::Unit | Unexpected::Option => "null",
            Unexpected::Bool(_) => "a boolean",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
            Unexpected::Seq => "an array",
            Unexpected::Map => "an object",
            _ => "a string",
        };
        let expected = expected.to_string();
        let expected = match expected.as_str() {
            "a sequence" => "an array",
            "a map" => "an object",
            "a JSON number" => "a number",
            object if object.starts_with("struct ") => "an object",
            other => other,
        };
        Self(format!("found {found}, expected {expected}"))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self(format!("found another word than {}", expected.join(", ")))
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self(format!("found another field than {}", expected.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self(format!("{field}: missing"))
    }
}

#[derive(Clone, Copy)]
struct Reader<'n, 'a>(&'n Node<'a>);

impl<'de> Deserializer<'de> for Reader<'de, '_> {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.0 {
            Node::Null => visitor.visit_unit(),
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), ..) => visitor.visit_u64(number),
                (None, Some(number), _) => visitor.visit_i64(number),
                (None, None, Some(number)) if !*HAS_ARBITRARY_PRECISION => {
                    visitor.visit_f64(number)
                }
                _ => {
                    let mismatch = Mismatch::invalid_type(unexpected(self.0), &visitor);
                    number.deserialize_any(visitor).map_err(|_| mismatch)
                }
            },
            Node::Text(text) => visitor.visit_borrowed_str(text),
            Node::List(items) => visitor.visit_seq(SeqDeserializer::new(items.iter().map(Reader))),
            Node::Object(_) => self.deserialize_struct("", &[], visitor),
            Node::Raw(raw) => {
                let value: Value = serde_json::from_str(raw.get()).map_err(Mismatch::custom)?;
                let mismatch = Mismatch::invalid_type(unexpected(self.0), &visitor);
                value.deserialize_any(visitor).map_err(|_| mismatch)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.0 {
            Node::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_struct("", &[], visitor)
    }

    /// Only from an object: a derived struct would accept an array as its fields in order.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        match self.0 {
            Node::Object(fields) => visitor.visit_map(Fields {
                known,
                fields: fields.iter(),
                value: None,
            }),
            _ => Err(Mismatch::invalid_type(unexpected(self.0), &visitor)),
        }
    }

    /// Derived enums take neither a string nor a map.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        match self.0 {
            Node::Text(text) => visitor.visit_enum(BorrowedStrDeserializer::new(text)),
            Node::Object(fields) => visitor.visit_enum(MapAccessDeserializer::new(Fields {
                known: &[],
                fields: fields.iter(),
                value: None,
            })),
            _ => Err(Mismatch::invalid_type(unexpected(self.0), &visitor)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct identifier ignored_any
    }
}

impl<'n> IntoDeserializer<'n, Mismatch> for Reader<'n, '_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

struct Fields<'n, 'a> {
    /// The known names, which alone may appear in an error.
    known: &'static [&'static str],
    fields: std::slice::Iter<'n, (Cow<'a, str>, Node<'a>)>,
    value: Option<&'n (Cow<'a, str>, Node<'a>)>,
}

impl<'n> MapAccess<'n> for Fields<'n, '_> {
    type Error = Mismatch;

    fn next_key_seed<S: DeserializeSeed<'n>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Mismatch> {
        self.value = self.fields.next();
        let key = self.value.map(|(key, _)| BorrowedStrDeserializer::new(key));
        key.map(|key| seed.deserialize(key)).transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'n>>(&mut self, seed: S) -> Result<S::Value, Mismatch> {
        let Some((key, value)) = self.value else {
            return Err(Mismatch::custom("a value without a key"));
        };
        seed.deserialize(Reader(value)).map_err(|mismatch| {
            let field = self.known.iter().find(|known| *known == key);
            field.map_or_else(
                || Mismatch(mismatch.0.clone()),
                |field| Mismatch(format!("{field}: {mismatch}")),
            )
        })
    }
}

fn unexpected(node: &Node<'_>) -> Unexpected<'static> {
    match node {
        Node::Null => Unexpected::Unit,
        Node::Bool(value) => Unexpected::Bool(*value),
        Node::Number(_) => Unexpected::Float(0.0),
        Node::Text(_) => Unexpected::Str(""),
        Node::List(_) => Unexpected::Seq,
        Node::Object(_) => Unexpected::Map,
        Node::Raw(raw) => match raw.get().as_bytes().first() {
            Some(b'"') => Unexpected::Str(""),
            Some(b'[') => Unexpected::Seq,
            Some(b'{') => Unexpected::Map,
            _ => Unexpected::Float(0.0),
        },
    }
}
