//! The sandbox's own routes, as `docs/sandbox.md` explains them. A new route is one entry in each of the two functions.

use serde_json::{Map, Value, json};

use super::operation::{Operation, list, nullable_text, object, parameter, reference, text};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        ours(
            "sandboxSendEvent",
            "post",
            "/sandbox/events",
            "Send an event",
        )
        .with(
            "description",
            "Answers at once and delivers in the background.",
        )
        .body(&reference("SandboxEvent"))
        .answer(
            "202",
            "The event is on its way.",
            &data(&reference("SandboxSent")),
        ),
        ours(
            "sandboxListDeliveries",
            "get",
            "/sandbox/deliveries",
            "List deliveries with their attempts",
        )
        .query(
            "event_id",
            false,
            "Deliveries of this event alone.",
            &text(),
        )
        .answer(
            "200",
            "The deliveries.",
            &data(&list(&reference("SandboxDelivery"))),
        ),
        ours(
            "sandboxSettled",
            "get",
            "/sandbox/settled",
            "Wait until every job and delivery has ended",
        )
        .query("timeout", false, "For how many seconds; without it, for ever.", &json!({ "type": "number", "minimum": 0 }))
        .query(
            "event_id",
            false,
            "List deliveries of this event alone.",
            &text(),
        )
        .answer(
            "200",
            "The deliveries.",
            &data(&list(&reference("SandboxDelivery"))),
        )
        .answer("408", "Not all have ended: `message` says what is missing, `data` has the deliveries.", &reference("SandboxNotSettled")),
        ours("sandboxRegister", "post", "/sandbox/endpoints", "Register an endpoint, if need be with a given secret")
            .body(&closed(&["url"], &json!({
                "url": text(),
                "events": { "type": ["array", "null"], "items": reference("EventType") },
                "entity_id": nullable_text("As in the operation of v3."),
                "secret": nullable_text("Signs the deliveries; a new one without it."),
            })))
            .answer("200", "The endpoint.", &data(&reference("EndpointV1"))),
        ours("sandboxMedia", "get", "/sandbox/media/{id}/{file}", "A small real file, behind the links of jobs and samples")
            .parameter(parameter("query", "Expires", false, "Until when, in seconds since 1970. Links carry it.", &text()))
            .with("responses", json!({
                "200": { "description": "The file.", "content": { "*/*": {} } },
                "403": { "description": "The link is too old.", "content": { "application/xml": {} } },
                "404": { "description": "There is no such file." },
            })),
        ours(
            "sandboxMisbehave",
            "post",
            "/sandbox/misbehave",
            "Misbehave from now on, or behave again with `{}`",
        )
        .body(&reference("SandboxMisbehaviour"))
        .answer(
            "200",
            "What is in force now.",
            &data(&reference("SandboxMisbehaviour")),
        ),
        ours(
            "sandboxState",
            "get",
            "/sandbox/state",
            "Endpoints with secrets, counts, and notes on odd requests",
        )
        .answer("200", "The state.", &data(&reference("SandboxState"))),
        ours(
            "sandboxReset",
            "post",
            "/sandbox/reset",
            "Delete everything, and end every delivery",
        )
        .answer(
            "200",
            "All is as at the start.",
            &data(&object(&[], &json!({}))),
        ),
        ours(
            "sandboxSetStatus",
            "patch",
            "/sandbox/endpoints/{endpoint_id}",
            "Enable or disable an endpoint",
        )
        .body(&closed(&["status"], &json!({ "status": text() })))
        .answer("200", "The endpoint.", &data(&reference("EndpointV1"))),
    ]
}

fn ours(id: &str, method: &'static str, path: &'static str, summary: &str) -> Operation {
    let operation = Operation::new(id, method, path, summary)
        .mark("sandbox", "docs/sandbox.md")
        .with("tags", json!(["sandbox"]))
        .with("security", json!([]))
        .with(
            "servers",
            json!([{ "url": "http://127.0.0.1:8090", "description": "A sandbox on this machine" }]),
        );
    match method {
        "get" => operation,
        _ => operation.answer(
            "400",
            "The request is invalid.",
            &reference("ErrorAnswerV3"),
        ),
    }
}

fn data(schema: &Value) -> Value {
    object(&["data"], &json!({ "data": schema }))
}

/// An object of these fields alone: the sandbox rejects what it does not know.
fn closed(required: &[&str], properties: &Value) -> Value {
    let mut object = object(required, properties);
    object["additionalProperties"] = false.into();
    object
}

pub(super) fn schemas() -> Map<String, Value> {
    let whole =
        |description: &str| json!({ "type": "integer", "minimum": 0, "description": description });
    let flag = |description: &str| json!({ "type": "boolean", "description": description });
    let schemas = json!({
        "SandboxEvent": closed(&["event_type"], &json!({
            "event_type": { "type": "string", "description": "The sample of this event is sent; an unknown name starts with empty data." },
            "data": {
                "type": "object",
                "additionalProperties": true,
                "description": "Fields of `event_data` to set; a path with dots goes deeper.",
            },
            "without": { "type": "array", "items": { "type": "string" }, "description": "Fields to remove." },
            "event_id": nullable_text("The id in the body and in the log."),
            "entity_id": nullable_text("The resource that the event belongs to."),
            "callback_url": nullable_text("Gets one more POST, unsigned and not retried."),
        })),
        "SandboxSent": object(&["event_id", "deliveries"], &json!({ "event_id": text(), "deliveries": whole("To how many addresses.") })),
        "SandboxDelivery": object(
            &["delivery_id", "event_id", "event_type", "endpoint_id", "state", "attempts", "body"],
            &json!({
                "delivery_id": whole("Grows in order of creation."),
                "event_id": text(),
                "event_type": text(),
                "endpoint_id": nullable_text("`null` for the `callback_url` of a job."),
                "state": { "type": "string", "enum": ["held", "pending", "delivered", "given_up", "cancelled"] },
                "attempts": list(&reference("SandboxAttempt")),
                "body": { "type": "string", "description": "The body as it is sent." },
            }),
        ),
        "SandboxNotSettled": object(&["error", "data"], &json!({
            "error": object(&["code", "message"], &json!({ "code": text(), "message": text() })),
            "data": list(&reference("SandboxDelivery")),
        })),
        "SandboxAttempt": object(&["url", "status", "error", "duplicate", "duration_ms"], &json!({
            "url": text(),
            "status": { "type": ["integer", "null"], "description": "`null` if no answer was read." },
            "error": nullable_text("Why there is no status."),
            "duplicate": flag("Whether the delivery had been accepted before."),
            "duration_ms": whole("How long it took, in milliseconds."),
        })),
        "SandboxMisbehaviour": closed(&[], &json!({
            "duplicates": { "type": "integer", "minimum": 0, "maximum": 1000, "description": "An accepted delivery is sent so often again." },
            "delay_ms": whole("Deliveries begin so much later."),
            "reorder": whole("So many events are collected and sent newest first."),
            "drop_answers": whole("So many attempts of a delivery end before their answer is read."),
            "link": { "enum": ["null", "empty", null], "description": "Links in the data are `null` or empty." },
            "event_type": nullable_text("Events are sent under this name."),
            "data": { "description": "Replaces `event_data`." },
            "name_key": nullable_text("The name of the event is under this key."),
            "without_data": flag("Bodies have no `event_data`."),
            "body": nullable_text("This text in place of every body."),
            "doubled_signature": flag("Two `Signature` headers, a wrong one first."),
            "truncate": whole("So many attempts of a delivery end after half of the body."),
            "slow_ms": whole("The second half of every body comes so much later."),
            "job_ms": { "type": ["integer", "null"], "minimum": 0, "description": "How long jobs take; without it one second." },
            "fail_jobs": nullable_text("Jobs fail, for this reason."),
            "fail_code": nullable_text("The code beside the reason, in the state of a video."),
            "link_ms": { "type": ["integer", "null"], "minimum": 0, "description": "How long links live; without it seven days." },
            "mid_2026_headers": flag("`Heygen-Signature`, `Heygen-Timestamp` and `Heygen-Event-Id` instead of `Signature`."),
            "spaced": flag("Bodies have the spaces and escapes of Python's JSON."),
            "old_secret": flag("A retry after a rotation is signed with the secret that its delivery began with."),
            "log_delivered_only": flag("The log omits what no one has accepted."),
            "log_order": { "type": "string", "enum": ["newest_first", "oldest_first", "shuffled"] },
            "api": { "type": "array", "items": reference("SandboxFault"), "description": "Faults of the API, used up by the calls that they match." },
        })),
        "SandboxFault": closed(&[], &json!({
            "on": nullable_text("The operation, as its method and path; any without it."),
            "times": whole("How many calls."),
            "status": { "type": ["integer", "null"], "minimum": 200, "maximum": 599, "description": "Fail with it, and do nothing." },
            "retry_after": { "type": ["integer", "null"], "minimum": 0, "description": "Seconds in `Retry-After` of the error." },
            "body": nullable_text("The body of the error."),
            "cut_off": flag("Do the operation, and close the connection in the middle of the answer."),
            "delay_ms": whole("Do the operation, and answer so much later."),
        })),
        "SandboxState": object(&["endpoints", "events", "deliveries", "settled", "misbehaviour", "notes"], &json!({
            "endpoints": list(&reference("EndpointV1")),
            "events": whole("Events in the log."),
            "deliveries": whole("Deliveries that are remembered."),
            "settled": flag("Whether every delivery has ended."),
            "jobs": whole("Jobs that are remembered."),
            "misbehaviour": reference("SandboxMisbehaviour"),
            "notes": { "type": "array", "items": {}, "description": "Odd requests." },
        })),
    });
    match schemas {
        Value::Object(schemas) => schemas,
        _ => Map::new(),
    }
}
