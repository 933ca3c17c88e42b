//! [`Operation`]: one method of one path, and the small pieces that operations are made of.

use serde_json::{Value, json};

/// One method of one path.
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    json: Value,
}

impl Operation {
    /// `method` in lower case, as OpenAPI has it.
    pub(super) fn new(id: &str, method: &'static str, path: &'static str, summary: &str) -> Self {
        let parameters: Vec<Value> = path
            .split(['{', '}'])
            .skip(1)
            .step_by(2)
            .map(|name| parameter("path", name, true, "Its id.", &text()))
            .collect();
        let mut json = json!({ "operationId": id, "summary": summary, "responses": {} });
        if !parameters.is_empty() {
            json["parameters"] = parameters.into();
        }
        Self { method, path, json }
    }

    /// How sure it is, and who says so.
    pub(super) fn mark(self, mark: &str, source: &str) -> Self {
        self.with("x-mark", mark).with("x-source", source)
    }

    pub(super) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.json[key] = value.into();
        self
    }

    pub(super) fn query(
        self,
        name: &str,
        is_required: bool,
        description: &str,
        schema: &Value,
    ) -> Self {
        self.parameter(parameter("query", name, is_required, description, schema))
    }

    pub(super) fn parameter(mut self, parameter: Value) -> Self {
        match &mut self.json["parameters"] {
            Value::Array(parameters) => parameters.push(parameter),
            none => *none = json!([parameter]),
        }
        self
    }

    /// The schema of the body, which is required.
    pub(super) fn body(self, schema: &Value) -> Self {
        self.with(
            "requestBody",
            json!({ "required": true, "content": in_json(schema) }),
        )
    }

    pub(super) fn answer(mut self, status: &str, description: &str, schema: &Value) -> Self {
        let answer = json!({ "description": description, "content": in_json(schema) });
        self.json["responses"][status] = answer;
        self
    }

    /// Answers that several operations have.
    pub(super) fn shared_answers(mut self, answers: &[(&str, &str)]) -> Self {
        for (status, name) in answers {
            let path = format!("#/components/responses/{name}");
            self.json["responses"][*status] = json!({ "$ref": path });
        }
        self
    }

    pub(super) fn to_json(&self) -> Value {
        self.json.clone()
    }
}

pub(super) fn parameter(
    place: &str,
    name: &str,
    is_required: bool,
    description: &str,
    schema: &Value,
) -> Value {
    json!({ "name": name, "in": place, "required": is_required, "description": description, "schema": schema })
}

pub(super) fn in_json(schema: &Value) -> Value {
    json!({ "application/json": { "schema": schema } })
}

pub(super) fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

pub(super) fn text() -> Value {
    json!({ "type": "string" })
}

pub(super) fn nullable_text(description: &str) -> Value {
    json!({ "type": ["string", "null"], "description": description })
}

pub(super) fn list(items: &Value) -> Value {
    json!({ "type": "array", "items": items })
}

/// The envelope of v3 and of the sandbox. HeyGen marks no field of it as required.
pub(super) fn data(schema: &Value) -> Value {
    object(&[], &json!({ "data": schema }))
}

/// An object that may have more fields than these.
pub(super) fn object(required: &[&str], properties: &Value) -> Value {
    let mut object =
        json!({ "type": "object", "properties": properties, "additionalProperties": true });
    if !required.is_empty() {
        object["required"] = required.into();
    }
    object
}
