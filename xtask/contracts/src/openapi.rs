//! `schemas/openapi.json`: the events as webhooks, HeyGen's operations, and the sandbox's routes, as OpenAPI 3.1.
//!
//! The events come from the types of `heygen-events`. HeyGen's operations are restated from `docs/protocol.md`, and each is marked
//! as it is there; those of the sandbox from `docs/sandbox.md`. A test of `heygen-testkit` holds the sandbox to both.

mod jobs;
mod management;
mod operation;
mod sandbox;

use anyhow::{Context, Result};
use heygen_events::{EventType, schema};
use serde_json::{Map, Value, json};

use operation::{in_json, reference};

/// The whole document.
pub fn document() -> Result<Value> {
    let mut schemas = events()?;
    schemas.extend(management::schemas());
    schemas.extend(sandbox::schemas());
    schemas.insert("JobState".to_owned(), jobs::schema());
    let operations = management::operations().into_iter();
    let mut paths = Map::new();
    for operation in operations
        .chain(jobs::operations())
        .chain(sandbox::operations())
    {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = operation.to_json();
    }
    let tags = TAGS.map(|(name, description)| json!({ "name": name, "description": description }));
    Ok(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "HeyGen webhooks",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "What HeyGen posts, how endpoints are managed, and the sandbox that plays HeyGen.",
            "description": DESCRIPTION,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "https://api.heygen.com", "description": "HeyGen" }],
        "security": [{ "ApiKey": [] }, { "Bearer": [] }],
        "tags": tags,
        "webhooks": EventType::KNOWN.iter().map(webhook).collect::<Map<_, _>>(),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "headers": { "Retry-After": {
                "description": "Seconds until the call may be repeated.",
                "schema": { "type": "string" },
            } },
            "parameters": { "Signature": signature() },
            "responses": management::responses(),
            "securitySchemes": {
                "ApiKey": { "type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "A key of the account." },
                "Bearer": { "type": "http", "scheme": "bearer", "description": "An OAuth access token. Documented for v3 alone." },
            },
        },
    }))
}

/// The delivery of an event.
fn webhook(event_type: &EventType) -> (String, Value) {
    let definition = schema::definition_name(event_type);
    let mut id = definition.clone();
    id[..1].make_ascii_lowercase();
    let body = json!({
        "description": "The raw bytes are what is signed: verify them before parsing.",
        "required": true,
        "content": in_json(&reference(&definition)),
    });
    let post = json!({
        "operationId": id,
        "summary": event_type.description(),
        "tags": ["events"],
        "security": [],
        "parameters": [{ "$ref": "#/components/parameters/Signature" }],
        "requestBody": body,
        "responses": {
            "2XX": { "description": "The delivery is accepted. HeyGen waits 10 s for it." },
            "default": { "description": "Not accepted: HeyGen sends the delivery again, with growing pauses, for up to 24 h." },
        },
    });
    (event_type.to_string(), json!({ "post": post }))
}

fn signature() -> Value {
    json!({
        "name": "Signature",
        "in": "header",
        "required": false,
        "description": SIGNATURE,
        "schema": { "type": "string", "pattern": "^[0-9a-f]{64}$" },
        "example": "8d8bcdb9c5823dfa062f5844c409a5bc737f7e02a685b3091944e2d1ad78db8e",
    })
}

/// The definitions of `any.json`, and the union of all events.
fn events() -> Result<Map<String, Value>> {
    let mut any = moved(schema::any());
    let mut definitions = match any["$defs"].take() {
        Value::Object(definitions) => definitions,
        _ => Map::new(),
    };
    let mapping: Map<String, Value> = EventType::KNOWN
        .iter()
        .map(|event_type| {
            let definition = schema::definition_name(event_type);
            (
                event_type.to_string(),
                reference(&definition)["$ref"].clone(),
            )
        })
        .collect();
    let title = any["title"].as_str().context("the union has no title")?;
    let union = json!({
        "description": any["description"],
        "oneOf": any["oneOf"],
        "discriminator": { "propertyName": "event_type", "mapping": mapping },
    });
    definitions.insert(title.to_owned(), union);
    Ok(definitions)
}

/// With references to where OpenAPI has definitions.
fn moved(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (key, moved(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(moved).collect(),
        Value::String(text) => text.replace("#/$defs/", "#/components/schemas/").into(),
        plain => plain,
    }
}

const TAGS: [(&str, &str); 5] = [
    ("events", "What HeyGen posts to a registered endpoint."),
    ("v3", "HeyGen's management operations."),
    (
        "v1",
        "HeyGen's older management operations. It announced their end for 2026-10-31; no report of the actual end is known.",
    ),
    (
        "jobs",
        "HeyGen's operations that start and follow jobs, as far as the sandbox plays them. The jobs themselves are not described here.",
    ),
    (
        "sandbox",
        "Routes of `heygen-webhooks sandbox`, which plays HeyGen on loopback. HeyGen has none of them.",
    ),
];

const DESCRIPTION: &str = "\
HeyGen publishes no description of its webhooks in this form: this one is made from the types of the crate `heygen-events`, and from what \
HeyGen's pages say. `x-mark` says how sure an operation is: `documented` by HeyGen, `assumed`, or `sandbox` for routes that are ours; `x-source` \
says where. How sure each fact is stands in docs/protocol.md of the repository heygen-webhooks.

An event of a name that is not among the webhooks may come: its body is an `UnknownEvent`. Fields that are not listed may come, too.

Before HeyGen registers an address, it sends `OPTIONS` there and waits one second for an answer (documented for v1). Answer any probe \
with 2xx, also before there is a secret.";

const SIGNATURE: &str = "\
The HMAC-SHA256 of the raw bytes of the body and nothing else, as 64 lower-case hexadecimal digits without a prefix. The key is the text of the \
endpoint's secret as it was given, `whsec_` included; it is not decoded. Compare in constant time, with each secret that is in force, before \
anything is parsed.

Every delivery to a registered endpoint has this header. One to the `callback_url` of a single job has none, and anybody can forge it. Pages \
of mid-2026 called the header `Heygen-Signature`.";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_references(value: &Value, document: &Value) {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let found = reference
                .strip_prefix('#')
                .and_then(|path| document.pointer(path));
            assert!(found.is_some(), "dangling: {reference}");
        }
        match value {
            Value::Object(map) => map
                .values()
                .for_each(|inner| check_references(inner, document)),
            Value::Array(items) => items
                .iter()
                .for_each(|inner| check_references(inner, document)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_is_resolved() {
        let document = document().unwrap();
        check_references(&document, &document);
    }

    #[test]
    fn every_event_is_a_webhook_with_its_signature() {
        let document = document().unwrap();
        for event_type in EventType::KNOWN {
            let post = &document["webhooks"][event_type.as_str()]["post"];
            assert_eq!(
                post["parameters"][0]["$ref"],
                "#/components/parameters/Signature"
            );
            let body = &post["requestBody"]["content"]["application/json"]["schema"];
            assert_eq!(*body, reference(&schema::definition_name(event_type)));
        }
        assert_eq!(
            document["webhooks"].as_object().unwrap().len(),
            EventType::KNOWN.len()
        );
    }

    /// A reader sees of each operation whether HeyGen documents it.
    #[test]
    fn every_operation_is_marked_and_has_an_id_of_its_own() {
        let document = document().unwrap();
        let mut ids = std::collections::BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for operation in methods.as_object().unwrap().values() {
                let mark = operation["x-mark"].as_str().unwrap();
                assert_eq!(mark == "sandbox", path.starts_with("/sandbox/"), "{path}");
                assert!(
                    ["documented", "assumed", "sandbox"].contains(&mark),
                    "{path}"
                );
                assert!(operation["x-source"].is_string(), "{path}");
                let id = operation["operationId"].as_str().unwrap();
                assert!(ids.insert(id.to_owned()), "{path}");
            }
        }
    }
}
