//! Ways to spoil a schema, each one that a real change could bring.

use serde_json::{Value, json};

/// An event is no longer told apart by its name.
pub(crate) fn name_of_an_event(schema: &mut Value) {
    forget(
        schema,
        "/$defs/AvatarVideoSuccessEvent/properties/event_type",
        "const",
    );
}

/// The same in the OpenAPI document, which says it twice.
pub(crate) fn name_of_a_webhook(schema: &mut Value) {
    forget(
        schema,
        "/components/schemas/AvatarVideoFailEvent/properties/event_type",
        "const",
    );
    forget(
        schema,
        "/components/schemas/AvatarVideoSuccessEvent/properties/event_type",
        "const",
    );
    forget(
        schema,
        "/components/schemas/HeyGenWebhookEvent",
        "discriminator",
    );
}

/// Unknown fields are not mentioned, so a reader drops them.
pub(crate) fn unknown_fields(schema: &mut Value) {
    let definitions = schema.pointer_mut("/$defs").and_then(Value::as_object_mut);
    for definition in definitions
        .into_iter()
        .flat_map(|definitions| definitions.values_mut())
    {
        forget(definition, "", "additionalProperties");
    }
}

/// A field that programs use is gone.
pub(crate) fn field(schema: &mut Value) {
    forget(schema, "/$defs/AvatarVideoSuccessData/properties", "url");
}

/// Two definitions have names that are the same type name.
pub(crate) fn name_of_a_definition(schema: &mut Value) {
    let definition = schema["$defs"]["AvatarVideoSuccessData"].clone();
    let reference = json!({ "$ref": "#/$defs/avatar_video.success_data" });
    schema["$defs"]["avatar_video.success_data"] = definition;
    schema["$defs"]["AvatarVideoGifSuccessEvent"]["properties"]["event_data"] = reference;
}

/// The signature is no header any more.
pub(crate) fn place_of_a_parameter(schema: &mut Value) {
    forget(schema, "/components/parameters/Signature", "in");
}

fn forget(schema: &mut Value, path: &str, key: &str) {
    let object = schema.pointer_mut(path).and_then(Value::as_object_mut);
    object.and_then(|object| object.remove(key));
}
