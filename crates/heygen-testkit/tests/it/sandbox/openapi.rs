//! `schemas/openapi.json` describes the sandbox: every operation is there, and requests and answers match their schemas.

use std::collections::BTreeSet;

use heygen_testkit::sandbox::{Operation, Sandbox};
use jsonschema::Validator;
use serde_json::{Value, json};

use super::{Heygen, answered, jobs::cases};
use crate::server::Server;

/// The document, and calls of the sandbox that are held to it.
struct Described {
    heygen: Heygen,
    document: Value,
    called: BTreeSet<String>,
}

impl Described {
    /// Calls an operation, `POST /v3/webhooks/endpoints`; `path` has its parameters. Checks the body against the schema of the
    /// operation, and the answer, which it returns, against that of its status.
    #[track_caller]
    fn check(&self, operation: &str, status: u16, body: Option<&Value>, answer: &Value) {
        let described = self.operation(operation);
        if let Some(body) = body {
            let content = &described["requestBody"]["content"];
            self.validate(operation, &content["application/json"]["schema"], body);
        }
        let responses = &described["responses"];
        let response = match &responses[status.to_string()] {
            Value::Null => &responses["default"],
            response => response,
        };
        let response = match response["$ref"].as_str() {
            Some(reference) => self.document.pointer(&reference[1..]).unwrap(),
            None => response,
        };
        let schema = &response["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{operation}: {status} is not described");
        self.validate(operation, schema, answer);
    }

    fn operation(&self, operation: &str) -> &Value {
        let (method, path) = operation.split_once(' ').unwrap();
        &self.document["paths"][path][method.to_lowercase()]
    }

    #[track_caller]
    fn validate(&self, operation: &str, schema: &Value, value: &Value) {
        let mut schema = schema.clone();
        schema["components"] = self.document["components"].clone();
        let errors: Vec<String> = validator(&schema)
            .iter_errors(value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{operation}: {errors:?} in {value}");
    }

    async fn call(
        &mut self,
        operation: &str,
        path: &str,
        body: Option<Value>,
        status: u16,
    ) -> Value {
        let (method, _) = operation.split_once(' ').unwrap();
        let mut request = self.heygen.request(&format!("{method} {path}"));
        if let Some(body) = &body {
            request = request.body(body.to_string());
        }
        let answer = answered(request).await;
        assert_eq!(answer.status, status, "{operation}: {}", answer.body);
        self.check(operation, status, body.as_ref(), &answer.body);
        self.called.insert(operation.to_owned());
        answer.body
    }

    /// Starts each kind of job, follows it, and gets one of the files.
    async fn jobs(&mut self) {
        let at_once = json!({"job_ms": 0});
        let misbehave = "/sandbox/misbehave";
        self.call("POST /sandbox/misbehave", misbehave, Some(at_once), 200)
            .await;
        let mut link = None;
        for case in cases() {
            let body = serde_json::from_str(case.body).unwrap();
            let (_, path) = case.create.split_once(' ').unwrap();
            let create = case.create.replace("/t1", "/{template_id}");
            let started = self.call(&create, path, Some(body), case.started()).await;
            let id = started.pointer(case.id).unwrap().as_str().unwrap();
            self.heygen.settled().await;
            let is_followed = |operation: &&Operation| {
                let path = operation.path().split('{').next();
                operation.method() == "GET" && path == case.status.split('?').next()
            };
            let follow = Operation::ALL.iter().find(is_followed).unwrap().to_string();
            let path = format!("{}{id}", case.status);
            let followed = self.call(&follow, &path, None, 200).await;
            link = link.or(followed["data"]["video_url"].as_str().map(str::to_owned));
        }
        let link = link.unwrap();
        let path = link.strip_prefix(self.heygen.url()).unwrap();
        let file = self
            .heygen
            .keyless(&format!("GET {path}"))
            .send()
            .await
            .unwrap();
        assert_eq!(file.status(), 200);
        self.called
            .insert("GET /sandbox/media/{id}/{file}".to_owned());
    }
}

fn validator(schema: &Value) -> Validator {
    jsonschema::validator_for(schema).unwrap()
}

#[tokio::test]
async fn openapi_document_describes_what_the_sandbox_does() {
    let heygen = Heygen::with(Sandbox::builder().time_scale(0.0).probe(false)).await;
    let server = Server::with_statuses(&[500, 200]).await;
    let text = include_str!("../../../../../schemas/openapi.json");
    let document: Value = serde_json::from_str(text).unwrap();
    let called = BTreeSet::new();
    let mut described = Described {
        heygen,
        document,
        called,
    };
    let url = server.url.as_str();
    let new = json!({"url": url, "events": ["avatar_video.success"], "entity_id": null});

    let create = "POST /v3/webhooks/endpoints";
    let created = described
        .call(create, "/v3/webhooks/endpoints", Some(new), 200)
        .await;
    let id = created["data"]["endpoint_id"].as_str().unwrap().to_owned();
    let one = format!("/v3/webhooks/endpoints/{id}");
    let rotate = format!("{one}/rotate-secret");
    let v1 = json!({"url": url, "events": null});
    let update_v1 = json!({"endpoint_id": id, "url": url, "events": ["avatar_video.fail"]});
    let event = json!({"event_type": "avatar_video.success", "data": {"callback_id": "c"}, "without": ["folder_id"]});
    let misbehaviour = json!({"duplicates": 1, "api": [{"on": create, "status": 429}]});
    let disabled = json!({"status": "disabled"});
    let only_url = json!({"url": url});
    let own_secret = json!({"url": url, "secret": "whsec_test"});
    for (operation, path, body, status) in [
        (
            "GET /v3/webhooks/endpoints",
            "/v3/webhooks/endpoints?limit=1",
            None,
            200,
        ),
        (
            "PATCH /v3/webhooks/endpoints/{endpoint_id}",
            &one,
            Some(only_url.clone()),
            200,
        ),
        (
            "POST /v3/webhooks/endpoints/{endpoint_id}/rotate-secret",
            &rotate,
            None,
            200,
        ),
        (
            "GET /v3/webhooks/event-types",
            "/v3/webhooks/event-types",
            None,
            200,
        ),
        (
            "POST /v1/webhook/endpoint.add",
            "/v1/webhook/endpoint.add",
            Some(v1),
            200,
        ),
        (
            "GET /v1/webhook/endpoint.list",
            "/v1/webhook/endpoint.list",
            None,
            200,
        ),
        (
            "PATCH /v1/webhook/endpoint.update",
            "/v1/webhook/endpoint.update",
            Some(update_v1),
            200,
        ),
        (
            "GET /v1/webhook/webhook.list",
            "/v1/webhook/webhook.list",
            None,
            200,
        ),
        (
            "POST /sandbox/endpoints",
            "/sandbox/endpoints",
            Some(own_secret),
            200,
        ),
        ("POST /sandbox/events", "/sandbox/events", Some(event), 202),
        ("GET /sandbox/settled", "/sandbox/settled", None, 200),
        ("GET /sandbox/deliveries", "/sandbox/deliveries", None, 200),
        (
            "GET /v3/webhooks/events",
            "/v3/webhooks/events?event_type=avatar_video.success",
            None,
            200,
        ),
        (
            "POST /sandbox/misbehave",
            "/sandbox/misbehave",
            Some(misbehaviour),
            200,
        ),
        ("GET /sandbox/state", "/sandbox/state", None, 200),
        (create, "/v3/webhooks/endpoints", Some(only_url), 429),
        (
            "PATCH /sandbox/endpoints/{endpoint_id}",
            &format!("/sandbox/endpoints/{id}"),
            Some(disabled),
            200,
        ),
        (
            "DELETE /v3/webhooks/endpoints/{endpoint_id}",
            &one,
            None,
            200,
        ),
        (
            "DELETE /v3/webhooks/endpoints/{endpoint_id}",
            &one,
            None,
            404,
        ),
        (
            "DELETE /v1/webhook/endpoint.delete",
            &format!("/v1/webhook/endpoint.delete?endpoint_id={id}"),
            None,
            404,
        ),
        (
            "POST /sandbox/misbehave",
            "/sandbox/misbehave",
            Some(json!({"job_ms": 3_600_000})),
            200,
        ),
        (
            "POST /v3/videos",
            "/v3/videos",
            Some(json!({"type": "avatar", "callback_id": "c"})),
            200,
        ),
        (
            "GET /sandbox/settled",
            "/sandbox/settled?timeout=0",
            None,
            408,
        ),
        ("POST /sandbox/reset", "/sandbox/reset", None, 200),
    ] {
        described.call(operation, path, body, status).await;
    }

    described.jobs().await;

    let described_paths = described.document["paths"].as_object().unwrap();
    let operations = described_paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().keys();
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    assert_eq!(operations.collect::<BTreeSet<_>>(), described.called);
    for operation in Operation::ALL {
        assert!(
            described.called.contains(&operation.to_string()),
            "{operation}"
        );
    }
}

/// axum does not tell its routes, so the source does.
#[test]
fn openapi_document_has_every_route_of_the_sandbox() {
    let document: Value =
        serde_json::from_str(include_str!("../../../../../schemas/openapi.json")).unwrap();
    let source = include_str!("../../../src/sandbox/control.rs");
    let routes = source.split(".route(\"").skip(1);
    let routes: Vec<_> = routes.filter_map(|rest| rest.split('"').next()).collect();
    assert!(routes.contains(&"/sandbox/events"));
    for route in routes {
        assert!(
            document["paths"][route].is_object(),
            "{route} is not described"
        );
    }
}
