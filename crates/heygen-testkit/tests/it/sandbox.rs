//! The sandbox as any client sees it: plain HTTP calls, and the receiver's side of deliveries.

use std::{ops::Deref, time::Duration};

use heygen_signature::{Secret, Secrets, verify};
use heygen_testkit::{
    RetryPolicy,
    sandbox::{Builder, Endpoint, Sandbox},
};
use http::{HeaderMap, Method, StatusCode};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use crate::server::{Seen, Server};

mod control;
mod delivery;
mod errors;
mod faults;
mod idempotency;
mod jobs;
mod lifecycle;
mod log_order;
mod misbehaviour;
mod openapi;
mod v1;
mod v3;

/// Long enough for a busy machine; nothing waits for it.
const AMPLE: Duration = Duration::from_secs(60);

/// A sandbox, and a client that has a key for it.
struct Heygen {
    sandbox: Sandbox,
    client: Client,
}

/// What a call brought.
#[derive(Debug)]
struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    /// `null` where the body is empty.
    body: Value,
}

impl Deref for Heygen {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.sandbox
    }
}

impl Heygen {
    /// Waits for nothing between attempts, and probes nothing: most tests register addresses where
    /// nothing listens.
    async fn start() -> Self {
        Self::with(Sandbox::builder().probe(false)).await
    }

    async fn with(builder: Builder) -> Self {
        let builder = builder.delivery_timeout(AMPLE).probe_timeout(AMPLE);
        Self {
            sandbox: builder.start().await.unwrap(),
            client: client(),
        }
    }

    /// A request as `"POST /v3/webhooks/endpoints"`.
    fn request(&self, operation: &str) -> RequestBuilder {
        self.keyless(operation).header("x-api-key", "key")
    }

    fn keyless(&self, operation: &str) -> RequestBuilder {
        let (method, path) = operation.split_once(' ').unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.client.request(method, format!("{}{path}", self.url()))
    }

    async fn get(&self, path: &str) -> Answered {
        answered(self.request(&format!("GET {path}"))).await
    }

    async fn call(&self, operation: &str, body: Value) -> Answered {
        answered(self.request(operation).body(body.to_string())).await
    }

    /// Creates an endpoint with v3, and gives it as the sandbox has it.
    async fn create(&self, body: Value) -> Endpoint {
        let created = self.call("POST /v3/webhooks/endpoints", body).await;
        assert_eq!(created.status, 200, "{}", created.body);
        self.endpoints().pop().unwrap()
    }
}

fn client() -> Client {
    // A client that could speak TLS wants to know with which cryptography; another test may have
    // said so first.
    #[cfg(feature = "tls")]
    drop(rustls::crypto::ring::default_provider().install_default());
    Client::builder().no_proxy().build().unwrap()
}

/// A sandbox without waits between attempts, and a receiver that is registered for all events and
/// has answered the probe.
///
/// The receiver answers deliveries with `statuses`, one after the other, and with the last one from
/// then on.
async fn registered(statuses: &'static [u16]) -> (Heygen, Server, Secret) {
    let heygen = Heygen::with(Sandbox::builder().time_scale(0.0)).await;
    let (server, secret) = register(&heygen, statuses).await;
    (heygen, server, secret)
}

async fn register(heygen: &Heygen, statuses: &'static [u16]) -> (Server, Secret) {
    let server = Server::start(move |index| {
        let status = match index.checked_sub(1) {
            None => 204,
            Some(delivery) => statuses[delivery.min(statuses.len() - 1)],
        };
        let response = http::Response::builder().status(status);
        Some(response.body("answer".into()).unwrap())
    })
    .await;
    let endpoint = heygen.register(&server.url).await.unwrap();
    (server, endpoint.secret)
}

/// The waits of a policy that does not end before a test has done its work.
fn patient() -> RetryPolicy {
    RetryPolicy::default()
        .with_initial_delay(Duration::from_millis(1))
        .with_max_delay(Duration::from_millis(20))
}

async fn answered(request: RequestBuilder) -> Answered {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes().await.unwrap();
    let body = if bytes.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&bytes).unwrap()
    };
    Answered {
        status,
        headers,
        body,
    }
}

/// The deliveries a receiver got, without the probe.
fn posts(server: &Server) -> Vec<Seen> {
    let mut seen = server.seen();
    seen.retain(|seen| seen.method == Method::POST);
    seen
}

fn verifies(seen: &Seen, secret: &Secret) -> bool {
    let headers = seen.headers.iter();
    let pairs = headers.map(|(name, value)| (name.as_str(), value.as_bytes()));
    verify(pairs, &seen.body, &Secrets::from(secret.clone())).is_ok()
}

fn json_of(seen: &Seen) -> Value {
    serde_json::from_slice(&seen.body).unwrap()
}

/// Replaces what is new each time by a word, once its form is checked.
#[track_caller]
fn masked(mut value: Value) -> Value {
    mask(&mut value);
    value
}

#[track_caller]
fn mask(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value.as_str()) {
                    ("endpoint_id" | "username", Some(id)) => {
                        assert_eq!(id.len(), 32, "{id}");
                        assert!(
                            id.bytes()
                                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
                        );
                        *value = json!("<id>");
                    }
                    ("secret", Some(secret)) => {
                        let text = secret.strip_prefix("whsec_").unwrap();
                        assert!(text.len() == 24 && text.ends_with("=="), "{text}");
                        *value = json!("<secret>");
                    }
                    ("created_at", Some(time)) => {
                        let (digits, zone) = time.split_at(19);
                        let form = digits.replace(|char: char| char.is_ascii_digit(), "0");
                        assert_eq!(form, "0000-00-00T00:00:00");
                        let zone = zone.replace(|char: char| char.is_ascii_digit(), "0");
                        *value = json!(format!("<time>{zone}"));
                    }
                    _ => mask(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
