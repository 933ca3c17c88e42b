//! What is refused, and in which words.

use serde_json::{Value, json};

use super::{Heygen, answered};
use heygen_testkit::sandbox::{Operation, Sandbox};

const CREATE: &str = "POST /v3/webhooks/endpoints";

fn v3_error(code: &str, message: &str, param: Option<&str>) -> Value {
    let doc_url = format!(
        "https://developers.heygen.com/docs/error-codes#{}",
        code.replace('_', "-")
    );
    let mut error = json!({"code": code, "message": message, "doc_url": doc_url});
    if let Some(param) = param {
        error["param"] = param.into();
    }
    json!({ "error": error })
}

/// A 400 of v3: the parameter, and what is said of it.
async fn check(heygen: &Heygen, operation: &str, body: &str, param: Option<&str>, message: &str) {
    let answer = answered(heygen.request(operation).body(body.to_owned())).await;
    assert_eq!(answer.status, 400, "{operation} {body}");
    let expected = v3_error("invalid_parameter", message, param);
    assert_eq!(answer.body, expected, "{operation} {body}");
}

#[tokio::test]
async fn v3_names_the_parameter() {
    let heygen = Heygen::start().await;
    let url = "url must be an http or https URL.";
    for (body, param, message) in [
        ("{}", "url", "url is required."),
        (r#"{"url":null}"#, "url", "url is required."),
        (r#"{"url":7}"#, "url", "url must be a string."),
        (r#"{"url":"hook"}"#, "url", "url must be a valid URL."),
        (r#"{"url":"ftp://example.com"}"#, "url", url),
        (
            r#"{"url":"http://example.com"}"#,
            "url",
            "url must use https.",
        ),
        (
            r#"{"url":"https://e.com","events":"all"}"#,
            "events",
            "events must be an array.",
        ),
        (
            r#"{"url":"https://e.com","events":[1]}"#,
            "events",
            "events must be an array of strings.",
        ),
        (
            r#"{"url":"https://e.com","events":["avatar_video.failed"]}"#,
            "events",
            r#""avatar_video.failed" is not an event type."#,
        ),
        (
            r#"{"url":"https://e.com","entity_id":[]}"#,
            "entity_id",
            "entity_id must be a string.",
        ),
    ] {
        check(&heygen, CREATE, body, Some(param), message).await;
    }
    let message = "The request body is not a JSON object.";
    check(&heygen, CREATE, "[]", None, message).await;
    let message = "The request body is not JSON: EOF while parsing a value at line 1 column 0.";
    check(&heygen, CREATE, "", None, message).await;
    assert!(heygen.endpoints().is_empty());

    let id = heygen
        .create(json!({"url": "https://e.com"}))
        .await
        .endpoint_id;
    let update = format!("PATCH /v3/webhooks/endpoints/{id}");
    let message = "url must use https.";
    check(
        &heygen,
        &update,
        r#"{"url":"http://e.com"}"#,
        Some("url"),
        message,
    )
    .await;
    let message = "events must be an array.";
    check(
        &heygen,
        &update,
        r#"{"events":{}}"#,
        Some("events"),
        message,
    )
    .await;
    assert_eq!(heygen.endpoints()[0].url, "https://e.com");
}

#[tokio::test]
async fn v3_checks_queries() {
    let heygen = Heygen::start().await;
    let limit = "limit must be an integer from 1 to 100.";
    let token = "token is not valid.";
    for list in ["GET /v3/webhooks/endpoints", "GET /v3/webhooks/events"] {
        for (query, param, message) in [
            ("limit=0", "limit", limit),
            ("limit=101", "limit", limit),
            ("limit=-1", "limit", limit),
            ("limit=ten", "limit", limit),
            ("limit=", "limit", limit),
            ("token=", "token", token),
            ("token=0123456789abcdef0123456789abcdef", "token", token),
        ] {
            check(
                &heygen,
                &format!("{list}?{query}"),
                "",
                Some(param),
                message,
            )
            .await;
        }
    }
    check(
        &heygen,
        "GET /v3/webhooks/events?event_type=video.completed",
        "",
        Some("event_type"),
        r#""video.completed" is not an event type."#,
    )
    .await;
}

#[tokio::test]
async fn an_id_that_nobody_has_is_404_in_v3() {
    let heygen = Heygen::start().await;
    for operation in [
        "PATCH /v3/webhooks/endpoints/e1",
        "DELETE /v3/webhooks/endpoints/e1",
        "POST /v3/webhooks/endpoints/e1/rotate-secret",
    ] {
        let answer = heygen.call(operation, json!({})).await;
        assert_eq!(answer.status, 404);
        let message = "There is no webhook endpoint with that id.";
        assert_eq!(answer.body, v3_error("webhook_not_found", message, None));
    }
}

#[tokio::test]
async fn v1_refuses_in_its_own_envelope() {
    let heygen = Heygen::start().await;
    let add = "POST /v1/webhook/endpoint.add";
    let update = "PATCH /v1/webhook/endpoint.update";
    let delete = "DELETE /v1/webhook/endpoint.delete";
    for (operation, body, code, message) in [
        (add, json!({}), 40_001, "url is required."),
        (
            add,
            json!({"url": "https://e.com", "events": ["nobody.knows"]}),
            400_175,
            r#""nobody.knows" is not an event type."#,
        ),
        (
            update,
            json!({"url": "https://e.com"}),
            40_001,
            "endpoint_id is required.",
        ),
        (delete, Value::Null, 40_001, "endpoint_id is required."),
    ] {
        let answer = heygen.call(operation, body).await;
        assert_eq!(answer.status, 400);
        assert_eq!(
            answer.body,
            json!({"code": code, "message": message, "data": null})
        );
    }
}

/// The answers of HeyGen's OpenAPI text, to the letter.
#[tokio::test]
async fn v1_refuses_ids_and_addresses_as_documented() {
    let heygen = Heygen::start().await;
    let id = heygen
        .create(json!({"url": "https://e.com"}))
        .await
        .endpoint_id;
    let check =
        async |operation: &str, body: Value, status: u16, content_type: &str, text: &str| {
            let request = heygen.request(operation).body(body.to_string());
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), status, "{operation} {body}");
            let given = &response.headers()["content-type"];
            assert_eq!(given, content_type, "{operation} {body}");
            assert_eq!(response.text().await.unwrap(), text, "{operation} {body}");
        };
    let gone = r#"{"code":400131,"message":"Webhook endpoint not found"}"#;
    let invalid = r#"{"code":400542,"message":"Url of this webhook endpoint is invalid"}"#;
    let (json, text) = ("application/json", "text/plain");
    let add = "POST /v1/webhook/endpoint.add";
    let update = "PATCH /v1/webhook/endpoint.update";
    let delete = "DELETE /v1/webhook/endpoint.delete?endpoint_id=e1";
    for body in [
        json!({"endpoint_id": "e1"}),
        json!({"endpoint_id": "e1", "url": "https://e.com"}),
    ] {
        check(update, body, 404, text, gone).await;
    }
    check(delete, Value::Null, 404, json, gone).await;
    for url in ["hook", "ftp://e.com"] {
        check(add, json!({"url": url}), 400, json, invalid).await;
        let body = json!({"endpoint_id": id, "url": url});
        check(update, body, 400, json, invalid).await;
    }
    assert_eq!(heygen.notes().len(), 4);
}

#[tokio::test]
async fn every_operation_needs_a_key() {
    let heygen = Heygen::with(Sandbox::builder().api_key("right").probe(false)).await;
    let message = "The API key is missing or not valid.";
    for operation in Operation::ALL {
        let refused = if operation.path().starts_with("/v1/") {
            json!({"code": 400_112, "message": message, "data": null})
        } else if operation.path().starts_with("/v2/") {
            json!({"data": null, "error": {"code": "internal_error", "message": "Unauthorized"}})
        } else {
            v3_error("unauthorized", message, None)
        };
        let operation = operation.to_string();
        for (name, value) in [
            ("other", "right"),
            ("x-api-key", ""),
            ("x-api-key", "wrong"),
            ("authorization", "Bearer wrong"),
            ("authorization", "right"),
            ("authorization", "Basic right"),
        ] {
            let answer = answered(heygen.keyless(&operation).header(name, value)).await;
            assert_eq!(answer.status, 401, "{operation} {name} {value}");
            assert_eq!(answer.body, refused);
        }
        for (name, value) in [
            ("X-API-KEY", "right"),
            ("authorization", "Bearer right"),
            ("authorization", "bearer right"),
        ] {
            let answer = answered(heygen.keyless(&operation).header(name, value)).await;
            assert_ne!(answer.status, 401, "{operation} {name} {value}");
        }
    }
}

#[tokio::test]
async fn any_key_is_valid_unless_set_and_both_kinds_are_noted() {
    let heygen = Heygen::start().await;
    let list = "GET /v3/webhooks/endpoints";
    assert_eq!(answered(heygen.keyless(list)).await.status, 401);
    assert_eq!(heygen.get("/v3/webhooks/endpoints").await.status, 200);
    assert!(heygen.notes().is_empty());
    let both = heygen.request(list).header("authorization", "Bearer x");
    assert_eq!(answered(both).await.status, 200);
    let [note] = &heygen.notes()[..] else {
        panic!("one note");
    };
    assert!(note.starts_with("GET /v3/webhooks/endpoints came with X-Api-Key and Authorization"));
}

#[tokio::test]
async fn unknown_path_and_method_are_rejected() {
    let heygen = Heygen::start().await;
    for path in [
        "/v3/webhooks",
        "/v3/webhooks/endpoints/",
        "/v2/x",
        "/sandbox",
    ] {
        let answer = heygen.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        let message = "This path does not exist.";
        assert_eq!(answer.body, v3_error("not_found", message, None));
    }
    let answer = heygen.get("/v1/webhook/endpoint.get").await;
    assert_eq!((answer.status.as_u16(), answer.body), (404, Value::Null));
    for (operation, allow) in [
        ("GET /v3/webhooks/endpoints/e1", "PATCH, DELETE"),
        ("PUT /v3/webhooks/endpoints", "POST, GET"),
        ("POST /v1/webhook/endpoint.list", "GET"),
        ("GET /sandbox/events", "POST"),
    ] {
        let answer = answered(heygen.request(operation)).await;
        assert_eq!(answer.status, 405, "{operation}");
        assert_eq!(answer.headers["allow"], allow);
        assert_eq!(answer.body, Value::Null);
    }
}

#[tokio::test]
async fn a_body_beyond_a_mebibyte_is_413() {
    let heygen = Heygen::start().await;
    let body = "x".repeat(1024 * 1024 + 1);
    let answer = answered(heygen.request(CREATE).body(body)).await;
    assert_eq!(answer.status, 413);
    let message = "The request body is too large.";
    assert_eq!(answer.body, v3_error("payload_too_large", message, None));
}
