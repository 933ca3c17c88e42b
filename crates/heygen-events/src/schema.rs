//! JSON Schema (2020-12) of every event, made from the types by schemars.
//!
//! Each schema stands alone: it refers to nothing outside itself.
//!
//! - [`for_event`] and [`any`] are for generating types: `event_type` is required and tells the events
//!   apart, and every definition has a name of its own. They accept unknown fields, `null` for
//!   optional ones and integers for ids; for a text they want a string.
//! - [`body`] is for validating: it accepts exactly the bodies that [`Event`](crate::Event) reads as
//!   [well-formed](crate::Event::is_well_formed), unknown names and the name under `event` included.
//!
//! - [`index`] lists the events as data, for programs that need their names.
//!
//! Descriptions are the first paragraphs of the doc comments.
//!
//! ```
//! use heygen_events::{EventType, schema};
//!
//! let schema = schema::for_event(&EventType::AvatarVideoFail);
//! assert_eq!(schema["title"], "AvatarVideoFailEvent");
//! assert_eq!(schema["$defs"]["AvatarVideoFailData"]["required"][0], "video_id");
//! ```

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::event_type::{EventType, event_types};
use crate::payload;

/// The name under which [`named`] and [`names`] know the schema of [`any`] event.
pub const ANY: &str = "any";

/// The name under which [`named`] and [`names`] know the schema of a [`body`].
pub const BODY: &str = "body";

/// The schema of an event with this name. For an unknown name it says nothing about the data.
#[must_use]
pub fn for_event(event_type: &EventType) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let event = event(event_type, &mut generator);
    document(event, simple(generator.take_definitions(true)))
}

/// The schema of any event that this version knows: one definition for each, distinguished by
/// `event_type`. An `UnknownEvent` is defined beside them.
#[must_use]
pub fn any() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let events: Vec<Value> = EventType::KNOWN
        .iter()
        .chain([&EventType::from(UNKNOWN)])
        .map(|event_type| event(event_type, &mut generator))
        .collect();
    let mut definitions = simple(generator.take_definitions(true));
    let known = EventType::KNOWN.iter().map(definition_name);
    let one_of = known.map(|name| json!({ "$ref": format!("#/$defs/{name}") }));
    let one_of: Vec<Value> = one_of.collect();
    for event in events {
        let name = event["title"].as_str().unwrap_or_default().to_owned();
        definitions.insert(name, event);
    }
    let root = json!({
        "title": "HeyGenWebhookEvent",
        "description": "Any event as HeyGen posts it, distinguished by its name.",
        "oneOf": one_of,
    });
    document(root, definitions)
}

/// The schema of every body that is a well-formed event, of whatever name.
///
/// For a name that is known the data is checked by its type, so a wrong body gets one error.
#[must_use]
pub fn body() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let by_name: Vec<Value> = EventType::KNOWN
        .iter()
        .map(|event_type| {
            let name = json!({ "const": event_type.as_str() });
            let other = json!({ "not": { "type": "string" } });
            json!({
                "if": { "anyOf": [
                    { "properties": { "event_type": name }, "required": ["event_type"] },
                    { "properties": { "event_type": other, "event": name }, "required": ["event"] },
                ] },
                "then": {
                    "properties": { "event_data": data_schema(event_type, &mut generator) },
                    "required": ["event_data"],
                },
            })
        })
        .collect();
    let text = json!({ "type": "string" });
    let root = json!({
        "title": "HeyGenWebhookBody",
        "description": "A body that is an event: of a known name with data that matches its type, or of any other name.",
        "type": "object",
        "properties": {
            "event_type": { "description": "The name of the event." },
            "event": { "description": "The name, where `event_type` is no string." },
            "event_data": { "description": "The data of the event." },
        },
        "additionalProperties": true,
        "anyOf": [
            { "properties": { "event_type": text }, "required": ["event_type"] },
            { "properties": { "event": text }, "required": ["event"] },
        ],
        "allOf": by_name,
    });
    let mut definitions = simple(generator.take_definitions(true));
    definitions.values_mut().for_each(widen);
    document(root, definitions)
}

/// The schema of that name: a known event, [`ANY`] or [`BODY`].
#[must_use]
pub fn named(name: &str) -> Option<Value> {
    match name {
        ANY => Some(any()),
        BODY => Some(body()),
        _ => {
            let event_type = EventType::from(name);
            event_type.is_known().then(|| for_event(&event_type))
        }
    }
}

/// Every name that [`named`] knows: the known events in their order, then [`ANY`] and [`BODY`].
pub fn names() -> impl Iterator<Item = &'static str> {
    let known = EventType::KNOWN.iter().map(EventType::as_str);
    known.chain([ANY, BODY])
}

/// The known events as data, in their order: name, description, outcome, media and schema.
///
/// `schema` is where the repository's folder `schemas` has the schema of the event, and
/// `definition` what [`any`] calls it.
#[must_use]
pub fn index() -> Value {
    let event = |event_type: &EventType| {
        json!({
            "event_type": event_type.as_str(),
            "description": event_type.description(),
            "outcome": event_type.outcome(),
            "media": event_type.media_kind(),
            "definition": definition_name(event_type),
            "schema": format!("events/{event_type}.json"),
        })
    };
    let events: Vec<Value> = EventType::KNOWN.iter().map(event).collect();
    json!({ "$comment": COMMENT, "events": events })
}

/// A schema as a file holds it: keys sorted, two spaces of indent, a newline at the end.
#[must_use]
pub fn text(schema: &Value) -> String {
    let mut schema = schema.clone();
    schema.sort_all_objects();
    format!("{schema:#}\n")
}

macro_rules! schemas {
    ($(#[doc = $doc:literal] $variant:ident = $name:literal, $payload:ident, brings $media:ident;)+) => {
        /// What the definition of an event is called: `AvatarVideoSuccessEvent`; for every name that
        /// is not known `UnknownEvent`.
        #[must_use]
        pub fn definition_name(event_type: &EventType) -> String {
            match event_type {
                $(EventType::$variant => concat!(stringify!($variant), "Event"),)+
                EventType::Unknown(_) => "UnknownEvent",
            }
            .to_owned()
        }

        /// A reference to the schema of the data, which is left in the generator's definitions.
        fn data_schema(event_type: &EventType, generator: &mut SchemaGenerator) -> Value {
            let schema = match event_type {
                $(EventType::$variant => generator.subschema_for::<payload::$payload>(),)+
                EventType::Unknown(_) => return json!({}),
            };
            renamed(schema.to_value())
        }
    };
}
event_types!(schemas);

fn event(event_type: &EventType, generator: &mut SchemaGenerator) -> Value {
    let (name, required) = match event_type.is_known() {
        true => (
            json!({ "type": "string", "const": event_type.as_str() }),
            json!(["event_type", "event_data"]),
        ),
        false => (json!({ "type": "string" }), json!(["event_type"])),
    };
    let mut event_type_schema = name;
    event_type_schema["description"] = "The name of the event.".into();
    let text_or =
        |other: &str| json!([{ "type": "string" }, { "type": other }, { "type": "null" }]);
    json!({
        "title": definition_name(event_type),
        "description": event_type.description(),
        "type": "object",
        "properties": {
            "event_type": event_type_schema,
            "event_data": data_schema(event_type, generator),
            "event_id": {
                "anyOf": text_or("integer"),
                "description": "HeyGen's id of the event. Certain in the delivery log; not documented for deliveries.",
            },
            "created_at": {
                "anyOf": text_or("number"),
                "description": "When HeyGen made the event. Certain in the delivery log; not documented for deliveries.",
            },
        },
        "required": required,
        "additionalProperties": true,
    })
}

/// Definitions of data for generating types.
fn simple(definitions: Map<String, Value>) -> Map<String, Value> {
    let definitions = definitions.into_iter();
    let definition = |(name, schema)| {
        let name = format!("{name}Data");
        let mut schema = renamed(schema);
        schema["title"] = name.as_str().into();
        (name, schema)
    };
    definitions.map(definition).collect()
}

/// Makes a schema of data one for validating: where a string is wanted a number is read too, and an
/// integer has 64 bits.
fn widen(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            // What has a choice of types is an id.
            if let Some(Value::Array(kinds)) = map.get_mut("anyOf") {
                for integer in kinds.iter_mut().filter(|kind| kind["type"] == "integer") {
                    integer["minimum"] = i64::MIN.into();
                    integer["maximum"] = u64::MAX.into();
                }
                return;
            }
            let kinds: &[&str] = match map.get("type") {
                Some(kind) if kind == "string" => &["string", "number"],
                Some(kind) if *kind == json!(["string", "null"]) => &["string", "number", "null"],
                _ => return map.values_mut().for_each(widen),
            };
            map.remove("type");
            let any_of = kinds.iter().map(|kind| json!({ "type": kind }));
            map.insert("anyOf".to_owned(), any_of.collect());
        }
        Value::Array(items) => items.iter_mut().for_each(widen),
        _ => {}
    }
}

/// With references to the new names of definitions, open objects, and a choice of types that not
/// every tool knows as a list written as `anyOf`.
fn renamed(schema: Value) -> Value {
    match schema {
        Value::Object(map) => {
            let mut map: Map<String, Value> = map
                .into_iter()
                .map(|(key, value)| match (key.as_str(), value) {
                    ("$ref", Value::String(path)) => (key, format!("{path}Data").into()),
                    ("description", Value::String(text)) => (key, first_paragraph(&text).into()),
                    (_, value) => (key, renamed(value)),
                })
                .collect();
            if map.get("type").is_some_and(|kind| kind == "object") {
                map.insert("additionalProperties".to_owned(), true.into());
            }
            let is_choice = |kinds: &Vec<Value>| kinds.len() > 2 || !kinds.contains(&"null".into());
            let kinds = map.get("type").and_then(Value::as_array).cloned();
            if let Some(kinds) = kinds.filter(is_choice) {
                map.remove("type");
                let any_of = kinds.into_iter().map(|kind| json!({ "type": kind }));
                map.insert("anyOf".to_owned(), any_of.collect());
            }
            map.into()
        }
        Value::Array(items) => items.into_iter().map(renamed).collect(),
        plain => plain,
    }
}

fn document(mut root: Value, definitions: Map<String, Value>) -> Value {
    let title = root["title"].as_str().unwrap_or_default();
    root["$id"] = format!("urn:heygen-webhooks:schema:{title}").into();
    root["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    root["$comment"] = COMMENT.into();
    if !definitions.is_empty() {
        root["$defs"] = definitions.into();
    }
    root
}

/// In one line; the other paragraphs are for readers of Rust.
fn first_paragraph(text: &str) -> String {
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}

const COMMENT: &str = "Generated from the types of the crate heygen-events; do not edit.";

/// A name that no event has.
const UNKNOWN: &str = "";
