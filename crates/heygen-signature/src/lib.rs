//! Sign and verify HeyGen webhook bodies, and say why one does not verify.
//!
//! HeyGen signs each delivery to a registered endpoint: the header `Signature` is the hexadecimal HMAC-SHA256 of the raw
//! body under the endpoint's secret. [`verify`] checks that against one or more [`Secrets`]; [`Secret::sign`] makes such
//! a signature for tests; [`diagnose`] tells an operator why a request does not pass. Headers come in as pairs of name
//! and value, so that every HTTP library will do, and none is a dependency.
//!
//! Not here: parsing the body, and deliveries to the `callback_url` of a single job, which HeyGen does not sign.
//!
//! # In an axum handler
//!
//! ```
//! use axum::{body::Bytes, extract::State, http::{HeaderMap, StatusCode}};
//! use heygen_signature::{Secrets, verify};
//!
//! async fn webhook(State(secrets): State<Secrets>, headers: HeaderMap, body: Bytes) -> StatusCode {
//!     // `Bytes`, not `Json`: the signature is over the bytes as they came.
//!     let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
//!     if verify(pairs, &body, &secrets).is_err() {
//!         return StatusCode::UNAUTHORIZED;
//!     }
//!     match serde_json::from_slice::<serde_json::Value>(&body) {
//!         Ok(event) => println!("{}", event["event_type"]),
//!         Err(error) => println!("signed, but not JSON: {error}"),
//!     }
//!     StatusCode::OK
//! }
//! # use axum::{Router, routing::post};
//! # use heygen_signature::Secret;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let secret = Secret::new("whsec_test")?;
//! # let secrets = Secrets::from(secret.clone());
//! # let app: Router = Router::new().route("/webhooks/heygen", post(webhook)).with_state(secrets.clone());
//! # let body = Bytes::from_static(b"{\"event_type\":\"avatar_video.fail\"}");
//! # let mut headers = HeaderMap::new();
//! # headers.insert("signature", secret.sign(&body).to_string().parse()?);
//! # assert_eq!(webhook(State(secrets.clone()), headers, body.clone()).await, StatusCode::OK);
//! # assert_eq!(webhook(State(secrets), HeaderMap::new(), body).await, StatusCode::UNAUTHORIZED);
//! # Ok(())
//! # }
//! ```
//!
//! # In a hyper service
//!
//! ```
//! use bytes::Bytes;
//! use heygen_signature::{Secrets, verify};
//! use http_body_util::{BodyExt, Full, Limited};
//! use hyper::{Request, Response, StatusCode, body::Body};
//!
//! async fn webhook<B>(request: Request<B>, secrets: Secrets) -> Response<Full<Bytes>>
//! where
//!     B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
//! {
//!     let answer = |status, text: &'static str| {
//!         let mut response = Response::new(Full::from(text));
//!         *response.status_mut() = status;
//!         response
//!     };
//!     let (head, body) = request.into_parts();
//!     let Ok(body) = Limited::new(body, 1024 * 1024).collect().await else {
//!         return answer(StatusCode::BAD_REQUEST, "unreadable body");
//!     };
//!     let body = body.to_bytes();
//!     let pairs = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
//!     match verify(pairs, &body, &secrets) {
//!         Ok(_) => answer(StatusCode::OK, "accepted"),
//!         Err(_) => answer(StatusCode::UNAUTHORIZED, "not signed by HeyGen"),
//!     }
//! }
//! # use heygen_signature::Secret;
//! # use hyper::{server::conn::http1, service::service_fn};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let secret = Secret::new("whsec_test")?;
//! # let secrets = Secrets::from(secret.clone());
//! # let owned = secrets.clone();
//! # let service = service_fn(move |request: Request<hyper::body::Incoming>| {
//! #     let secrets = owned.clone();
//! #     async move { Ok::<_, std::convert::Infallible>(webhook(request, secrets).await) }
//! # });
//! # let (_client, server) = tokio::io::duplex(1);
//! # drop(http1::Builder::new().serve_connection(hyper_util::rt::TokioIo::new(server), service));
//! # let body = Bytes::from_static(b"{}");
//! # let request = Request::post("/").header("Signature", secret.sign(&body).to_string());
//! # let signed = request.body(Full::new(body.clone()))?;
//! # assert_eq!(webhook(signed, secrets.clone()).await.status(), StatusCode::OK);
//! # let unsigned = Request::post("/").body(Full::new(body))?;
//! # assert_eq!(webhook(unsigned, secrets).await.status(), StatusCode::UNAUTHORIZED);
//! # Ok(())
//! # }
//! ```
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod diagnosis;
mod header;
mod secret;
mod signature;
mod verify;

pub use diagnosis::{Diagnosis, diagnose};
pub use header::{
    HEYGEN_SIGNATURE, HeaderError, SIGNATURE, find_signature, signature_like_headers,
};
pub use secret::{EmptySecret, Match, Mismatch, Secret, Secrets};
pub use signature::{NotHex, Signature};
pub use verify::{Refusal, verify};

/// The examples of the README compile and hold.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
