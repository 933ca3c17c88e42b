//! `Idempotency-Key` on the two operations that take one.

use serde_json::{Value, json};

use super::{Answered, Heygen, answered};
use crate::server::Server;
use heygen_testkit::sandbox::{Fault, Misbehaviour, Operation, Sandbox};

const CREATE: &str = "POST /v3/webhooks/endpoints";

async fn keyed(heygen: &Heygen, operation: &str, key: &str, body: Value) -> Answered {
    let request = heygen.request(operation).header("idempotency-key", key);
    answered(request.body(body.to_string())).await
}

fn at(path: &str) -> Value {
    json!({"url": format!("https://example.com/{path}")})
}

#[tokio::test]
async fn repeated_create_makes_one_endpoint_and_repeats_its_secret() {
    let heygen = Heygen::start().await;
    let first = keyed(&heygen, CREATE, "k1", at("a")).await;
    assert_eq!(first.status, 200);
    let again = keyed(&heygen, CREATE, "k1", at("a")).await;
    assert_eq!(again.body, first.body);
    assert!(heygen.notes().is_empty());

    let other_body = keyed(&heygen, CREATE, "k1", at("b")).await;
    assert_eq!(other_body.body, first.body);
    assert_eq!(
        heygen.notes(),
        ["POST /v3/webhooks/endpoints was repeated under its Idempotency-Key with another body"]
    );
    assert_eq!(heygen.endpoints().len(), 1);
    assert_ne!(keyed(&heygen, CREATE, "k2", at("a")).await.body, first.body);
    assert_eq!(heygen.endpoints().len(), 2);
}

#[tokio::test]
async fn key_is_scoped_to_route_and_endpoint() {
    let heygen = Heygen::start().await;
    let one = heygen.create(at("one")).await.endpoint_id;
    let two = heygen.create(at("two")).await.endpoint_id;
    let rotate = |id: &str| format!("POST /v3/webhooks/endpoints/{id}/rotate-secret");
    let first = keyed(&heygen, &rotate(&one), "k1", Value::Null).await;
    let again = keyed(&heygen, &rotate(&one), "k1", Value::Null).await;
    assert_eq!(again.body, first.body);
    assert_eq!(
        first.body["data"]["secret"],
        heygen.endpoints()[0].secret.expose()
    );
    let other = keyed(&heygen, &rotate(&two), "k1", Value::Null).await;
    assert_eq!(other.body["data"]["endpoint_id"], two);
    let created = keyed(&heygen, CREATE, "k1", at("three")).await;
    assert_eq!(created.body["data"]["url"], "https://example.com/three");
}

#[tokio::test]
async fn invalid_key_is_rejected() {
    let heygen = Heygen::start().await;
    for key in ["", "a b", "é", &"k".repeat(256)] {
        let answer = keyed(&heygen, CREATE, key, at("a")).await;
        assert_eq!(answer.status, 400, "{key}");
        assert_eq!(answer.body["error"]["code"], "invalid_parameter");
        assert_eq!(answer.body["error"]["param"], "Idempotency-Key");
    }
    for key in ["0b9c-A:1.2_3", &"k".repeat(255)] {
        let answer = keyed(&heygen, CREATE, key, at("a")).await;
        assert_eq!(answer.status, 200, "{key}");
    }
    assert_eq!(heygen.endpoints().len(), 2);
    // v1 knows no such header.
    let added = keyed(&heygen, "POST /v1/webhook/endpoint.add", "a b", at("a")).await;
    assert_eq!(added.status, 200);
}

#[tokio::test]
async fn repeat_during_the_first_request_is_a_conflict() {
    let heygen = Heygen::with(Sandbox::builder()).await;
    let server = Server::with_statuses(&[204]).await;
    server.hold();
    let body = json!({"url": server.url});
    let first = keyed(&heygen, CREATE, "k1", body.clone());
    let second = async {
        server.until_seen(1).await;
        let conflict = keyed(&heygen, CREATE, "k1", body.clone()).await;
        server.release();
        conflict
    };
    let (first, conflict) = tokio::join!(first, second);
    assert_eq!(conflict.status, 409);
    assert_eq!(
        conflict.body,
        json!({"error": {
            "code": "request_in_progress",
            "message": "A request with the same Idempotency-Key is still being processed.",
            "doc_url": "https://developers.heygen.com/docs/error-codes#request-in-progress",
        }})
    );
    assert_eq!(first.status, 200);
    assert_eq!(keyed(&heygen, CREATE, "k1", body).await.body, first.body);
}

#[tokio::test]
async fn rejected_request_leaves_the_key_free() {
    let heygen = Heygen::start().await;
    let refused = keyed(&heygen, CREATE, "k1", json!({"url": "hook"})).await;
    assert_eq!(refused.status, 400);
    assert_eq!(keyed(&heygen, CREATE, "k1", at("a")).await.status, 200);

    heygen.misbehave(Misbehaviour::default().fault(Fault::refuse(500)));
    assert_eq!(keyed(&heygen, CREATE, "k2", at("b")).await.status, 500);
    assert_eq!(keyed(&heygen, CREATE, "k2", at("b")).await.status, 200);
    assert_eq!(heygen.endpoints().len(), 2);
}

#[tokio::test]
async fn cut_off_and_repeated_create_makes_one_endpoint() {
    let heygen = Heygen::start().await;
    let fault = Fault::cut_off().on(Operation::Create);
    heygen.misbehave(Misbehaviour::default().fault(fault));
    let request = heygen.request(CREATE).header("idempotency-key", "k1");
    let response = request.body(at("a").to_string()).send().await.unwrap();
    assert!(response.bytes().await.is_err());
    assert_eq!(heygen.endpoints().len(), 1);

    let repeated = keyed(&heygen, CREATE, "k1", at("a")).await;
    let [endpoint] = &heygen.endpoints()[..] else {
        panic!("one endpoint");
    };
    assert_eq!(repeated.body["data"]["secret"], endpoint.secret.expose());
}

#[tokio::test]
async fn key_expires_after_a_scaled_day() {
    let heygen = Heygen::with(Sandbox::builder().probe(false).time_scale(0.0)).await;
    let first = keyed(&heygen, CREATE, "k1", at("a")).await;
    let second = keyed(&heygen, CREATE, "k1", at("a")).await;
    assert_ne!(first.body, second.body);
    assert_eq!(heygen.endpoints().len(), 2);
}

#[tokio::test]
async fn note_of_repeated_rotation_names_operation_without_id() {
    let heygen = Heygen::start().await;
    let id = heygen.create(at("a")).await.endpoint_id;
    let rotate = format!("POST /v3/webhooks/endpoints/{id}/rotate-secret");
    let first = keyed(&heygen, &rotate, "k1", json!({"n": 1})).await;
    let second = keyed(&heygen, &rotate, "k1", json!({"n": 2})).await;
    assert_eq!(first.body, second.body);
    let operation = Operation::RotateSecret;
    assert_eq!(
        heygen.notes(),
        [format!(
            "{operation} was repeated under its Idempotency-Key with another body"
        )]
    );
}
