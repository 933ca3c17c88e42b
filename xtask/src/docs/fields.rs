//! What a schema says about the fields of `event_data`, in rows for a table.

use anyhow::{Context, Result};
use serde_json::Value;

/// The data of an event.
#[derive(Debug)]
pub(crate) struct Data {
    /// What the type says of itself: the first paragraph.
    pub(crate) description: String,
    /// Its fields, those of nested objects after the field that holds them.
    pub(crate) fields: Vec<Field>,
}

/// One row.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Field {
    /// `video_id`, or `clips[].id` for a field of an object in an array.
    pub(crate) name: String,
    /// `string`, `string or integer`, `array of object`, `any`.
    pub(crate) kind: String,
    /// Whether the data (or the object it belongs to) does not fit without it.
    pub(crate) is_required: bool,
    /// On one line.
    pub(crate) description: String,
}

impl Data {
    /// Reads the schema of a whole event.
    pub(crate) fn of(schema: &Value) -> Result<Self> {
        let data = schema
            .pointer("/properties/event_data")
            .context("the schema has no property `event_data`")?;
        let data = resolve(schema, data)?;
        let mut fields = Vec::new();
        collect(schema, data, "", &mut fields)?;
        Ok(Self {
            description: description(data),
            fields,
        })
    }
}

/// Adds a row for each property of `object`, and for the properties below it.
fn collect(root: &Value, object: &Value, prefix: &str, fields: &mut Vec<Field>) -> Result<()> {
    let Some(properties) = object.get("properties").and_then(Value::as_object) else {
        return Ok(());
    };
    let required = object.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|it| it == name));
    // What must be there comes first, then by name: the order in a `Map` depends on the features of the whole build.
    let mut properties: Vec<_> = properties.iter().collect();
    properties.sort_by_key(|(name, _)| (!is_required(name), *name));
    for (name, property) in properties {
        let target = resolve(root, property)?;
        // What stands beside a reference is about the field, what it leads to about the type.
        let own = description(property);
        fields.push(Field {
            name: format!("{prefix}{name}"),
            kind: kind(root, property)?,
            is_required: is_required(name),
            description: if own.is_empty() {
                description(target)
            } else {
                own
            },
        });
        for alternative in alternatives(target) {
            let alternative = resolve(root, alternative)?;
            collect(root, alternative, &format!("{prefix}{name}."), fields)?;
            if let Some(items) = alternative.get("items") {
                let items = resolve(root, items)?;
                collect(root, items, &format!("{prefix}{name}[]."), fields)?;
            }
        }
    }
    Ok(())
}

/// The type in words. `null` is left out: whatever is not required may be `null`.
fn kind(root: &Value, schema: &Value) -> Result<String> {
    let mut names = Vec::new();
    for alternative in alternatives(resolve(root, schema)?) {
        let alternative = resolve(root, alternative)?;
        let types = match alternative.get("type") {
            Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(only)) => vec![only.as_str()],
            _ => vec!["any"],
        };
        for name in types.into_iter().filter(|name| *name != "null") {
            let name = match (name, alternative.get("items")) {
                ("array", Some(items)) => format!("array of {}", kind(root, items)?),
                _ => name.to_owned(),
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    Ok(names.join(" or "))
}

/// The branches of `anyOf` or `oneOf`, or the schema itself.
fn alternatives(schema: &Value) -> Vec<&Value> {
    ["anyOf", "oneOf"]
        .iter()
        .find_map(|key| schema.get(key)?.as_array())
        .map_or_else(|| vec![schema], |branches| branches.iter().collect())
}

/// Follows `$ref` to what it names; references lead into the same schema only.
fn resolve<'a>(root: &'a Value, schema: &'a Value) -> Result<&'a Value> {
    let Some(reference) = schema.get("$ref").and_then(Value::as_str) else {
        return Ok(schema);
    };
    let target = reference
        .strip_prefix('#')
        .and_then(|pointer| root.pointer(pointer))
        .with_context(|| format!("{reference} leads nowhere"))?;
    resolve(root, target)
}

/// The first paragraph of the description, on one line and safe in a table.
fn description(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str);
    let paragraph = text.and_then(|text| text.split("\n\n").next());
    let words: Vec<&str> = paragraph.unwrap_or_default().split_whitespace().collect();
    words.join(" ").replace('|', "\\|")
}
