//! HeyGen's operations, v3 and v1. No fact stands here that `docs/protocol.md` lacks.

use heygen_events::EventType;
use serde_json::{Map, Value, json};

use super::operation::{
    Operation, data, in_json, list, nullable_text, object, parameter, reference, text,
};

pub(super) fn operations() -> Vec<Operation> {
    let v3 = [
        v3("createWebhookEndpoint", "post", "/v3/webhooks/endpoints", "Create an endpoint")
            .with("description", "Only this answer and that of a rotation show the secret. The address has to be public `https`.")
            .parameter(idempotency_key())
            .body(&reference("NewEndpoint"))
            .answer("200", "The endpoint, with its secret.", &data(&reference("Endpoint"))),
        v3("listWebhookEndpoints", "get", "/v3/webhooks/endpoints", "List endpoints")
            .answer("200", "A page of endpoints, without secrets.", &page(&reference("Endpoint"))),
        v3("updateWebhookEndpoint", "patch", "/v3/webhooks/endpoints/{endpoint_id}", "Update an endpoint")
            .with("description", "Fields that are not given stay. A list of events is replaced as a whole.")
            .body(&reference("EndpointUpdate"))
            .answer("200", "The endpoint.", &data(&reference("Endpoint"))),
        v3("deleteWebhookEndpoint", "delete", "/v3/webhooks/endpoints/{endpoint_id}", "Delete an endpoint for good")
            .answer("200", "It is deleted.", &data(&object(&[], &json!({})))),
        v3("rotateWebhookSigningSecret", "post", "/v3/webhooks/endpoints/{endpoint_id}/rotate-secret", "Replace the secret")
            .with("description", "The old secret is invalid at once. Which of the two signs a retry is not documented.")
            .parameter(idempotency_key())
            .answer("200", "The new secret.", &data(&reference("RotatedSecret"))),
        v3("listWebhookEventTypes", "get", "/v3/webhooks/event-types", "List event types")
            .answer("200", "Event types with descriptions.", &page(&reference("EventTypeEntry"))),
        v3("listWebhookEvents", "get", "/v3/webhooks/events", "List delivered events")
            .with("description", "Whether it has events that no one accepted, how long and in which order, is not documented.")
            .query("event_type", false, "Events of this type alone.", &reference("EventType"))
            .query("entity_id", false, "Events of this resource alone.", &text())
            .answer("200", "A page of events.", &page(&reference("LoggedEvent"))),
    ];
    let v1 = [
        v1(
            "addEndpointV1",
            "post",
            "/v1/webhook/endpoint.add",
            "Add a Webhook Endpoint",
        )
        .with(
            "description",
            "HeyGen sends `OPTIONS` to the address first and waits one second for an answer.",
        )
        .body(&reference("NewEndpointV1"))
        .answer(
            "200",
            "The endpoint, with its secret.",
            &v1_data(&reference("EndpointV1")),
        )
        .shared_answers(&[("400", "InvalidUrlV1")]),
        v1(
            "listEndpointsV1",
            "get",
            "/v1/webhook/endpoint.list",
            "List Webhook Endpoints",
        )
        .answer(
            "200",
            "All endpoints, with their secrets.",
            &v1_data(&list(&reference("EndpointV1"))),
        ),
        v1(
            "updateEndpointV1",
            "patch",
            "/v1/webhook/endpoint.update",
            "Update a Webhook Endpoint",
        )
        .with(
            "description",
            "Without `url` nothing changes, and no error is reported.",
        )
        .body(&reference("EndpointUpdateV1"))
        .answer("200", "The endpoint.", &v1_data(&reference("EndpointV1")))
        .shared_answers(&[("400", "InvalidUrlV1"), ("404", "NoSuchEndpointV1")]),
        v1(
            "deleteEndpointV1",
            "delete",
            "/v1/webhook/endpoint.delete",
            "Delete a Webhook Endpoint",
        )
        .query("endpoint_id", true, "The endpoint.", &text())
        .answer(
            "200",
            "It is deleted.",
            &v1_data(&json!({ "type": "null" })),
        )
        .shared_answers(&[("404", "NoSuchEndpointV1")]),
        v1(
            "listEventTypesV1",
            "get",
            "/v1/webhook/webhook.list",
            "List Available Webhook Events",
        )
        .answer("200", "The names that v1 knows.", &v1_data(&list(&text()))),
    ];
    v3.into_iter().chain(v1).collect()
}

fn v3(id: &str, method: &'static str, path: &'static str, summary: &str) -> Operation {
    let operation = Operation::new(id, method, path, summary)
        .mark("documented", "HeyGen's API reference, v3")
        .with("tags", json!(["v3"]))
        .shared_answers(&[("429", "TooManyRequestsV3"), ("default", "ErrorV3")]);
    match method == "get" && !path.ends_with("event-types") {
        true => operation
            .query(
                "limit",
                false,
                "The length of a page.",
                &json!({ "type": "integer", "minimum": 1, "maximum": 100, "default": 10 }),
            )
            .query("token", false, "`next_token` of the page before.", &text()),
        false => operation,
    }
}

fn v1(id: &str, method: &'static str, path: &'static str, summary: &str) -> Operation {
    Operation::new(id, method, path, summary)
        .mark(
            "documented",
            "HeyGen's API reference, v1 (heygen-api 4.0.8)",
        )
        .with("tags", json!(["v1"]))
        .with("deprecated", true)
        .with("security", json!([{ "ApiKey": [] }]))
}

fn idempotency_key() -> Value {
    let schema = json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[A-Za-z0-9_\\-:.]{1,255}$" });
    let description = "Within 24 h the same key gets the same answer, even with another body.";
    parameter("header", "Idempotency-Key", false, description, &schema)
}

fn page(item: &Value) -> Value {
    object(
        &[],
        &json!({
            "data": list(item),
            "has_more": { "type": "boolean", "description": "Whether there is another page." },
            "next_token": nullable_text("The `token` of the next page."),
        }),
    )
}

fn v1_data(schema: &Value) -> Value {
    object(
        &["code", "data"],
        &json!({
            "code": { "type": "integer", "description": "100 for a success." },
            "data": schema,
            "msg": nullable_text("`null` for a success."),
            "message": nullable_text("`null` for a success. Not in every answer."),
        }),
    )
}

/// Answers that several operations have.
pub(super) fn responses() -> Value {
    let answer = |description: &str, schema: &str| json!({ "description": description, "content": in_json(&reference(schema)) });
    let mut too_many = answer("Too many calls.", "ErrorAnswerV3");
    too_many["headers"] = json!({ "Retry-After": { "$ref": "#/components/headers/Retry-After" } });
    json!({
        "ErrorV3": answer("An error.", "ErrorAnswerV3"),
        "TooManyRequestsV3": too_many,
        "InvalidUrlV1": answer("Code 400542: the address is invalid. That a failed probe is such a case is assumed.", "ErrorAnswerV1"),
        "NoSuchEndpointV1": answer("Code 400131: no endpoint has this id.", "ErrorAnswerV1"),
    })
}

pub(super) fn schemas() -> Map<String, Value> {
    let names: Vec<&str> = EventType::KNOWN.iter().map(EventType::as_str).collect();
    let of = |items: &Value, description: &str| json!({ "type": ["array", "null"], "items": items, "description": description });
    let events = |description: &str| of(&reference("EventType"), description);
    let received =
        "The events that are delivered; `null` for all. Names may come that are not listed here.";
    let received_events = of(&text(), received);
    let status = json!({ "type": "string", "description": "`enabled` or `disabled`. No operation is known that sets it." });
    let schemas = json!({
        "EventType": {
            "type": "string",
            "enum": names,
            "description": "The names that HeyGen's reference lists, of 2026-07-21. More may come.",
        },
        "NewEndpoint": object(&["url"], &json!({
            "url": { "type": "string", "description": "Where deliveries go." },
            "events": events("The events to deliver; all without it or with `null`."),
            "entity_id": nullable_text("One resource that the endpoint is limited to. This cannot be changed later."),
        })),
        "NewEndpointV1": object(&["url"], &json!({
            "url": { "type": "string", "description": "Where deliveries go." },
            "events": of(&text(), "The events to deliver; all without it or with `null`."),
            "entity_id": nullable_text("One resource that the endpoint is limited to. This cannot be changed later."),
        })),
        "EndpointUpdate": object(&[], &json!({
            "url": nullable_text("Where deliveries go."),
            "events": events("Replaces the list. What `null` does is not documented."),
        })),
        "EndpointUpdateV1": object(&["endpoint_id"], &json!({
            "endpoint_id": text(),
            "url": { "type": "string", "description": "Where deliveries go. Without it nothing changes." },
            "events": of(&text(), "Replaces the list; `null` for all."),
        })),
        "Endpoint": object(&["endpoint_id", "url", "status", "created_at"], &json!({
            "endpoint_id": text(),
            "url": text(),
            "events": received_events,
            "status": status,
            "created_at": { "type": "string", "description": "ISO 8601, with `Z`." },
            "secret": nullable_text("Signs the deliveries. `null` except after a creation."),
        })),
        "EndpointV1": object(&["endpoint_id", "url", "status", "secret"], &json!({
            "endpoint_id": text(),
            "url": text(),
            "events": received_events,
            "status": status,
            "secret": { "type": "string", "description": "Signs the deliveries." },
            "created_at": { "type": "string", "description": "ISO 8601, without a time zone." },
            "username": { "type": "string", "description": "The account." },
            "entity_id": nullable_text("The resource that the endpoint is limited to."),
            "space_id": nullable_text("Observed once."),
        })),
        "RotatedSecret": object(&["endpoint_id", "secret"], &json!({ "endpoint_id": text(), "secret": text() })),
        "EventTypeEntry": object(&["event_type", "description"], &json!({ "event_type": text(), "description": text() })),
        "LoggedEvent": object(&["event_id", "event_type", "event_data", "created_at"], &json!({
            "event_id": text(),
            "event_type": text(),
            "event_data": { "type": "object", "additionalProperties": true },
            "created_at": text(),
        })),
        "ErrorAnswerV3": object(&["error"], &json!({ "error": object(&["code", "message"], &json!({
            "code": { "type": "string", "description": "`invalid_parameter`, `unauthorized`, `webhook_not_found`, `rate_limit_exceeded` and others." },
            "message": text(),
            "param": nullable_text("The parameter that was wrong."),
            "doc_url": nullable_text("Where HeyGen explains the code."),
        })) })),
        "ErrorAnswerV1": object(&["code", "message"], &json!({ "code": { "type": "integer" }, "message": text() })),
    });
    match schemas {
        Value::Object(schemas) => schemas,
        _ => Map::new(),
    }
}
