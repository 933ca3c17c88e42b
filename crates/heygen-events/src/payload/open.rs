//! [`Open`]: data that nobody has documented.

use std::borrow::Cow;

use serde::de::MapAccess;
use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::field::{FieldType, required};
use crate::lookup::Lookup;

/// The data of an event whose name is documented and whose data is not: a map of fields, as received.
///
/// No field is promised. HeyGen says only that other events follow a structure similar to the documented ones, which is
/// why the questions on [`Event`](crate::Event) try the usual names here too. The resources of some of these jobs are
/// documented (instant and photo avatars, proofreads, batches); whether the events carry them is not.
///
/// # Wire shape
///
/// An object. Anything else does not fit.
///
/// # Source
///
/// HeyGen documentation, “Webhook Events”: the names are documented, the data is not.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Open {
    /// The fields as received.
    pub fields: Map<String, Value>,
}

impl Open {
    /// Data without any field.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl From<Map<String, Value>> for Open {
    fn from(fields: Map<String, Value>) -> Self {
        Self { fields }
    }
}

impl Serialize for Open {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.fields.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Open {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        required(deserializer)
    }
}

impl FieldType for Open {
    const WANTS: &'static str = "an object";

    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Option<Self>, A::Error> {
        Map::deserialize(MapAccessDeserializer::new(map)).map(|fields| Some(Self { fields }))
    }

    fn write<S: Serializer>(&self, _: bool, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize(serializer)
    }

    #[cfg(feature = "schema")]
    fn schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        generator.subschema_for::<Self>()
    }
}

impl Lookup for Open {
    fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        self.fields.field(name)
    }

    fn inner_field(&self, name: &str, inner: &str) -> Option<Cow<'_, str>> {
        self.fields.inner_field(name, inner)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Open {
    fn schema_name() -> Cow<'static, str> {
        "Open".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "description": "Data of an event whose name is documented and whose data is not: any fields.",
        })
    }
}
