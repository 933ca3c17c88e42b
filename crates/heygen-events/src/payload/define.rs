//! `payload!`: a struct of wire fields with its reading, writing, lookup and schema.
//!
//! Reading goes straight from the parser into the fields. serde's `flatten` would buffer every field in between, which costs
//! more than parsing into a `Value`, and could tell neither `null` from missing nor a number from its text.

/// Defines a payload struct. `required` fields make up the constructor; `optional` ones become `Option`s.
macro_rules! payload {
    (
        $(#[doc = $doc:literal])+
        pub struct $name:ident {
            $(required {$(
                $(#[doc = $required_doc:literal])+
                $required:ident: $required_type:ty,
            )+})?
            optional {$(
                $(#[doc = $optional_doc:literal])+
                $optional:ident: $optional_type:ty,
            )+}
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone)]
        #[non_exhaustive]
        pub struct $name {
            $($(
                $(#[doc = $required_doc])+
                pub $required: $required_type,
            )+)?
            $(
                $(#[doc = $optional_doc])+
                pub $optional: Option<$optional_type>,
            )+
            /// Fields that are not named here, as received.
            pub extra: serde_json::Map<String, serde_json::Value>,
            as_read: $crate::payload::field::AsRead,
        }

        const _: () = {
            use std::borrow::Cow;
            use std::fmt;

            use serde::de::{Deserialize, Deserializer, MapAccess};
            use serde::ser::{Serialize, SerializeMap, Serializer};
            use serde_json::Map;

            use $crate::lookup::{Lookup, value_text};
            use $crate::payload::field::{AsRead, FieldType, Key, Read, Write, in_field, required};

            /// The bit of each field in `AsRead`.
            #[expect(non_camel_case_types, reason = "a bit is named as its field is")]
            enum Bit {
                $($($required,)+)?
                $($optional,)+
            }

            const FIELDS: &[&str] = &[
                $($(stringify!($required),)+)?
                $(stringify!($optional),)+
            ];
            const _: () = assert!(FIELDS.len() <= u32::BITS as usize, "AsRead has a bit for each field");

            impl $name {
                /// With the fields that must be there, and nothing else.
                #[must_use]
                #[allow(clippy::new_without_default, reason = "only some of these have no required field")]
                pub fn new($($($required: impl Into<$required_type>,)+)?) -> Self {
                    Self {
                        $($($required: $required.into(),)+)?
                        $($optional: None,)+
                        extra: Map::new(),
                        as_read: AsRead::default(),
                    }
                }
            }

            impl FieldType for $name {
                const WANTS: &'static str = "an object";

                fn from_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Option<Self>, A::Error> {
                    $($(let mut $required: Option<$required_type> = None;)+)?
                    $(let mut $optional: Option<$optional_type> = None;)+
                    let mut extra = Map::new();
                    let mut as_read = AsRead::default();
                    while let Some(key) = map.next_key_seed(Key)? {
                        match &*key {
                            $($(stringify!($required) => {
                                let read = map.next_value::<Read<$required_type>>();
                                let read = read.map_err(|error| in_field(stringify!($required), &error))?;
                                as_read.note(Bit::$required as u32, &read);
                                $required = read.value;
                            })+)?
                            $(stringify!($optional) => {
                                let read = map.next_value::<Read<$optional_type>>();
                                let read = read.map_err(|error| in_field(stringify!($optional), &error))?;
                                as_read.note(Bit::$optional as u32, &read);
                                $optional = read.value;
                            })+
                            _ => drop(extra.insert(key.into_owned(), map.next_value()?)),
                        }
                    }
                    Ok(Some(Self {
                        $($($required: as_read.present(Bit::$required as u32, stringify!($required), $required)?,)+)?
                        $($optional,)+
                        extra,
                        as_read,
                    }))
                }

                fn write<S: Serializer>(&self, _: bool, serializer: S) -> Result<S::Ok, S::Error> {
                    let mut map = serializer.serialize_map(None)?;
                    $($(
                        let number = self.as_read.is_number(Bit::$required as u32);
                        map.serialize_entry(stringify!($required), &Write { value: &self.$required, number })?;
                    )+)?
                    $(
                        let bit = Bit::$optional as u32;
                        match &self.$optional {
                            Some(value) => {
                                let number = self.as_read.is_number(bit);
                                map.serialize_entry(stringify!($optional), &Write { value, number })?;
                            }
                            None if self.as_read.is_null(bit) => map.serialize_entry(stringify!($optional), &())?,
                            None => {}
                        }
                    )+
                    // What was put into `extra` by hand must not repeat a key that is written above.
                    for (key, value) in self.extra.iter().filter(|(key, _)| !FIELDS.contains(&key.as_str())) {
                        map.serialize_entry(key, value)?;
                    }
                    map.end()
                }

                #[cfg(feature = "schema")]
                fn schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                    generator.subschema_for::<Self>()
                }
            }

            impl Lookup for $name {
                fn field(&self, name: &str) -> Option<Cow<'_, str>> {
                    match name {
                        $($(stringify!($required) => self.$required.text(),)+)?
                        $(stringify!($optional) => self.$optional.as_ref()?.text(),)+
                        _ => self.extra.get(name).and_then(value_text),
                    }
                }

                fn inner_field(&self, name: &str, inner: &str) -> Option<Cow<'_, str>> {
                    self.extra.inner_field(name, inner)
                }

                fn clip_link(&self) -> Option<Cow<'_, str>> {
                    None $(.or_else(|| self.$optional.as_ref()?.clip_link()))+
                }

                fn unknown_fields(&self) -> Option<Vec<String>> {
                    let mut names: Vec<String> = self.extra.keys().cloned().collect();
                    $(if let Some(value) = &self.$optional {
                        value.unknown_fields(stringify!($optional), &mut names);
                    })+
                    Some(names)
                }
            }

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    required(deserializer)
                }
            }

            impl Serialize for $name {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    self.write(false, serializer)
                }
            }

            impl PartialEq for $name {
                fn eq(&self, other: &Self) -> bool {
                    $($(self.$required == other.$required &&)+)?
                    $(self.$optional == other.$optional &&)+
                    self.extra == other.extra
                }
            }

            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.debug_struct(stringify!($name))
                        $($(.field(stringify!($required), &self.$required))+)?
                        $(.field(stringify!($optional), &self.$optional))+
                        .field("extra", &self.extra)
                        .finish_non_exhaustive()
                }
            }

            #[cfg(feature = "schema")]
            impl schemars::JsonSchema for $name {
                fn schema_name() -> Cow<'static, str> {
                    stringify!($name).into()
                }

                fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                    let mut object = $crate::schema::ObjectSchema::new(&[$($doc),+]);
                    $($(
                        let schema = <$required_type>::schema(generator);
                        object.required(stringify!($required), schema, &[$($required_doc),+]);
                    )+)?
                    $(
                        let schema = <$optional_type>::schema(generator);
                        object.optional(stringify!($optional), schema, &[$($optional_doc),+]);
                    )+
                    object.finish()
                }
            }
        };
    };
}
pub(crate) use payload;
