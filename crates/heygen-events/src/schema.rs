//! JSON Schema (2020-12) of every event, made from the types by schemars.
//!
//! A schema describes a whole body, envelope included, and stands alone: it refers to nothing outside itself. It is as
//! tolerant as the types are: fields that are not named may come, optional ones may be `null`, ids may be integers. In one
//! respect it is stricter, so that types generated from it stay simple: a text that comes as a number is read by the types
//! and refused by the schema.
//!
//! Descriptions are the first paragraphs of the doc comments.
//!
//! ```
//! use heygen_events::{EventType, schema};
//!
//! let schema = schema::for_event(&EventType::AvatarVideoFail);
//! assert_eq!(schema["title"], "avatar_video.fail");
//! assert_eq!(schema["properties"]["event_data"]["required"][0], "video_id");
//! ```

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::event_type::{EventType, event_types};
use crate::payload;

/// The name under which [`named`] and [`names`] know the schema of [`any`] event.
pub const ANY: &str = "any";

/// The schema of a body with this name. For an unknown name it says nothing about the data.
#[must_use]
pub fn for_event(event_type: &EventType) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let data = data_schema(event_type, &mut generator);
    let mut definitions = generator.take_definitions(true);
    let mut root = body(event_type, in_full(data, &mut definitions));
    root.insert("title".to_owned(), event_type.as_str().into());
    finish(root, definitions)
}

/// The schema of any event: each known name with its data, and every other name with any data.
#[must_use]
pub fn any() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let known = EventType::KNOWN.iter().map(|event_type| {
        let data = data_schema(event_type, &mut generator);
        (event_type.to_string(), Value::from(body(event_type, data)))
    });
    let bodies: Map<String, Value> = known
        .chain([(UNKNOWN.to_owned(), unknown_body())])
        .collect();

    let names = EventType::KNOWN
        .iter()
        .map(EventType::as_str)
        .chain([UNKNOWN]);
    let one_of: Vec<Value> = names
        .map(|name| json!({ "$ref": format!("{DEFINITIONS}{name}") }))
        .collect();
    let mut root = Map::new();
    root.insert("title".to_owned(), "HeyGen webhook event".into());
    root.insert(
        "description".to_owned(),
        "Any event as HeyGen posts it, told apart by its name.".into(),
    );
    root.insert("oneOf".to_owned(), one_of.into());
    let mut definitions = generator.take_definitions(true);
    definitions.extend(bodies);
    finish(root, definitions)
}

/// The schema of that name: a documented event, or [`ANY`].
#[must_use]
pub fn named(name: &str) -> Option<Value> {
    if name == ANY {
        return Some(any());
    }
    let event_type = EventType::from(name);
    event_type.is_known().then(|| for_event(&event_type))
}

/// Every name that [`named`] knows: the documented events in their order, then [`ANY`].
pub fn names() -> impl Iterator<Item = &'static str> {
    EventType::KNOWN.iter().map(EventType::as_str).chain([ANY])
}

/// A schema as a file holds it: keys sorted, two spaces of indent, a newline at the end.
#[must_use]
pub fn text(schema: &Value) -> String {
    format!("{:#}\n", sorted(schema))
}

macro_rules! data_schemas {
    ($(#[doc = $doc:literal] $variant:ident = $name:literal, $payload:ident, brings $media:ident;)+) => {
        /// A reference to the schema of the data, which is left in the generator's definitions.
        fn data_schema(event_type: &EventType, generator: &mut SchemaGenerator) -> Value {
            match event_type {
                $(EventType::$variant => generator.subschema_for::<payload::$payload>().to_value(),)+
                EventType::Unknown(_) => json!({}),
            }
        }
    };
}
event_types!(data_schemas);

/// The body around the data. The name stands under `event_type`, or under `event` where that is missing.
fn body(event_type: &EventType, data: Value) -> Map<String, Value> {
    let name = json!({ "const": event_type.as_str() });
    let mut body = envelope(event_type.description(), &name);
    if let Some(properties) = body.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("event_data".to_owned(), data);
    }
    if event_type.is_known() {
        body.insert("required".to_owned(), json!(["event_data"]));
    }
    body
}

fn unknown_body() -> Value {
    let known: Vec<&str> = EventType::KNOWN.iter().map(EventType::as_str).collect();
    let name = json!({ "type": "string", "not": { "enum": known } });
    envelope(
        "An event that this version does not know, with any data.",
        &name,
    )
    .into()
}

fn envelope(description: &str, name: &Value) -> Map<String, Value> {
    let mut event_type = name.clone();
    event_type["description"] = "The name of the event.".into();
    let envelope = json!({
        "type": "object",
        "description": description,
        "properties": {
            "event_type": event_type,
            "event_id": {
                "type": ["string", "integer", "null"],
                "description": "HeyGen's id of the event. Certain in the delivery log; not documented for deliveries.",
            },
            "created_at": {
                "type": ["string", "number", "null"],
                "description": "When HeyGen made the event. Certain in the delivery log; not documented for deliveries.",
            },
        },
        "anyOf": [
            { "required": ["event_type"] },
            { "required": ["event"], "properties": { "event": name } },
        ],
    });
    match envelope {
        Value::Object(envelope) => envelope,
        _ => Map::new(),
    }
}

/// Puts a definition in the place of the reference to it.
fn in_full(reference: Value, definitions: &mut Map<String, Value>) -> Value {
    let name = reference.get("$ref").and_then(Value::as_str);
    let Some(name) = name.and_then(|path| path.strip_prefix(DEFINITIONS)) else {
        return reference;
    };
    let title = Value::from(name);
    match definitions.remove(name) {
        Some(Value::Object(mut definition)) => {
            definition.insert("title".to_owned(), title);
            Value::Object(definition)
        }
        _ => reference,
    }
}

fn finish(mut root: Map<String, Value>, definitions: Map<String, Value>) -> Value {
    root.insert(
        "$schema".to_owned(),
        "https://json-schema.org/draft/2020-12/schema".into(),
    );
    root.insert(
        "$comment".to_owned(),
        "Generated from the types of the crate heygen-events; do not edit.".into(),
    );
    if !definitions.is_empty() {
        root.insert("$defs".to_owned(), definitions.into());
    }
    let mut root = root.into();
    shorten_descriptions(&mut root);
    root
}

/// `serde_json` keeps keys sorted unless some crate of the build asks it for insertion order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            entries
                .into_iter()
                .map(|(key, value)| (key.clone(), sorted(value)))
                .collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        plain => plain.clone(),
    }
}

/// The first paragraph of each description, in one line; the others are for readers of Rust.
fn shorten_descriptions(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(text)) = map.get_mut("description") {
                let paragraph = text.split("\n\n").next().unwrap_or_default();
                *text = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
            }
            map.values_mut().for_each(shorten_descriptions);
        }
        Value::Array(items) => items.iter_mut().for_each(shorten_descriptions),
        _ => {}
    }
}

/// Where definitions stand, as a reference writes it.
const DEFINITIONS: &str = "#/$defs/";

/// The definition of an event that is not known. No documented name is a bare `unknown`.
const UNKNOWN: &str = "unknown";
